"""Law: both ends of every connection between services prove who they are, with the identity of now.

A server is known by its DNS name, which the authority signs for one identity alone (`names.py`):
gRPC clients in Python check no URI. A client is known by its SPIFFE ID, which the server reads from
the handshake; only authorities of our own trust domain are believed. Who that ID is allowed to be
is not decided here.

Identities come from the SPIFFE Workload API and rotate: a server takes the newest for each new
connection, a client dials anew.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from spiffe import X509Source

from nucleus_tokens.errors import CallerError, WorldError
from nucleus_verifier.rpc.names import SCHEME, WorkloadId, check_trust_domain, workload_id

FETCH_SECONDS: Final = 10.0
# What a client still has under way on an identity that was replaced.
_GRACE_SECONDS: Final = 30.0
# Between asking for a certificate and taking hold of it are some microseconds of gRPC's own.
_SETTLED_SECONDS: Final = 0.5
_ID_CHARS: Final = 2048
# A service that comes back is found again soon: leases are short.
_RECONNECT: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)


class Workload:
    """This process, as the Workload API says who it is. Close it."""

    def __init__(self, source: X509Source) -> None:
        self._source = source
        self._generation = 0
        self._lock = threading.Lock()
        self._public = self._pem()[1:]
        source.subscribe_for_updates(self._updated)
        svid = source.get_x509_context().default_svid
        self.id = parse_id(str(svid.spiffe_id))

    @classmethod
    def open(cls, address: str | None = None, *, seconds: float = FETCH_SECONDS) -> Self:
        """Ask the Workload API at `address` (`unix:///path`), else at SPIFFE_ENDPOINT_SOCKET. It
        blocks for at most `seconds`. Raises WorldError `identity.unavailable`."""
        try:
            return cls(X509Source(socket_path=address, timeout_in_seconds=seconds))
        except CallerError:
            raise
        except Exception as error:  # the client's family of errors has no common base
            raise WorldError(
                "identity.unavailable",
                "The Workload API gave this process no identity: "
                "check SPIFFE_ENDPOINT_SOCKET, and that the registry names this process.",
            ) from error

    @property
    def generation(self) -> int:
        """Another number after every rotation."""
        return self._generation

    def _updated(self) -> None:
        """Called from the client's own thread, also where nothing is new."""
        with self._lock:
            public = self._pem()[1:]
            if public != self._public:
                self._public = public
                self._generation += 1

    def close(self) -> None:
        """Forget it."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    # Servers ------------------------------------------------------------------------------------

    def server_credentials(self) -> grpc.ServerCredentials:
        """For `add_secure_port`: clients of our trust domain only, each with a certificate."""
        given = self._generation  # before we look: what comes meanwhile is given again
        now = self._configuration()
        newer: Any = _Newer(self, given, self._configuration)  # gRPC's stubs know no None
        return grpc.dynamic_ssl_server_credentials(now, newer, require_client_authentication=True)

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        key, chain, roots = self._pem()
        return grpc.ssl_server_certificate_configuration([(key, chain)], roots)

    # Clients ------------------------------------------------------------------------------------

    def dial(
        self, target: str, server: WorkloadId, options: Sequence[tuple[str, Any]] = ()
    ) -> grpc.aio.Channel:
        """A channel to whoever proves to be `server`, at `host:port` or `unix:/path`. It keeps
        today's identity; see `Dialled`. Raises CallerError `identity.no_name`."""
        name = server.dns_name
        if name is None or server.trust_domain != self.id.trust_domain:
            raise CallerError(
                "identity.no_name",
                f"{server} cannot be checked as a server: its path must be made of DNS labels, in "
                "this trust domain.",
            )
        key, chain, roots = self._pem()
        return grpc.aio.secure_channel(
            target,
            grpc.ssl_channel_credentials(roots, key, chain),
            [
                *_RECONNECT,
                *options,
                # Else two generations of one identity would share a connection.
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.ssl_target_name_override", name),
                ("grpc.default_authority", name),
            ],
        )

    # --------------------------------------------------------------------------------------------

    def _pem(self) -> tuple[bytes, bytes, bytes]:
        """Key, certificates (leaf first) and the roots of our own trust domain."""
        try:
            context = self._source.get_x509_context()
        except Exception as error:  # as above
            raise WorldError(
                "identity.unavailable", "The Workload API gives no identity any more."
            ) from error
        svid = context.default_svid
        bundle = context.x509_bundle_set.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
        if bundle is None:
            raise WorldError(
                "identity.unavailable", "The Workload API gives no bundle of this trust domain."
            )
        key = svid.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key, _joined(svid.cert_chain), _joined(bundle.x509_authorities)


class _Newer:
    """What gRPC asks at every connection: is there another certificate than the one it has?

    It frees the old one although a connection that has asked before may not have taken hold of it
    yet (grpc/grpc#36693), and ends the process then. So it is told of a new one only when there is
    one, and a while after the last connection that uses the old; it asks under a lock, so that
    nobody asks while we wait.
    """

    def __init__(
        self,
        workload: Workload,
        given: int,
        make: Callable[[], grpc.ServerCertificateConfiguration],
    ) -> None:
        self._workload = workload
        self._given = given
        self._make = make
        self._asked = time.monotonic()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        before, self._asked = self._asked, time.monotonic()
        generation = self._workload.generation
        if generation == self._given:
            return None
        time.sleep(max(0.0, before + _SETTLED_SECONDS - self._asked))
        made = self._make()
        self._given, self._asked = generation, time.monotonic()
        return made


class Dialled:
    """One server, always by the identity of now. Use it from one event loop, and close it."""

    def __init__(
        self,
        workload: Workload,
        target: str,
        server: WorkloadId,
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        self._workload = workload
        self._make: Callable[[], grpc.aio.Channel] = lambda: workload.dial(target, server, options)
        self._generation = -1
        self._channel: grpc.aio.Channel | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def channel(self) -> grpc.aio.Channel:
        """The channel to use for the next call."""
        if self._channel is None or self._generation != self._workload.generation:
            generation = self._workload.generation
            made = self._make()
            if self._channel is not None:
                task = asyncio.ensure_future(_retire(self._channel))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
            self._channel, self._generation = made, generation
        return self._channel

    async def close(self) -> None:
        """End every connection."""
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._channel is not None:
            await self._channel.close()
            self._channel = None


async def _retire(channel: grpc.aio.Channel) -> None:
    """What is under way goes on for a while."""
    try:
        await asyncio.sleep(_GRACE_SECONDS)
    finally:
        await channel.close()


def parse_id(text: str) -> WorkloadId:
    """A SPIFFE ID of whatever trust domain. Raises CallerError `identity.id`."""
    domain = text[:_ID_CHARS].removeprefix(SCHEME).split("/", 1)[0]
    return workload_id(text, check_trust_domain(domain))


def peer(auth: Mapping[str, Sequence[bytes]], trust_domain: str) -> tuple[WorkloadId, int] | None:
    """Who the other end of a call proved to be, and until when (unix seconds): of
    `context.auth_context()`. None for whoever proved nothing that counts here."""
    ids, certificates = auth.get("peer_spiffe_id", ()), auth.get("x509_pem_cert", ())
    if len(ids) != 1 or len(certificates) != 1:
        return None
    try:
        found = workload_id(ids[0].decode("ascii"), trust_domain)
        expires = x509.load_pem_x509_certificate(certificates[0]).not_valid_after_utc
    except (CallerError, ValueError):
        return None
    return found, int(expires.timestamp())


def _joined(certificates: Any) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)

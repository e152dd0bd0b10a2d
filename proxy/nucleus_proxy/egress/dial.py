"""Law: a connection goes to an address that was judged, and to no other; nothing resolves twice.

The one place that connects outward. A name is resolved once, every address it has is judged, and
the socket is opened to one of those addresses by number. Who resolves, whose certificates count
and which private addresses are excepted is given at construction; nothing is read from the
environment.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nucleus_proxy.egress.addresses import not_public
from nucleus_proxy.egress.resolving import Resolver
from nucleus_proxy.egress.url import is_address
from nucleus_proxy.streams import reads_little
from nucleus_tokens.errors import CredentialError, WorldError

CONNECT_SECONDS: Final = 10.0
# Where Debian and its family keep the public roots; a composition names it, or another file.
SYSTEM_ROOTS: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_STREAM_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Private:
    """An exception that the operator makes: this name at this port may have this address."""

    host: str
    port: int
    address: str


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection. `address` is where it leads."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    address: str

    def abort(self) -> None:
        """End it now, whatever is still to be written."""
        self.writer.transport.abort()


def client_tls(roots: Path | str) -> ssl.SSLContext:
    """TLS as a client: `roots` is a PEM file, or PEM text. Raises WorldError `net.roots`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        if isinstance(roots, Path):
            context.load_verify_locations(cafile=str(roots))
        else:
            context.load_verify_locations(cadata=roots)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise WorldError(
            "net.roots",
            "The trust roots cannot be read.",
            hint="Name a PEM file; Debian keeps one: apt-get install -y ca-certificates",
        ) from error
    return context


class Dialer:
    """Opens connections to what may be reached."""

    def __init__(
        self,
        *,
        resolver: Resolver,
        tls: ssl.SSLContext,
        private: Sequence[Private] = (),
        seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._resolver = resolver
        self._tls = tls
        self._private = frozenset(private)
        self._seconds = seconds

    async def dial(self, host: str, port: int, *, tls: bool) -> Connection:
        """Connect to a host. With `tls` its certificate must be for `host` and lead to a root.

        Raises CredentialError `net.address` for what may not be reached, WorldError
        `net.resolve`, `net.connect` or `net.certificate`.
        """
        try:
            async with asyncio.timeout(self._seconds):
                addresses = await self._judged(host, port)
                return await self._open(host, port, addresses, tls)
        except TimeoutError as error:
            raise WorldError("net.connect", f"{host} did not answer in time.") from error

    async def _judged(self, host: str, port: int) -> Sequence[str]:
        literal = is_address(host)
        found = (host,) if literal else await self._resolver.addresses(host)
        if not found:
            raise WorldError("net.resolve", f"The name {host} has no address here.")
        # One bad address spoils a name: else the answer's order would choose.
        for address in found:
            why = not_public(address)
            if why and Private(host, port, address) not in self._private:
                raise CredentialError(
                    "net.address",
                    f"{host} leads to an address that is {why}.",
                    hint="Only public addresses can be reached; an operator can except others.",
                )
        return found

    async def _open(self, host: str, port: int, addresses: Sequence[str], tls: bool) -> Connection:
        failed: OSError | None = None
        for address in addresses:
            try:
                return await self._connect(host, port, address, tls)
            except ssl.SSLCertVerificationError as error:
                raise WorldError(
                    "net.certificate",
                    f"The certificate of {host} is not good: {error.verify_message}.",
                ) from error
            except OSError as error:
                failed = error
        raise WorldError("net.connect", f"{host} cannot be reached.") from failed

    async def _connect(self, host: str, port: int, address: str, tls: bool) -> Connection:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
            reader, writer = await asyncio.open_connection(
                sock=sock,
                limit=_STREAM_BYTES,
                ssl=self._tls if tls else None,
                server_hostname=host if tls else None,
            )
        except BaseException:
            sock.close()
            raise
        reads_little(writer.transport)
        return Connection(reader, writer, address)

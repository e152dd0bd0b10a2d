"""Law: what is wrong with a deployment is said in one sentence each, with what to do about it.

Looks, and changes nothing. What could not be looked at is said to be unknown, never to be well.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from nucleus import identities
from nucleus.home import Home
from nucleus_issuer import files
from nucleus_tokens.errors import NucleusError, WorldError

if TYPE_CHECKING:
    from nucleus.remote import Where
    from nucleus_verifier.sidecar.settings import Listener

State = Literal["well", "warning", "wrong", "unknown"]
_SECONDS: Final = 5.0
_LEAST_BYTES: Final = 100 * 1024 * 1024
_LEAST_LIFE: Final = 300  # seconds that a certificate should still be valid
_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES: Final = 512  # more than struct timex has
_FILE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: State
    says: str
    do: str = ""

    def fields(self) -> dict[str, str]:
        made = {"what": self.what, "state": self.state, "says": self.says}
        return {**made, "do": self.do} if self.do else made


@dataclass(frozen=True, slots=True)
class Asked:
    """What to look at beside the home. `deep` reads all of the state."""

    sidecar: Path
    issuer: Where | None
    identity: str  # of the Workload API; empty: there is none
    deep: bool = False


def examine(place: Home, asked: Asked) -> list[Finding]:
    """Everything of one deployment, in the order in which to put it right."""
    found: list[Finding] = []
    for what, look in (
        ("home", lambda: _home(place)),
        ("permissions", lambda: _permissions(place)),
        ("keys", lambda: _keys(place)),
        ("store", lambda: _store(place, asked.deep)),
        ("clock", lambda: _clock(place)),
        ("disk", lambda: _disk(place)),
        ("files", lambda: _files(place)),
        ("identity", lambda: _identity(place, asked.identity)),
        ("identity", lambda: _walls(place, asked.identity)),
        ("issuer", lambda: _issuer(asked)),
        ("sidecar", lambda: _sidecar(asked.sidecar)),
    ):  # fmt: skip
        found += _looked(what, look)
    return found


def _looked(what: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except NucleusError as error:
        yield Finding(what, "wrong", error.message, error.hint or f"See {error.code}.")
    except OSError as error:
        yield Finding(what, "unknown", f"It cannot be looked at: {error.strerror}.", "Check it.")


def _home(place: Home) -> Iterator[Finding]:
    place.keyring()
    yield Finding("home", "well", f"There is a home at {place.data}.")


def _permissions(place: Home) -> Iterator[Finding]:
    bad = 0
    for directory in (place.config, place.data, place.state, place.keys_directory):
        if directory.exists() and directory.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            bad += 1
            yield Finding(
                "permissions", "wrong", f"{directory} can be written by others.",
                f"Run chmod 700 {directory}, and find out who wrote there.",
            )  # fmt: skip
    secrets = [*place.keys_directory.glob("*.key"), *place.data.glob("identity/authority-*.json")]
    secrets += [path for path in place.state.glob("*.sqlite*") if path.is_file()]
    for path in secrets:
        try:
            files.check(path, path.lstat(), secret=True)
        except WorldError as error:
            bad += 1
            yield Finding("permissions", "wrong", error.message, "If others read it, rotate it.")
    if not bad:
        yield Finding("permissions", "well", f"{len(secrets)} secret files are this user's alone.")


def _keys(place: Home) -> Iterator[Finding]:
    known = place.verifier_keys()
    bundle = place.keyring().bundle()
    yield Finding(
        "keys", "well",
        f"The bundle for {known.audience} lists {len(bundle.issuers)} issuer keys and "
        f"{len(bundle.approvers)} approvers; {len(known.audience_keys)} audience keys are here.",
    )  # fmt: skip


def _store(place: Home, deep: bool) -> Iterator[Finding]:
    with place.store() as store:
        seq, _ = store.trace_head()
        if deep:
            store.check()
        yield Finding(
            "store", "well", f"The state opens, and its trace has {seq} records"
            + (", all of them sound." if deep else "; --deep reads all of it."),
        )  # fmt: skip
        snapshot = store.read(_nothing())
        if snapshot.clock_ok:
            yield Finding("clock", "well", "The clock is not behind what was recorded.")
        else:
            yield Finding(
                "clock", "wrong",
                f"The clock stands before {_when(snapshot.now)}, which was recorded: nothing is "
                "allowed.",
                "Set the clock. Until it is past that moment this host stays closed.",
            )  # fmt: skip


def _nothing() -> Any:
    from nucleus_verifier.ports import Wanted

    return Wanted((), (), (), None, "", "", "", "")


def _clock(_: Home) -> Iterator[Finding]:
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    if state == _TIME_ERROR:
        yield Finding(
            "clock", "warning", "The kernel does not know its clock to be synchronised.",
            "Run a time service (systemd-timesyncd, chrony) on every host.",
        )  # fmt: skip
    elif state >= 0:
        yield Finding("clock", "well", "The kernel's clock is synchronised.")
    else:
        yield Finding("clock", "unknown", "The kernel does not tell of its clock.", "Check it.")


def _disk(place: Home) -> Iterator[Finding]:
    free = shutil.disk_usage(place.state).free
    if free < _LEAST_BYTES:
        yield Finding(
            "disk", "warning", f"{free // 2**20} MiB are free below {place.state}.",
            "Make room: without it nothing is recorded, and nothing is allowed.",
        )  # fmt: skip
    else:
        yield Finding("disk", "well", f"{free // 2**20} MiB are free.")


def _files(place: Home) -> Iterator[Finding]:
    from nucleus_issuer.identity import registry
    from nucleus_issuer.service import policy
    from nucleus_proxy.policy import load as load_policy

    domain = ""
    listed = place.config / "workloads.toml"
    if listed.exists():
        domain = registry.load(listed).trust_domain
        yield Finding("files", "well", f"{listed.name} can be read.")
    issuance = place.config / "issuance.toml"
    if issuance.exists() and domain:
        policy.load(issuance, domain)
        yield Finding("files", "well", f"{issuance.name} can be read.")
    if place.policy_path.exists():
        load_policy(place.policy_path)
        yield Finding("files", "well", f"{place.policy_path.name} can be read.")


def _identity(place: Home, address: str) -> Iterator[Finding]:
    if not address:
        yield Finding(
            "identity", "unknown", "SPIFFE_ENDPOINT_SOCKET is not set: nobody was asked.",
            "Set it to the socket of `nucleus identity serve`, or of SPIRE, if there is one.",
        )  # fmt: skip
        return
    from spiffe import WorkloadApiClient

    try:
        with WorkloadApiClient(address, default_timeout=_SECONDS) as client:
            svid = client.fetch_x509_svid()
    except Exception:  # noqa: BLE001  the client's family of errors has no common base
        yield Finding(
            "identity", "wrong", f"The Workload API at {address} gave no identity.",
            "Is it running, and is this process in its registry?",
        )  # fmt: skip
        return
    leaf = svid.leaf
    left = int(leaf.not_valid_after_utc.timestamp()) - place.clock()
    early = place.clock() - int(leaf.not_valid_before_utc.timestamp())
    if left < _LEAST_LIFE or early < 0:
        yield Finding(
            "identity", "wrong",
            f"The certificate of {svid.spiffe_id} is valid until "
            f"{leaf.not_valid_after_utc:%Y-%m-%d %H:%M:%SZ}, {left} seconds from now.",
            "Is it renewed? Compare the clocks of both hosts.",
        )  # fmt: skip
    else:
        yield Finding("identity", "well", f"This is {svid.spiffe_id}, for {left} seconds more.")


def _walls(place: Home, address: str) -> Iterator[Finding]:
    """Who agents behind walls are."""
    where = identities.service(place, {identities.VARIABLE: address})
    found, why = 0, [f"nobody serves {where}"]
    for kind in ("vm", "local"):
        one = identities.asked(where, kind, place.random(8).hex(), why.append)
        if one is not None:
            with one:
                found += 1
                yield Finding(
                    "identity", "well", f"An agent of run --{kind} is {one.of('NAME')}/agent."
                )
    if not found:
        yield Finding(
            "identity", "unknown", f"Agents behind walls have no SPIFFE identity: {why[-1]}.",
            "They need none. If they shall have one: docs/identity.md.",
        )  # fmt: skip


def _issuer(asked: Asked) -> Iterator[Finding]:
    where = asked.issuer
    if where is None:
        return
    if not asked.identity:
        yield Finding(
            "issuer", "unknown", f"Without an identity {where.address} was not asked.",
            "Set SPIFFE_ENDPOINT_SOCKET.",
        )  # fmt: skip
        return
    serving = asyncio.run(_health_of(where, asked.identity))
    if serving:
        yield Finding("issuer", "well", f"{where.address} serves, and gives leases.")
    else:
        yield Finding(
            "issuer", "wrong", f"{where.address} answers, but cannot read its state.",
            "See its log: it gives no leases, so its verifiers close.",
        )  # fmt: skip


async def _health_of(where: Where, identity: str) -> bool:
    import grpc
    from grpc_health.v1 import health_pb2 as pb

    from nucleus_verifier.rpc.mtls import Dialled, Workload
    from nucleus_verifier.rpc.names import WorkloadId, workload_id
    from nucleus_verifier.rpc.refusals import raised

    with await asyncio.to_thread(Workload.open, identity, seconds=_SECONDS) as workload:
        domain = workload.id.trust_domain
        named = where.id and workload_id(where.id, domain)
        dialled = Dialled(workload, where.address, named or WorkloadId(domain, ("issuer",)))
        ask: Any = dialled.channel().unary_unary(
            "/grpc.health.v1.Health/Check",
            pb.HealthCheckRequest.SerializeToString,
            pb.HealthCheckResponse.FromString,
        )
        try:
            said = await ask(pb.HealthCheckRequest(), timeout=_SECONDS, wait_for_ready=True)
        except grpc.RpcError as error:
            raise raised(error) from error
        finally:
            await dialled.close()
        return bool(said.status == pb.HealthCheckResponse.SERVING)


def _sidecar(path: Path) -> Iterator[Finding]:
    from nucleus_verifier.sidecar.settings import load

    if not path.exists():
        return
    settings = load(path, files.read(path, secret=False, most=_FILE_BYTES))
    yield Finding("sidecar", "well", f"{path.name} can be read: {len(settings.listeners)} doors.")
    for listener in settings.listeners:
        yield _listener(listener)
    if not settings.health:
        yield Finding(
            "sidecar", "warning", "It tells nobody whether it is ready.",
            f"Give `health` an address in {path.name}.",
        )  # fmt: skip
        return
    missing = _ready(settings.health)
    if not missing:
        yield Finding("sidecar", "well", "It is ready.")
    else:
        yield Finding(
            "sidecar", "wrong", f"It allows nothing: {', '.join(missing)}.",
            "revocation.stale: can it reach its issuer, and is it an [[audience]] there?",
        )  # fmt: skip


def _listener(listener: Listener) -> Finding:
    name, address = listener.name, listener.address
    try:
        if address.startswith("unix:"):
            mode = stat.S_IMODE(Path(address.removeprefix("unix:")).stat().st_mode)
            if mode & ~listener.mode:
                return Finding(
                    "sidecar", "wrong", f"The socket of {name} is open to more than it says "
                    f"({mode:04o}).", "Start the sidecar again, and find out who changed it.",
                )  # fmt: skip
        with _connected(address):
            pass
    except OSError as error:
        return Finding(
            "sidecar", "wrong", f"Nobody answers at {address} ({name}): {error.strerror}.",
            "Start it: nucleus verifier serve.",
        )  # fmt: skip
    return Finding("sidecar", "well", f"{name} listens at {address}.")


def _ready(address: str) -> Sequence[str]:
    """What keeps the sidecar from being ready, as it says itself."""
    import http.client

    with _connected(address) as sock:
        sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: health\r\nConnection: close\r\n\r\n")
        answer = http.client.HTTPResponse(sock)
        try:
            answer.begin()
            return [str(each) for each in json.loads(answer.read(_FILE_BYTES))["missing"]]
        except (http.client.HTTPException, ValueError, KeyError) as error:
            raise WorldError(
                "doctor.health", f"What answers at {address} is no sidecar's health."
            ) from error


def _connected(address: str) -> socket.socket:
    if address.startswith("unix:"):
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(_SECONDS)
        try:
            made.connect(os.fsencode(address.removeprefix("unix:")))
        except OSError:
            made.close()
            raise
        return made
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), _SECONDS)


def _when(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"

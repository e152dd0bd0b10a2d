"""Law: a tunnel carries bytes only between two ends that were judged, and only as long as it is.

CONNECT to a name and port that the operator lists. The first bytes must be a TLS greeting for
exactly that name; then bytes pass both ways unread, metered, until one side ends, the time is up,
or the registry of live effects cuts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nucleus_proxy.answers import Granted, Refusal
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.egress import hello
from nucleus_proxy.egress.dial import Connection
from nucleus_proxy.egress.fetching import listed
from nucleus_proxy.egress.meter import Account
from nucleus_proxy.egress.url import Target, is_address
from nucleus_tokens import flow, projection
from nucleus_tokens.errors import CredentialError, NucleusError
from nucleus_tokens.lattice import WEB_FETCH
from nucleus_verifier.facts import Selector

TOOL: Final = "net_connect"
PIECE: Final = 64 * 1024
PAY_BYTES: Final = 256 * 1024  # bytes out between two payments
OVER: Final = Refusal("connect.time", 0, "The tunnel's time is up.", "Open another one.")
# A call that touches nothing but a host: every other kind of resource is known to be none.
NOTHING_ELSE: Final[Mapping[str, tuple[str, ...]]] = {"path": (), "cmd": (), "ref": ()}


@dataclass(frozen=True, slots=True)
class TunnelLimits:
    """Bounds of one tunnel, in seconds."""

    hello_seconds: float = 10.0
    linger_seconds: float = 10.0  # for the other side, once one has said its last word
    seconds: float = 3600.0


def bound(host: str, port: int, allowed: frozenset[str]) -> BoundCall:
    """The call of a CONNECT. Raises CredentialError `connect.closed` for what is not listed."""
    opened = frozenset(
        name for name, _, at in (each.rpartition(":") for each in allowed) if at == str(port)
    )
    if is_address(host) or not listed(host, opened):
        raise CredentialError(
            "connect.closed",
            f"No tunnel is open to {host}:{port}.",
            hint="The operator's policy lists tunnels: [egress] connect.",
        )
    authority = Target("https", host, port, "/").authority
    return BoundCall(
        tool=TOOL,
        args={"host": f"{host}:{port}"},
        operation=WEB_FETCH,
        sink=flow.default_sink(WEB_FETCH),
        resources={"host": (authority,), **NOTHING_ELSE},
        # What is asked inside is not seen: a host in scope vouches for no URL.
        selectors=(Selector("/host", "url", f"{host}:{port}"),),
        records=projection.records(WEB_FETCH),
        projects=projection.projects(WEB_FETCH, False, False, 0),
        costs={},
        obliged=False,
        classified=True,
    )


async def greeting(reader: asyncio.StreamReader, begun: bytes, host: str, seconds: float) -> bytes:
    """The client's first bytes, once they are a greeting for `host`.

    Raises CredentialError `connect.hello` or `connect.name`; then nothing was sent anywhere.
    """
    data = begun
    try:
        async with asyncio.timeout(seconds):
            while (message := hello.message(data)) is None:
                piece = await reader.read(PIECE)
                if not piece:
                    raise CredentialError("connect.hello", "The tunnel ended before it began.")
                data += piece
    except TimeoutError as error:
        raise CredentialError("connect.hello", "The TLS greeting does not come.") from error
    named = hello.server_name(message)
    if named != host:
        raise CredentialError("connect.name", f"The TLS greeting names another server than {host}.")
    return data


@dataclass(frozen=True, slots=True)
class Ended:
    """How a tunnel ended. `refusal` says why, where it was not by itself."""

    out: int
    back: int
    refusal: Refusal | None


class Pump:
    """The two directions of one tunnel."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far: Connection,
        account: Account,
        limits: TunnelLimits,
    ) -> None:
        self._near = (reader, writer)
        self._far = far
        self._account = account
        self._limits = limits
        self._out = self._back = self._unpaid = 0
        self._refusal: Refusal | None = None

    def cut(self, refusal: Refusal) -> None:
        """End both directions now."""
        self._refusal = self._refusal or refusal
        self._far.abort()
        self._near[1].transport.abort()

    async def run(self, first: bytes) -> Ended:
        """Carry `first`, then everything, until an end."""
        try:
            async with asyncio.timeout(self._limits.seconds):
                await self._send(first)
                ways = [asyncio.ensure_future(way) for way in (self._outward(), self._inward())]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                    await asyncio.wait(ways, timeout=self._limits.linger_seconds)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
        except TimeoutError:
            self._refusal = self._refusal or Refusal(
                "connect.time", 0, "The tunnel's time is up.", ""
            )
        except (ConnectionError, OSError):
            pass
        finally:
            self._far.abort()
        refusal = await self._pay() or self._refusal
        return Ended(self._out, self._back, refusal)

    async def _outward(self) -> None:
        while data := await self._near[0].read(PIECE):
            await self._send(data)
        self._far.writer.write_eof()

    async def _inward(self) -> None:
        while data := await self._far.reader.read(PIECE):
            self._back += len(data)
            self._near[1].write(data)
            await self._near[1].drain()
        self._near[1].write_eof()

    async def _send(self, data: bytes) -> None:
        self._out += len(data)
        self._unpaid += len(data)
        if "bytes_out" in self._account.metered or self._unpaid >= PAY_BYTES:
            refusal = await self._pay()
            if refusal is not None:
                self.cut(refusal)
                return
        self._far.writer.write(data)
        await self._far.writer.drain()

    async def _pay(self) -> Refusal | None:
        owed, self._unpaid = self._unpaid, 0
        if not owed:
            return None
        try:
            return await self._account.pay({"bytes_out": owed})
        except NucleusError as error:
            return Refusal.failed(error)


def summary(granted: Granted, ended: Ended) -> bytes:
    """What the trace digests of a tunnel that ended."""
    code = "" if ended.refusal is None else ended.refusal.code
    return f"{granted.permit.seq} {ended.out} {ended.back} {code}".encode()

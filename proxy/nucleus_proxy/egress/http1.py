"""Law: HTTP/1.1 is spoken by a strict machine, one exchange a connection, within its limits.

The client's side: h11 does the protocol, this file does the waiting and the bounds. Nothing is
followed, stored, sent by itself or read from the environment. A body is asked for as it is or in
gzip, and unpacked piece by piece, so that a small answer cannot become a large one.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

import h11

from nucleus_proxy.egress.dial import Connection
from nucleus_tokens.errors import WorldError

HEAD_BYTES: Final = 64 * 1024
PIECE_BYTES: Final = 64 * 1024
MOST_HINTS: Final = 16  # answers before the answer (100, 103)
Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. `target` is in origin form; a body is sent with its length."""

    method: str
    target: str
    authority: str
    headers: Headers = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Head:
    """How an answer begins."""

    status: int
    headers: tuple[tuple[str, str], ...]  # names in lower case

    def one(self, name: str) -> str:
        """The value of a header that stands there once; empty if not, or if it does more often."""
        found = [value for key, value in self.headers if key == name]
        return found[0] if len(found) == 1 else ""


class Exchange:
    """One request and its answer over a connection of its own."""

    def __init__(self, connection: Connection, *, idle_seconds: float) -> None:
        self._connection = connection
        self._idle = idle_seconds
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)

    async def __aenter__(self) -> Exchange:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.abort()

    def abort(self) -> None:
        """End it now."""
        self._connection.abort()

    async def ask(self, request: Request) -> Head:
        """Send the request and read how the answer begins. Raises WorldError `net.*`."""
        headers: list[tuple[bytes, bytes]] = [
            (b"host", request.authority.encode("ascii")),
            *request.headers,
            (b"connection", b"close"),
        ]
        if request.body or request.method not in ("GET", "HEAD", "DELETE"):
            headers.append((b"content-length", str(len(request.body)).encode()))
        try:
            data = self._h11.send(
                h11.Request(method=request.method, target=request.target, headers=headers)
            )
            data = (data or b"") + (self._h11.send(h11.Data(data=request.body)) or b"")
            data += self._h11.send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError as error:
            raise WorldError("net.protocol", "This request cannot be spelled in HTTP.") from error
        try:
            self._connection.writer.write(data)
            await self._connection.writer.drain()
            for _ in range(MOST_HINTS):
                event = await self._next()
                if isinstance(event, h11.Response):
                    return Head(event.status_code, _texts(event.headers))
                if not isinstance(event, h11.InformationalResponse) or event.status_code == 101:
                    break
            _broken()
        except (ConnectionError, ssl.SSLError) as error:
            raise WorldError("net.connect", "The connection broke.") from error

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes, in its encoding. Raises WorldError `net.*`: an answer that ends
        before its end is an error, never a shorter answer."""
        try:
            while True:
                event = await self._next()
                if isinstance(event, h11.Data):
                    yield bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    return
                else:
                    _broken()
        except (ConnectionError, ssl.SSLError) as error:
            raise WorldError("net.connect", "The connection broke.") from error

    async def _next(self) -> object:
        try:
            while True:
                event = self._h11.next_event()
                if event is not h11.NEED_DATA:
                    return event
                async with asyncio.timeout(self._idle):
                    data = await self._connection.reader.read(PIECE_BYTES)
                self._h11.receive_data(data)
        except TimeoutError as error:
            raise WorldError("net.slow", "The other side does not go on.") from error
        except h11.RemoteProtocolError as error:
            raise WorldError("net.protocol", "The other side does not speak HTTP/1.1.") from error


def _broken() -> NoReturn:
    raise WorldError("net.protocol", "The other side does not speak HTTP/1.1.")


def _texts(headers: Headers) -> tuple[tuple[str, str], ...]:
    return tuple((key.decode("latin-1"), value.decode("latin-1")) for key, value in headers)


async def plain(pieces: AsyncIterator[bytes], encoding: str, most: int) -> AsyncIterator[bytes]:
    """The body unpacked, piece by piece, at most `most` bytes of it.

    Raises WorldError `net.too_large` as soon as there is more, `net.encoding` for an encoding that
    was not asked for or does not hold.
    """
    if encoding not in ("", "identity", "gzip"):
        raise WorldError("net.encoding", "The answer is packed in a way that was not asked for.")
    unpack = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    left = most
    async for packed in pieces:
        for data in (packed,) if unpack is None else _unpacked(unpack, packed):
            left -= len(data)
            if left < 0:
                raise WorldError("net.too_large", f"The answer has more than {most} bytes.")
            yield data
    if unpack is not None and not unpack.eof:
        raise WorldError("net.encoding", "The packed answer ends before its end.")


def _unpacked(unpack: zlib._Decompress, packed: bytes) -> Iterator[bytes]:
    """Never more at once than a piece, however small `packed` is."""
    try:
        while data := unpack.decompress(packed, PIECE_BYTES):
            yield data
            packed = unpack.unconsumed_tail
    except zlib.error as error:
        raise WorldError("net.encoding", "The answer is not the gzip it says it is.") from error
    if unpack.unused_data:
        raise WorldError("net.encoding", "Something follows the packed answer.")

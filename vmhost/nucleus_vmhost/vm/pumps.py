"""Law: above the channel everything speaks unix sockets; a service the host did not name does not
exist for the guest.

Each stream is one connection to a socket at the end that names its service. Bytes are moved and
not understood.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from nucleus_vmhost.vm.streams import Ended, Event, Opened, Received, Reset, Room, Side, Streams

_PIECE: Final = 65536


class Ends(NamedTuple):
    """Where a channel's bytes come from, and where they go."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class _Flow:
    """One stream: what came and is not yet written, and when more may be sent."""

    def __init__(self) -> None:
        self.came = bytearray()
        self.ended = False
        self.news = asyncio.Event()
        self.room = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Channel:
    """One end of a channel over a pair of streams, until either end breaks or closes it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        side: Side,
        services: Mapping[str, Path],
    ) -> None:
        self._reader, self._writer = reader, writer
        self._streams = Streams(side)
        self._services = services
        self._flows: dict[int, _Flow] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._send = asyncio.Event()
        self._sent = asyncio.Event()
        self._send.set()
        self._closed = False

    async def run(self) -> None:
        """Until the other end closes. Raises Broken where it breaks the framing."""
        sending = asyncio.create_task(self._sending())
        reading = asyncio.create_task(self._reading())
        try:
            done, _ = await asyncio.wait((sending, reading), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                with contextlib.suppress(ConnectionError):
                    task.result()
        finally:
            self._closed = True
            ending = {sending, reading, *self._tasks}
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
            self._writer.transport.abort()

    @contextlib.asynccontextmanager
    async def listening(self, where: Path | tuple[str, int], service: str) -> AsyncIterator[None]:
        """A socket here; each connection to it is a stream to the other end's service."""

        async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not self._joining(service, reader, writer):
                writer.transport.abort()

        if isinstance(where, Path):
            server = await asyncio.start_unix_server(met, where, limit=_PIECE)
        else:
            server = await asyncio.start_server(met, *where, limit=_PIECE)
        try:
            yield
        finally:
            server.close()
            if isinstance(where, Path):
                where.unlink(missing_ok=True)

    async def connected(self, service: str) -> socket.socket:
        """A connection to the other end's service. Raises ConnectionError where none can be."""
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=theirs, limit=_PIECE)
        if not self._joining(service, reader, writer):
            writer.transport.abort()
            ours.close()
            raise ConnectionError("the channel takes no more streams")
        ours.setblocking(False)
        return ours

    def _joining(
        self, service: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        stream = None if self._closed else self._streams.open(service)
        if stream is None:
            return False
        self._send.set()
        self._start(stream, reader, writer)
        return True

    # The channel's own two directions -------------------------------------------------------------

    async def _sending(self) -> None:
        while True:
            await self._send.wait()
            self._send.clear()
            self._writer.write(self._streams.taken())
            await self._writer.drain()
            self._sent.set()
            for flow in self._flows.values():
                flow.room.set()

    async def _reading(self) -> None:
        while data := await self._reader.read(_PIECE):
            for event in self._streams.heard(data):
                self._happened(event)
            self._send.set()
            # What does not read is not read from.
            while self._streams.full:
                self._sent.clear()
                await self._sent.wait()
        self._streams.over()

    def _happened(self, event: Event) -> None:
        if isinstance(event, Opened):
            self._opened(event)
            return
        flow = self._flows.get(event.stream)
        if flow is None:
            return
        match event:
            case Received():
                flow.came += event.data
            case Room():
                flow.room.set()
            case Ended():
                flow.ended = True
            case Reset():
                flow.came.clear()
                if flow.task is not None:
                    flow.task.cancel()
        flow.news.set()

    def _opened(self, event: Opened) -> None:
        path = self._services.get(event.service)
        if path is None:
            self._streams.reset(event.stream)
            return
        flow = self._flows[event.stream] = _Flow()
        self._keep(flow, self._reached(event.stream, flow, path))

    # One stream -----------------------------------------------------------------------------------

    def _start(
        self, stream: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        flow = self._flows[stream] = _Flow()
        self._keep(flow, self._joined(stream, flow, reader, writer))

    def _keep(self, flow: _Flow, moving: Coroutine[Any, Any, None]) -> None:
        flow.task = asyncio.create_task(moving)
        self._tasks.add(flow.task)
        flow.task.add_done_callback(self._tasks.discard)

    async def _reached(self, stream: int, flow: _Flow, path: Path) -> None:
        try:
            reader, writer = await asyncio.open_unix_connection(path, limit=_PIECE)
        except OSError:
            self._dropped(stream)
        except asyncio.CancelledError:
            self._dropped(stream)
            raise
        else:
            await self._joined(stream, flow, reader, writer)

    async def _joined(
        self,
        stream: int,
        flow: _Flow,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._outward(stream, flow, reader))
                both.create_task(self._inward(stream, flow, writer))
            writer.close()
            del self._flows[stream]
        except* OSError:
            pass
        finally:
            if stream in self._flows:
                self._dropped(stream)
                writer.transport.abort()

    def _dropped(self, stream: int) -> None:
        self._flows.pop(stream, None)
        self._streams.reset(stream)
        self._send.set()

    async def _outward(self, stream: int, flow: _Flow, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_PIECE):
            while data:
                flow.room.clear()
                if taken := self._streams.send(stream, data):
                    self._send.set()
                    data = data[taken:]
                else:
                    await flow.room.wait()
        self._streams.end(stream)
        self._send.set()

    async def _inward(self, stream: int, flow: _Flow, writer: asyncio.StreamWriter) -> None:
        while True:
            while flow.came:
                data = bytes(flow.came)
                flow.came.clear()
                writer.write(data)
                await writer.drain()
                self._streams.consumed(stream, len(data))
                self._send.set()
            if flow.ended:
                writer.write_eof()
                return
            flow.news.clear()
            await flow.news.wait()

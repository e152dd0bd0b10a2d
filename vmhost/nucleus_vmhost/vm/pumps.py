"""Law: above the channel everything speaks unix sockets; a service the host did not name does not
exist for the guest.

Each stream is one connection to a socket at the end that names its service. Bytes are moved and
not understood. Each move is one call from the loop and no task of its own: in the guest, which is
emulated, a call to its first process takes as long as this file needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from nucleus_vmhost.vm.frames import Broken
from nucleus_vmhost.vm.streams import Ended, Event, Opened, Received, Reset, Room, Side, Streams

_PIECE: Final = 65536
_BACKLOG: Final = 64


class _Ready:
    """What the loop calls when a descriptor can be read or written, and is asked to or not."""

    def __init__(self, fd: int, read: Callable[[], None], write: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd, self._read, self._write = fd, read, write
        self._reads = self._writes = False

    def reads(self, wanted: bool) -> None:
        if wanted and not self._reads:
            self._loop.add_reader(self._fd, self._read)
        elif self._reads and not wanted:
            self._loop.remove_reader(self._fd)
        self._reads = wanted

    def writes(self, wanted: bool) -> None:
        if wanted and not self._writes:
            self._loop.add_writer(self._fd, self._write)
        elif self._writes and not wanted:
            self._loop.remove_writer(self._fd)
        self._writes = wanted

    def close(self) -> None:
        self.reads(False)
        self.writes(False)


class _Flow:
    """One stream and its connection here: what came and is not yet written to it, and what was
    read from it and may not yet be sent."""

    def __init__(self, connection: socket.socket, ready: _Ready) -> None:
        self.connection, self.ready = connection, ready
        self.came = bytearray()
        self.rest = b""
        self.they_ended = False
        self.told = False  # the connection knows that nothing more comes
        self.ended = False  # the other end knows that nothing more comes


class Line(NamedTuple):
    """A channel that nobody speaks on now: its descriptor, and how far it was `spoken` on."""

    fd: int
    spoken: int = 0


class Channel:
    """One end of a channel, whose descriptor is its own from now on, until either end breaks or
    closes it, or it is left."""

    def __init__(self, line: Line, side: Side, services: Mapping[str, Path]) -> None:
        os.set_blocking(line.fd, False)
        self._fd = line.fd
        self._streams = Streams(side, line.spoken)
        self._services = services
        self._flows: dict[int, _Flow] = {}
        self._out = memoryview(b"")
        self._closed = False
        self._ready: _Ready | None = None
        self._over: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Until the other end closes, or this one is left. Raises Broken where the other breaks
        the framing."""
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        self._ready = _Ready(self._fd, self._readable, self._flush)
        try:
            self._flush()
            await self._over
        finally:
            self._closed = True
            self._ready.close()
            for stream in list(self._flows):
                self._close(stream)
            if self._fd >= 0:
                os.close(self._fd)

    async def left(self, seconds: float) -> Line:
        """Leave the channel to another, once each stream has ended. Raises TimeoutError where
        that takes longer, ConnectionError where the channel ends meanwhile."""
        async with asyncio.timeout(seconds):
            while (spoken := self._streams.next) is None or self._out:
                if self._closed:
                    raise ConnectionError("the channel has ended")
                await asyncio.sleep(0.001)
        assert self._ready is not None  # noqa: S101  it has greeted
        self._ready.close()
        self._closed = True
        self._end()
        line, self._fd = Line(self._fd, spoken), -1
        return line

    @contextlib.asynccontextmanager
    async def listening(self, where: Path | tuple[str, int], service: str) -> AsyncIterator[None]:
        """A socket here; each connection to it is a stream to the other end's service."""
        loop = asyncio.get_running_loop()
        path = where if isinstance(where, Path) else None
        with socket.socket(socket.AF_UNIX if path else socket.AF_INET) as server:

            def met() -> None:
                with contextlib.suppress(OSError):
                    connection, _ = server.accept()
                    if not self._joined(service, connection):
                        connection.close()

            server.bind(where if isinstance(where, tuple) else os.fspath(where))
            server.listen(_BACKLOG)
            server.setblocking(False)
            loop.add_reader(server, met)
            try:
                yield
            finally:
                loop.remove_reader(server)
                if path:
                    path.unlink(missing_ok=True)

    def connected(self, service: str) -> socket.socket:
        """A connection to the other end's service. Raises ConnectionError where none can be."""
        ours, theirs = socket.socketpair()
        if not self._joined(service, theirs):
            theirs.close()
            ours.close()
            raise ConnectionError("the channel takes no more streams")
        ours.setblocking(False)
        return ours

    def _joined(self, service: str, connection: socket.socket) -> bool:
        stream = None if self._closed else self._streams.open(service)
        if stream is None:
            return False
        self._start(stream, connection)
        self._flush()
        return True

    # The channel's own two directions -------------------------------------------------------------

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _PIECE)
            for event in self._streams.heard(data):
                self._happened(event)
            if not data:
                self._streams.over()
                self._end()
        except BlockingIOError:
            return
        except Broken as error:
            self._end(error)
        except OSError:
            self._end()
        self._flush()

    def _flush(self) -> None:
        """Send what waits, as far as it goes. Before `run`, nothing is said."""
        if self._ready is None or self._closed:
            return
        try:
            while self._out or self._more():
                self._out = self._out[os.write(self._fd, self._out) :]
        except BlockingIOError:
            pass
        except OSError:
            self._end()
        self._ready.writes(bool(self._out))
        # What does not read is not read from.
        self._ready.reads(not self._streams.full)

    def _more(self) -> bool:
        held = self._streams.full
        self._out = memoryview(self._streams.taken())
        if held:
            for stream, flow in list(self._flows.items()):
                if flow.rest:
                    self._leaving(stream)
        return bool(self._out)

    def _end(self, why: Broken | None = None) -> None:
        if self._over is not None and not self._over.done():
            if why is None:
                self._over.set_result(None)
            else:
                self._over.set_exception(why)

    def _happened(self, event: Event) -> None:
        if isinstance(event, Opened):
            self._reached(event)
            return
        flow = self._flows.get(event.stream)
        if flow is None:
            return
        match event:
            case Received():
                flow.came += event.data
                self._arriving(event.stream)
            case Room():
                if flow.rest:
                    self._leaving(event.stream)
            case Ended():
                flow.they_ended = True
                self._arriving(event.stream)
            case Reset():
                self._close(event.stream)

    def _reached(self, event: Opened) -> None:
        path = self._services.get(event.service)
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(False)
        try:
            if path is None:
                raise FileNotFoundError
            connection.connect(os.fspath(path))
        except OSError:
            connection.close()
            self._streams.reset(event.stream)
        else:
            self._start(event.stream, connection)

    # One stream -----------------------------------------------------------------------------------

    def _start(self, stream: int, connection: socket.socket) -> None:
        def move(way: Callable[[int], None]) -> None:
            way(stream)
            self._flush()

        connection.setblocking(False)
        ready = _Ready(
            connection.fileno(), partial(move, self._leaving), partial(move, self._arriving)
        )
        self._flows[stream] = _Flow(connection, ready)
        ready.reads(True)

    def _leaving(self, stream: int) -> None:
        """From the connection to the channel, within the window."""
        flow = self._flows[stream]
        try:
            data = flow.rest or flow.connection.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            self._drop(stream)
            return
        if data:
            flow.rest = data[self._streams.send(stream, data) :]
        else:
            flow.ended = True
            self._streams.end(stream)
        flow.ready.reads(not flow.rest and not flow.ended)
        self._settle(stream)

    def _arriving(self, stream: int) -> None:
        """From the channel to the connection."""
        flow = self._flows[stream]
        try:
            while flow.came:
                size = flow.connection.send(flow.came)
                del flow.came[:size]
                self._streams.consumed(stream, size)
            if flow.they_ended and not flow.told:
                flow.connection.shutdown(socket.SHUT_WR)
                flow.told = True
        except BlockingIOError:
            pass
        except OSError:
            self._drop(stream)
            return
        flow.ready.writes(bool(flow.came))
        self._settle(stream)

    def _settle(self, stream: int) -> None:
        flow = self._flows[stream]
        if flow.told and flow.ended:
            self._close(stream)

    def _drop(self, stream: int) -> None:
        self._close(stream)
        self._streams.reset(stream)

    def _close(self, stream: int) -> None:
        flow = self._flows.pop(stream)
        flow.ready.close()
        flow.connection.close()

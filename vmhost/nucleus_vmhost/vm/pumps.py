"""Law: above the channel everything speaks unix sockets; a service the host did not name does not
exist for the guest.

Each stream is one connection to a socket at the end that names its service. Bytes are moved and
not understood. Each move is one call from a loop and no task of its own: in the guest, which is
emulated, a call to its first process takes as long as this file needs. So the loop is the host's
asyncio, and in the guest, which imports none of that, a page.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from nucleus_vmhost.vm.frames import Broken
from nucleus_vmhost.vm.streams import Ended, Event, Opened, Received, Reset, Room, Side, Streams

_PIECE: Final = 65536


class Loop(Protocol):
    """Who calls when a descriptor can be read or written. It may do so once in vain."""

    def add_reader(self, fd: int, callback: Callable[[], None], /) -> None: ...

    def remove_reader(self, fd: int, /) -> object: ...

    def add_writer(self, fd: int, callback: Callable[[], None], /) -> None: ...

    def remove_writer(self, fd: int, /) -> object: ...


class _Ready:
    """What the loop calls when a descriptor can be read or written, and is asked to or not."""

    def __init__(
        self, loop: Loop, fd: int, read: Callable[[], None], write: Callable[[], None]
    ) -> None:
        self._loop, self._fd, self._read, self._write = loop, fd, read, write
        self._reads = self._writes = False

    def reads(self, wanted: bool) -> None:
        if wanted == self._reads:
            return
        self._reads = wanted
        if wanted:
            self._loop.add_reader(self._fd, self._read)
        else:
            self._loop.remove_reader(self._fd)

    def writes(self, wanted: bool) -> None:
        if wanted == self._writes:
            return
        self._writes = wanted
        if wanted:
            self._loop.add_writer(self._fd, self._write)
        else:
            self._loop.remove_writer(self._fd)

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


class Pumps:
    """One end of a channel, whose descriptor is its own from now on, until it is closed."""

    def __init__(self, line: Line, side: Side, services: Mapping[str, Path], loop: Loop) -> None:
        os.set_blocking(line.fd, False)
        self._fd = line.fd
        self._streams = Streams(side, line.spoken)
        self._services = services
        self._loop = loop
        self._flows: dict[int, _Flow] = {}
        self._out = memoryview(b"")
        self._closed = False
        self._ready: _Ready | None = None
        self._over: Callable[[Broken | None], None] | None = None

    def begin(self, over: Callable[[Broken | None], None]) -> None:
        """Say what waits, and hear. `over` is called once, when the other end closes or, with the
        reason, breaks the framing."""
        self._over = over
        self._ready = _Ready(self._loop, self._fd, self._readable, self._flush)
        self._flush()

    def close(self) -> None:
        self._closed = True
        if self._ready is not None:
            self._ready.close()
        for stream in list(self._flows):
            self._close(stream)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def listen(self, server: socket.socket, service: str) -> None:
        """Each connection to a socket that listens here is a stream to the other end's service."""

        def met() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                connection.setblocking(False)
                if not self.joined(service, connection):
                    connection.close()

        server.setblocking(False)
        self._loop.add_reader(server.fileno(), met)

    def joined(self, service: str, connection: socket.socket, said: bytes = b"") -> bool:
        """Whether a connection here, which never blocks, is a stream to the other end's service
        from now on. What it has `said` already goes along with its beginning."""
        stream = None if self._closed else self._streams.open(service)
        if stream is None:
            return False
        self._start(stream, connection)
        if said:
            self._flows[stream].rest = said
            self._leaving(stream)
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
        """Send what waits, as far as it goes. Before it begins, nothing is said."""
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
        over, self._over = self._over, None
        if over is not None:
            over(why)

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
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
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

        leaving, arriving = partial(move, self._leaving), partial(move, self._arriving)
        ready = _Ready(self._loop, connection.fileno(), leaving, arriving)
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

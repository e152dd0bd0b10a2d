"""Law: an answer is believed only by whoever asked, once; an id is used once.

The books of one relay: what the client asked and the server has not answered, what the server asked
and the client has not answered, and our own questions in between. Answers to anything else are
dropped.
"""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from typing import Any, Final

from nucleus_proxy import wire
from nucleus_proxy.methods import GOES_ON, READS, TOOLS_CALL
from nucleus_proxy.wire import Frame, Key, Writer
from nucleus_tokens.errors import CallerError

# Ids remembered after their answer; what is still open is never forgotten.
_REMEMBERED: Final = 65_536
MOST_OPEN: Final = 256
_RETRY_SECONDS: Final = 0.01


class Line:
    """The writing end of a stream: whole lines, one after the other."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._lock = asyncio.Lock()

    async def send(self, raw: bytes) -> None:
        """Write one line; a peer that is gone is noticed by whoever reads from it."""
        async with self._lock:
            try:
                self.writer.write(raw + b"\n")
                await self.writer.drain()
            except (ConnectionError, RuntimeError):
                pass

    async def send_descriptor(self, raw: bytes, connection: socket.socket, number: int) -> None:
        """Write one line with a descriptor, past the writer, whose buffer is empty once drained
        (its limit must be 0). `connection` is the socket that the writer writes to."""
        async with self._lock:
            try:
                await self.writer.drain()
                sent = 0
                while not sent:
                    try:
                        sent = socket.send_fds(connection, [raw + b"\n"], [number])
                    except BlockingIOError:  # the other side does not read at the moment
                        await asyncio.sleep(_RETRY_SECONDS)
                self.writer.write((raw + b"\n")[sent:])
                await self.writer.drain()
            except (OSError, RuntimeError):
                pass


class ClientIds:
    """The ids a client has used."""

    def __init__(self) -> None:
        self._used: OrderedDict[Key, None] = OrderedDict()

    def fresh(self, key: Key) -> bool:
        """Note an id; False if it was used before."""
        if key in self._used:
            return False
        self._used[key] = None
        if len(self._used) > _REMEMBERED:
            self._used.popitem(last=False)
        return True


class ServerLink:
    """The road to one server for everything but calls (those go through `effects`)."""

    def __init__(self, writer: Writer, prefix: str) -> None:
        """`prefix` starts the ids of our own questions; a client cannot guess it."""
        self._line = Line(writer)
        self._prefix = prefix
        self._asked = 0
        self._open: dict[Key, asyncio.Future[Frame | None]] = {}
        self._given_up: set[Key] = set()
        self._late: dict[Key, asyncio.Future[None]] = {}
        self._calls: set[Key] = set()  # those that may go on after an answer
        self._closed = False

    @property
    def writer(self) -> Writer:
        return self._line.writer

    def __contains__(self, key: Key) -> bool:
        return key in self._open

    def __len__(self) -> int:
        return len(self._open)

    def expect(self, key: Key, *, call: bool = False) -> asyncio.Future[Frame | None]:
        """The answer to come: None when the server ended or the client gave up. What waits for a
        `call` also waits for its end, see `late`, where the answer says that it goes on."""
        future: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_result(None)
        else:
            self._open[key] = future
            if call:
                self._calls.add(key)
        return future

    def answered(self, key: Key, frame: Frame | None) -> bool:
        """Deliver an answer; False if nobody asked."""
        future = self._open.pop(key, None)
        if future is None:
            return self._came_late(key)
        if key in self._calls and frame is not None and goes_on(frame):
            self.late(key)  # now: its end may stand in the next line
        self._calls.discard(key)
        if not future.done():
            future.set_result(frame)
        return True

    def give_up(self, key: Key) -> None:
        """The client must not be answered any more, so nobody waits for this answer."""
        self._given_up.add(key)
        self.answered(key, None)

    def was_given_up(self, key: Key) -> bool:
        """Whether an answer that did not come is one that nobody waits for. Asked once."""
        was = key in self._given_up
        self._given_up.discard(key)
        return was

    def late(self, key: Key) -> asyncio.Future[None]:
        """The end of a request that was given up, or goes on: its server answers it after all, or
        ends. Whoever waited for it says so with `over`."""
        future = self._late.get(key)
        if future is None:
            future = self._late[key] = asyncio.get_running_loop().create_future()
        if self._closed:
            self._came_late(key)
        return future

    def _came_late(self, key: Key) -> bool:
        future = self._late.get(key)
        if future is None or future.done():
            return False
        future.set_result(None)
        return True

    def over(self, key: Key) -> None:
        """Nobody waits for the end of this request any more."""
        self._late.pop(key, None)

    def close(self, why: str = "") -> None:
        """The server ended: nothing will be answered any more. `why`, where we know it, is its
        answer to whoever waits."""
        self._closed = True
        for key in [*self._open, *self._late]:
            said = wire.parse(wire.error(key[1], wire.WORLD_FAILED, why)) if why else None
            self.answered(key, said)

    async def pass_on(self, frame: Frame) -> None:
        """Forward anything but a call."""
        _not_a_call(frame.method)
        await self._line.send(frame.raw)

    async def refuse(self, frame: Frame, message: str) -> None:
        """Answer the server's own request with an error."""
        await self._line.send(wire.error(frame.id, wire.METHOD_NOT_FOUND, message))

    async def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        """A question of our own: its result, or None for an error."""
        _not_a_call(method)
        self._asked += 1
        frame_id = f"{self._prefix}{self._asked}"
        future = self.expect((str, frame_id))
        await self._line.send(wire.request(frame_id, method, params))
        frame = await future
        result = None if frame is None else frame.value.get("result")
        return result if type(result) is dict else None


def goes_on(frame: Frame) -> bool:
    """Whether a server that answered with a question is still at work on what it answered."""
    result = frame.value.get("result")
    return type(result) is dict and result.get(GOES_ON) is True


def _not_a_call(method: str) -> None:
    if method == TOOLS_CALL or method in READS:
        raise CallerError("effect.no_permit", "A call needs a permit.")

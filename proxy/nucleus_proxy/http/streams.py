"""Law: an answer goes to the stream of the request that it answers, and to no other.

The writing end of a relay whose client speaks HTTP: each request has a stream of its own, and what
the server says of itself has one more. What a stream was given is kept until somebody has read it
to its end, so that a broken connection can be taken up again where it broke.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from nucleus_proxy import methods, toolcall, wire
from nucleus_proxy.http import repeated
from nucleus_proxy.wire import UNBOUNDED, BadFrame, Frame, Key

MOST_KEPT: Final = 16 * 1024 * 1024  # bytes that nobody has read yet, of one session
MOST_SAID: Final = 1024 * 1024  # bytes that a server says of itself while nobody listens
MOST_READ: Final = 64  # events of a stream that were read, and could be asked for again
_IDS: Final = (str, int)
SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"
MOST_BROKEN: Final = 32  # streams whose reader went away


class Stream:
    """What goes to one request, or what the server says of itself."""

    def __init__(self, number: int, request: Frame | None) -> None:
        self.number = number
        self.request = request
        self.events: list[bytes] = []
        self.first = 0  # the number of the first that is still kept
        self.unread = 0  # bytes
        self._passed = 0  # the number of the first that nobody has read
        self.answer: bytes | None = None  # the event that ends it
        self.done = False
        self.readers = 0
        self.changed = asyncio.Event()

    def put(self, event: bytes, *, last: bool) -> None:
        self.events.append(event)
        self.unread += len(event)
        if last:
            self.answer, self.done = event, True
        self.changed.set()

    def drop(self) -> None:
        """Forget the first event that is kept."""
        event = self.events.pop(0)
        if self._passed <= self.first:
            self.unread -= len(event)
            self._passed = self.first + 1
        self.first += 1

    def close(self) -> None:
        self.done = True
        self.changed.set()

    def at(self, number: int) -> tuple[int, bytes] | None:
        """The first event that is kept from this number on, with its own number."""
        number = max(number, self.first)
        index = number - self.first
        return (number, self.events[index]) if index < len(self.events) else None

    def was_given(self, number: int) -> None:
        """Whoever reads has this event."""
        while self._passed <= number:
            self.unread -= len(self.events[self._passed - self.first])
            self._passed += 1
        while self._passed - self.first > MOST_READ:
            self.drop()


class Streams:
    """All of one session. It is the relay's `Writer`."""

    def __init__(self, log: Callable[[str], None], *, renamed: bool) -> None:
        """With `renamed` several clients share the session: their ids and progress tokens are
        replaced on the way in, and given back on the way out."""
        self._log = log
        self.renamed = renamed
        self._made = 1
        self.own = Stream(0, None)
        self.by_number: dict[int, Stream] = {0: self.own}
        self._by_key: dict[Key, Stream] = {}
        self._by_progress: dict[Key, tuple[Stream, Any]] = {}
        self._room = asyncio.Event()
        self._room.set()
        self.closed = asyncio.Event()
        self.declared: dict[str, repeated.Declared] = {}  # of the tools that were shown
        self.version = ""  # what the server agreed to speak, in the old era

    # What comes in -----------------------------------------------------------------------------

    def opened(self, frame: Frame) -> tuple[Stream, bytes]:
        """A stream for a request, and the line to read for it."""
        stream = Stream(self._made, frame)
        self._made += 1
        value, key = frame.value, frame.key
        token = toolcall.progress_token(frame.params)
        if self.renamed:
            key = (str, f"h{stream.number}")
            value = {**value, "id": key[1]}
        if token is not None:
            at: Key = key if self.renamed else (type(token), token)
            self._by_progress[at] = (stream, token)
            meta = {**frame.params["_meta"], "progressToken": at[1]}
            value = {**value, "params": {**frame.params, "_meta": meta}}
        if key in self._by_key:
            # The relay refuses the second use of an id, and that is for this stream.
            self._by_key.pop(key).close()
        self._by_key[key] = self.by_number[stream.number] = stream
        # Spelled anew: a line break inside of what was sent would be two lines.
        return stream, wire.spell(value) + b"\n"

    def cancelled(self, stream: Stream) -> bytes:
        """The line that takes back a renamed request whose client is gone."""
        about = {"requestId": f"h{stream.number}", "reason": "The client is gone."}
        return wire.notification("notifications/cancelled", about) + b"\n"

    def left(self, stream: Stream, *, whole: bool) -> None:
        """A reader of this stream is gone; `whole` if it has read all."""
        stream.readers -= 1
        if stream is self.own:
            return
        if whole or self.renamed:
            self._forget(stream)
            return
        broken = [s for s in self.by_number.values() if not s.readers and s is not self.own]
        for old in broken[: max(0, len(broken) - MOST_BROKEN)]:
            self._forget(old)

    def _forget(self, stream: Stream) -> None:
        self.by_number.pop(stream.number, None)
        for key in [key for key, found in self._by_key.items() if found is stream]:
            del self._by_key[key]
        self._forget_progress(stream)
        stream.close()
        self.was_read()

    def _forget_progress(self, stream: Stream) -> None:
        for key in [key for key, (found, _) in self._by_progress.items() if found is stream]:
            del self._by_progress[key]

    # What goes out: the Writer ------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """One whole line of the relay."""
        try:
            frame = wire.parse(data, from_server=True, limit=UNBOUNDED)
        except BadFrame as error:
            self._log(f"dropped a line that is no message: {error.message}")
            return
        if frame.kind == "response":
            self._answer(frame)
            return
        params = frame.params
        if frame.method == "notifications/progress":
            token: Any = params.get("progressToken")
            found = self._by_progress.get((type(token), token)) if type(token) in _IDS else None
            if found is not None:
                stream, theirs = found
                frame = frame.altered("params", {**params, "progressToken": theirs})
                self._put(stream, frame.raw)
            return
        listens = self._subscribed(frame)
        if listens is not None:
            stream, frame = listens
            self._put(stream, frame.raw)
            return
        self._put(self._newest() or self.own, frame.raw)

    def _subscribed(self, frame: Frame) -> tuple[Stream, Frame] | None:
        """The stream of the request that listens for this, and what it is told there."""
        meta = frame.params.get("_meta")
        if type(meta) is not dict:
            return None
        key = wire.key_of(meta.get(SUBSCRIPTION))
        stream = None if key is None else self._by_key.get(key)
        if stream is None or stream.request is None:
            return None
        about = {**frame.params, "_meta": {**meta, SUBSCRIPTION: stream.request.id}}
        return stream, frame.altered("params", about) if self.renamed else frame

    def _answer(self, frame: Frame) -> None:
        # An answer without an id is to a message that we have parsed before: there is none.
        stream = None if frame.id is None else self._by_key.pop(frame.key, None)
        if stream is None or stream.request is None:
            self._log("dropped an answer whose request is gone")
            return
        if self.renamed:
            frame = frame.altered("id", stream.request.id)
        result = frame.value.get("result")
        if stream.request.method == "initialize" and type(result) is dict:
            self.version = str(result.get("protocolVersion", ""))
        if stream.request.method == methods.TOOLS_LIST:
            repeated.learn(self.declared, result)
        self._forget_progress(stream)
        stream.put(frame.raw, last=True)

    def _newest(self) -> Stream | None:
        """Where what a server says goes while a request is under way: many clients open no stream
        for what it says of itself. Of several clients it is only known where one alone waits."""
        waiting = [s for s in reversed(self._by_key.values()) if s.readers]
        if self.own.readers or not waiting or (self.renamed and len(waiting) > 1):
            return None
        return waiting[0]

    def _put(self, stream: Stream, raw: bytes) -> None:
        stream.put(raw, last=False)
        while stream is self.own and not stream.readers and stream.unread > MOST_SAID:
            stream.drop()

    async def drain(self) -> None:
        """Until there is room: a client that reads nothing holds up its own session."""
        while self.kept() > MOST_KEPT and not self.closed.is_set():
            self._room.clear()
            await self._room.wait()

    def kept(self) -> int:
        """Bytes that whoever reads now has not read yet."""
        return sum(s.unread for s in self.by_number.values() if s.readers)

    def was_read(self) -> None:
        """There may be room again."""
        self._room.set()

    def close(self) -> None:
        """The relay has ended."""
        self.closed.set()
        self._room.set()
        for stream in self.by_number.values():
            stream.close()

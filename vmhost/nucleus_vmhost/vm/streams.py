"""Law: many streams on one channel, each with a window; what the other end may make us keep is
bounded, and whatever it says that it may not ends the channel.

A state machine: bytes and wishes in, events and bytes out. It waits for nothing and touches no
file.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from nucleus_vmhost.vm.frames import LARGEST, Broken, Frame, Kind, Reader, spelled

GREETING: Final = b"nucleus-vm/1"
WINDOW: Final = 131072
MOST: Final = 64
# Where this much waits to be sent, nothing more is to be read: see `Streams.full`.
WAITING: Final = 1048576
_LAST: Final = 2**32 - 1
_SERVICE: Final = re.compile(rb"[a-z][a-z0-9-]{0,31}")


class Side(enum.IntEnum):
    """Who opens which streams: the host the even ones, the guest the odd ones."""

    GUEST = 1
    HOST = 2


@dataclass(frozen=True, slots=True)
class Opened:
    """The other end opened a stream to a service."""

    stream: int
    service: str


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes of a stream, within its window: say `consumed` when they are gone."""

    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Room:
    """More may be sent on a stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The other end sends no more on a stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class Reset:
    """The other end has dropped a stream; what is kept of it is to be dropped too."""

    stream: int


Event = Opened | Received | Room | Ended | Reset


@dataclass(slots=True)
class _Stream:
    ours: bool
    send: int = WINDOW
    receive: int = WINDOW
    unread: int = 0
    owed: int = 0
    we_ended: bool = False
    they_ended: bool = False

    @property
    def over(self) -> bool:
        return self.we_ended and self.they_ended and not self.unread


class Streams:
    """One end of a channel. `spoken` is not 0 where this end goes on with one that was spoken on
    before, and is the number of its next stream."""

    def __init__(self, side: Side, spoken: int = 0) -> None:
        self._reader = Reader()
        self._live: dict[int, _Stream] = {}
        self._next = spoken or int(side)
        self._parity = side % 2
        self._highest = 0
        self._greeted = bool(spoken)
        self._broken: Broken | None = None
        self._out = bytearray(b"" if spoken else spelled(Kind.HELLO, 0, GREETING))

    # What is to be sent ---------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing more is to be read: the other end does not read."""
        return len(self._out) >= WAITING

    @property
    def waiting(self) -> int:
        """How many bytes wait to be sent."""
        return len(self._out)

    @property
    def kept(self) -> int:
        """How many received bytes are kept here or not yet consumed."""
        return self._reader.kept + sum(one.unread for one in self._live.values())

    @property
    def next(self) -> int | None:
        """With what number this end's next stream begins, where another could go on: both have
        greeted, no stream lives and nothing waits. None where it could not."""
        still = self._greeted and not self._live and not self._out and not self._reader.kept
        return self._next if still and not self._highest else None

    @property
    def live(self) -> int:
        """How many streams there are."""
        return len(self._live)

    def taken(self) -> bytes:
        """What waits, which is then the caller's to send."""
        out = bytes(self._out)
        self._out.clear()
        return out

    # What is wished -------------------------------------------------------------------------------

    def open(self, service: str) -> int | None:
        """A new stream, or None where as many are open as may be."""
        name = service.encode("ascii")
        if not _SERVICE.fullmatch(name):
            raise ValueError(f"{service!r} is no name of a service")
        if self._next > _LAST or self._count(ours=True) >= MOST:
            return None
        stream, self._next = self._next, self._next + 2
        self._live[stream] = _Stream(ours=True)
        self._out += spelled(Kind.OPEN, stream, name)
        return stream

    def send(self, stream: int, data: bytes) -> int:
        """How many of the bytes were taken: fewer where the window or the channel is full."""
        one = self._live.get(stream)
        if one is None or one.we_ended or self.full:
            return 0
        allowed = data[: min(one.send, len(data))]
        for start in range(0, len(allowed), LARGEST):
            self._out += spelled(Kind.DATA, stream, allowed[start : start + LARGEST])
        one.send -= len(allowed)
        return len(allowed)

    def consumed(self, stream: int, size: int) -> None:
        """So many received bytes are gone; the other end may send as many again."""
        one = self._live.get(stream)
        if one is None:
            return
        if not 0 < size <= one.unread:
            raise ValueError("more was consumed than received")
        one.unread -= size
        one.owed += size
        # Not for each byte: a frame of one byte would be answered with eleven.
        if one.owed >= WINDOW // 4 and not one.they_ended:
            self._out += spelled(Kind.CREDIT, stream, one.owed.to_bytes(4, "big"))
            one.receive += one.owed
            one.owed = 0
        self._forget(stream, one)

    def end(self, stream: int) -> None:
        """Nothing more is sent on a stream."""
        one = self._live.get(stream)
        if one is not None and not one.we_ended:
            one.we_ended = True
            self._out += spelled(Kind.END, stream)
            self._forget(stream, one)

    def reset(self, stream: int) -> None:
        """A stream is dropped; what the other end still says of it is passed over."""
        if self._live.pop(stream, None) is not None:
            self._out += spelled(Kind.RESET, stream)

    # What is heard --------------------------------------------------------------------------------

    def heard(self, data: bytes) -> Iterator[Event]:
        """What the bytes mean. Raises Broken at the first that mean nothing, and ever after."""
        if self._broken is not None:
            raise self._broken
        try:
            for frame in self._reader.frames(data):
                event = self._meant(frame)
                if event is not None:
                    yield event
        except Broken as error:
            self._broken = error
            self._live.clear()
            raise

    def over(self) -> None:
        """No more bytes come. Raises Broken where they stopped inside a frame."""
        if self._reader.kept:
            raise Broken("the channel was cut inside a frame")

    def _meant(self, frame: Frame) -> Event | None:
        kind, stream, body = frame
        if (kind is Kind.HELLO) == self._greeted:
            raise Broken("the greeting comes first, and once")
        if kind is Kind.HELLO:
            if body != GREETING:
                raise Broken("the other end speaks another version")
            self._greeted = True
            return None
        if kind is Kind.OPEN:
            return self._opened(stream, body)
        one = self._live.get(stream)
        if one is not None:
            return self._said(stream, one, kind, body)
        if not self._was(stream):
            raise Broken(f"stream {stream} was never opened")
        return None

    def _opened(self, stream: int, body: bytes) -> Event | None:
        if stream % 2 == self._parity or stream <= self._highest:
            raise Broken(f"stream {stream} is not the other end's to open")
        if not _SERVICE.fullmatch(body):
            raise Broken("a stream is opened to no name of a service")
        self._highest = stream
        # What ended but is not yet consumed counts here and not there: too many is no offence.
        if self._count(ours=False) >= MOST:
            self._out += spelled(Kind.RESET, stream)
            return None
        self._live[stream] = _Stream(ours=False)
        return Opened(stream, body.decode("ascii"))

    def _said(self, stream: int, one: _Stream, kind: Kind, body: bytes) -> Event:
        if kind is Kind.RESET:
            del self._live[stream]
            return Reset(stream)
        if kind is Kind.CREDIT:
            more = int.from_bytes(body, "big")
            if not 0 < more <= WINDOW - one.send:
                raise Broken(f"stream {stream} was given a window it cannot have")
            one.send += more
            return Room(stream)
        if one.they_ended:
            raise Broken(f"stream {stream} goes on after its end")
        if kind is Kind.END:
            one.they_ended = True
            self._forget(stream, one)
            return Ended(stream)
        if len(body) > one.receive:
            raise Broken(f"stream {stream} sends more than its window")
        one.receive -= len(body)
        one.unread += len(body)
        return Received(stream, body)

    def _was(self, stream: int) -> bool:
        return stream < self._next if stream % 2 == self._parity else stream <= self._highest

    def _count(self, *, ours: bool) -> int:
        return sum(one.ours is ours for one in self._live.values())

    def _forget(self, stream: int, one: _Stream) -> None:
        if one.over:
            del self._live[stream]

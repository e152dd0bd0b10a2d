"""Law: an event is whole or it is not told; none is larger than a message may be.

Server-sent events as HTML defines them, read from pieces of bytes: id, data and retry, nothing
else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nucleus_proxy.wire import FRAME_BYTES
from nucleus_tokens.errors import WorldError

_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `id` is the last that the stream named."""

    id: str
    data: bytes


class Events:
    """Reads one stream. `retry` is how long it asks to wait, in seconds, before coming again."""

    def __init__(self) -> None:
        self._rest = b""
        self._searched = 0  # of the rest; no line ends there, and nobody looks there again
        self._data: list[bytes] = []
        self._size = 0
        self._id = ""
        self.retry = 1.0

    def feed(self, piece: bytes) -> Iterator[Event]:
        """What has become whole by this piece. Raises WorldError `net.too_large`."""
        self._rest += piece
        if len(self._rest) + self._size > 2 * FRAME_BYTES:
            raise WorldError("net.too_large", f"A message has at most {FRAME_BYTES} bytes.")
        while True:
            end = _END.search(self._rest, self._searched)
            # A carriage return at the very end may be half of a line's end.
            if end is None or (end[0] == b"\r" and end.end() == len(self._rest)):
                self._searched = len(self._rest) if end is None else end.start()
                return
            line, self._rest = self._rest[: end.start()], self._rest[end.end() :]
            self._searched = 0
            if line:
                self._line(line)
            elif self._data:
                data, self._data, self._size = b"\n".join(self._data), [], 0
                yield Event(self._id, data)

    def _line(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._data.append(value)
                self._size += len(value)
            case b"id" if b"\0" not in value and len(value) <= 1024:
                self._id = value.decode("latin-1")
            case b"retry" if value.isdigit() and len(value) < 6:
                self.retry = min(int(value) / 1000, 30.0)

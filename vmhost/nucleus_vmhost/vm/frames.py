"""Law: a frame is read whole or not at all, and never more than one is kept.

A frame is seven bytes of head (kind, stream, length; big-endian) and at most `LARGEST` bytes. Both
ends run this file; the guest has the standard library alone, so nothing else is imported.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

FRAME: Final = 65536
_HEAD: Final = struct.Struct(">BIH")
LARGEST: Final = FRAME - _HEAD.size


class Kind(enum.IntEnum):
    """What a frame says. HELLO is the first each way, and only the first."""

    HELLO = 1
    OPEN = 2
    DATA = 3
    CREDIT = 4
    END = 5
    RESET = 6


# The least and the most each kind carries; known from the head, before anything is kept.
_CARRIES: Final = {
    Kind.HELLO: (1, 32),
    Kind.OPEN: (1, 32),
    Kind.DATA: (1, LARGEST),
    Kind.CREDIT: (4, 4),
    Kind.END: (0, 0),
    Kind.RESET: (0, 0),
}
_KINDS: Final = {int(kind): (kind, *carries) for kind, carries in _CARRIES.items()}


class Broken(Exception):
    """The other end broke the framing. The channel is of no further use."""


class Frame(NamedTuple):
    """One frame, its head checked and its meaning not."""

    kind: Kind
    stream: int
    body: bytes


def spelled(kind: Kind, stream: int, body: bytes = b"") -> bytes:
    """A frame as bytes."""
    return _HEAD.pack(kind, stream, len(body)) + body


class Reader:
    """Bytes in, frames out, however the bytes are split."""

    def __init__(self) -> None:
        self._kept = bytearray()

    @property
    def kept(self) -> int:
        """How many bytes wait for the rest of their frame: fewer than FRAME."""
        return len(self._kept)

    def frames(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now. Raises Broken at the first head that cannot be one; what
        came before it has been given."""
        kept, at = self._kept, 0
        kept += data
        try:
            while len(kept) - at >= _HEAD.size:
                kind, stream, length = _head(kept, at)
                start, end = at + _HEAD.size, at + _HEAD.size + length
                if len(kept) < end:
                    break
                at = end
                yield Frame(kind, stream, bytes(kept[start:end]))
        finally:
            del kept[:at]


def _head(kept: bytearray, at: int) -> tuple[Kind, int, int]:
    number, stream, length = _HEAD.unpack_from(kept, at)
    if number not in _KINDS:
        raise Broken(f"no frame is of kind {number}")
    kind, least, most = _KINDS[number]
    if not least <= length <= most:
        raise Broken(f"a frame {kind.name} does not carry {length} bytes")
    if (kind is Kind.HELLO) != (stream == 0):
        raise Broken(f"a frame {kind.name} is not of stream {stream}")
    return kind, stream, length

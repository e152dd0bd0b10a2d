"""HTTP/2 by hand (RFC 9113), for clients that do not keep to it."""

from __future__ import annotations

import struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
CALL: Final = "/nucleus.tools.v1.Tools/Call"


def frame(kind: int, body: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """One frame."""
    return struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body


def hello() -> bytes:
    """What opens a connection."""
    return PREFACE + frame(SETTINGS)


def header(name: bytes, value: bytes) -> bytes:
    """A field, literally: no table, no Huffman (RFC 7541, 6.2.2); each shorter than 127."""
    return b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value


def headers(path: str = CALL, *more: tuple[bytes, bytes]) -> bytes:
    """The block of a gRPC request."""
    fields = (
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", path.encode()),
        (b":authority", b"localhost"), (b"te", b"trailers"),
        (b"content-type", b"application/grpc"), *more,
    )  # fmt: skip
    return b"".join(header(*each) for each in fields)


def message(raw: bytes, *, compressed: bool = False, length: int | None = None) -> bytes:
    """A gRPC message; `length` is what it says of itself."""
    return struct.pack(">BI", compressed, len(raw) if length is None else length) + raw


def call(stream: int, raw: bytes) -> bytes:
    """A whole request on a stream."""
    head = frame(HEADERS, headers(), flags=END_HEADERS, stream=stream)
    return head + frame(DATA, message(raw), flags=END_STREAM, stream=stream)


def reset(stream: int) -> bytes:
    """What drops a stream: the client no longer wants it."""
    return frame(RST, b"\0\0\0\x08", stream=stream)


def frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """The whole frames in some bytes: kind, flags, stream, body."""
    found = []
    while len(data) >= 9 and len(data) >= 9 + (size := int.from_bytes(data[:3], "big")):
        kind, flags, stream = struct.unpack(">BBI", data[3:9])
        found.append((kind, flags, stream, data[9 : 9 + size]))
        data = data[9 + size :]
    return found

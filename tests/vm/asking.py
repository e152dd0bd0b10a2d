"""A client of the Workload API for agents that have Python and nothing else.

Its text is put before an agent's own; `fetched(call, message)` gives the first message of an
answer, or None where the call was refused. HTTP/2 as in RFC 9113, headers as RFC 7541 spells them
without a table.
"""

from __future__ import annotations

from typing import Final

CLIENT: Final = """
import os, socket, struct
def text(word):
    raw = word.encode()
    return bytes([len(raw)]) + raw
def header(name, value):
    return b"\\0" + text(name) + text(value)
def frame(kind, flags, stream, body=b""):
    size = struct.pack(">I", len(body))[1:]
    return size + bytes([kind, flags]) + struct.pack(">I", stream) + body
def connected():
    where = os.environ["SPIFFE_ENDPOINT_SOCKET"]
    if where.startswith("tcp://"):
        host, _, port = where.removeprefix("tcp://").partition(":")
        return socket.create_connection((host, int(port)))
    made = socket.socket(socket.AF_UNIX)
    made.connect(where.removeprefix("unix://"))
    return made
def fetched(call, message=b"", proves="true"):
    with connected() as road:
        heads = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"),
                 (":path", "/SpiffeWorkloadAPI/" + call), ("te", "trailers"),
                 ("content-type", "application/grpc"), ("workload.spiffe.io", proves)]
        road.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + frame(4, 0, 0)
                     + frame(1, 4, 1, b"".join(header(*each) for each in heads))
                     + frame(0, 1, 1, b"\\0" + struct.pack(">I", len(message)) + message))
        came, kept = road.makefile("rb"), b""
        while head := came.read(9):
            size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            body = came.read(size)
            if kind == 4 and not flags & 1:
                road.sendall(frame(4, 1, 0))
            if kind == 0:
                kept += body
                if len(kept) >= 5 and len(kept) >= 5 + int.from_bytes(kept[1:5], "big"):
                    return kept[5:]
            if kind in (1, 3) and head[5:] == bytes([0, 0, 0, 1]) and (kind == 3 or flags & 1):
                return None
        raise SystemExit("it hung up")
"""

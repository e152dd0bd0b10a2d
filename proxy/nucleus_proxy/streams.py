"""Law: a road is a pair of byte streams; nothing above this file knows what they are made of.

stdin and stdout as asyncio streams. They are made non-blocking only through asyncio, and stdout is
never written by anything else: one stray print would be a message.
"""

from __future__ import annotations

import asyncio
import sys
from typing import BinaryIO, Final

from nucleus_proxy.wire import FRAME_BYTES

_LIMIT: Final = FRAME_BYTES + 1
_AT_A_TIME: Final = 64 * 1024


def reads_little(transport: object) -> None:
    """Read at most 64 KiB at a time. asyncio asks for 256 KiB, which malloc maps, and unmaps, for
    each line (ADR 0056). A transport that knows no such bound is left as it is."""
    if hasattr(transport, "max_size"):
        transport.max_size = _AT_A_TIME


async def stdio(
    stdin: BinaryIO | None = None, stdout: BinaryIO | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """This process's stdin and stdout, or the two pipes given."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LIMIT)
    protocol = asyncio.StreamReaderProtocol(reader)
    near, _ = await loop.connect_read_pipe(lambda: protocol, stdin or sys.stdin.buffer)
    reads_little(near)
    transport, flow = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, stdout or sys.stdout.buffer
    )
    return reader, asyncio.StreamWriter(transport, flow, None, loop)

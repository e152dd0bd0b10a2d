"""What is read at once is no more than a line needs: asyncio would map memory for each."""

from __future__ import annotations

import os
import sys

from nucleus_proxy.server import ServerProcess
from nucleus_proxy.servers import ServerSpec
from nucleus_proxy.streams import reads_little, stdio

MOST = 64 * 1024


def at_once(reader: object) -> int:
    most: int = getattr(reader, "_transport").max_size  # noqa: B009  it has no other name
    return most


async def test_a_pipe_and_a_server_are_read_little_at_a_time() -> None:
    near, far = os.pipe(), os.pipe()
    reader, writer = await stdio(os.fdopen(near[0], "rb"), os.fdopen(far[1], "wb"))
    server = await ServerProcess.start(ServerSpec((sys.executable, "-c", "input()")))
    try:
        assert at_once(reader) == at_once(server.reader) == MOST
    finally:
        await server.stop()
        writer.close()
        os.close(near[1])
        os.close(far[0])


def test_what_knows_no_bound_is_left_as_it_is() -> None:
    reads_little(None)
    transport = object()
    reads_little(transport)
    assert not hasattr(transport, "max_size")

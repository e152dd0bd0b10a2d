"""Law: the guest half moves bytes between the agent and the channel, and reads none.

It runs under a uid of its own that owns the channel's port. What the agent meets are its sockets;
who decides is at the other end.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from nucleus_vmhost.vm.guest.names import INSIDE, PROXY, PROXY_PORT, TOOLS, TOOLS_PORT
from nucleus_vmhost.vm.pumps import Channel
from nucleus_vmhost.vm.streams import Side

FIRST: Final = Path("/run/first")  # the first process listens here, for us alone
AGENT: Final = Path("/run/nucleus")  # and we here, for the agent
_PIECE: Final = 65536


async def serve(port: int, ready: int) -> None:
    """Serve the agent and the channel until that ends. `ready` is written to once we listen."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_PIECE)
    services = {name: FIRST / f"{name}.sock" for name in INSIDE}
    # Nothing is said before the host has spoken: a snapshot is taken while we wait here.
    spoken = asyncio.Event()
    loop.add_reader(port, spoken.set)
    os.write(ready, b"+")
    os.close(ready)
    await spoken.wait()
    loop.remove_reader(port)
    protocol = asyncio.StreamReaderProtocol(reader)
    await loop.connect_read_pipe(lambda: protocol, os.fdopen(os.dup(port), "rb", 0))
    transport, flow = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(port, "wb", 0)
    )
    writer = asyncio.StreamWriter(transport, flow, reader, loop)
    channel = Channel(reader, writer, Side.GUEST, services)
    async with AsyncExitStack() as stack:
        for service, number in ((TOOLS, TOOLS_PORT), (PROXY, PROXY_PORT)):
            path = AGENT / f"{service}.sock"
            await stack.enter_async_context(channel.listening(path, service))
            path.chmod(0o666)
            await stack.enter_async_context(channel.listening(("127.0.0.1", number), service))
        await channel.run()


def main(port: int, ready: int) -> None:
    """Until the channel ends, which ends the machine."""
    asyncio.run(serve(port, ready))

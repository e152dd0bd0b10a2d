"""Law: the guest half moves bytes between the agent and the channel, and reads none.

It runs under a uid of its own that owns the channel's port. What the agent meets are its sockets;
who decides is at the other end.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import stat
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from nucleus_vmhost.vm.guest.names import (
    INSIDE,
    OUTSIDE,
    PING,
    PROXY,
    PROXY_PORT,
    TOOLS,
    TOOLS_PORT,
)
from nucleus_vmhost.vm.pumps import Channel, Line
from nucleus_vmhost.vm.streams import Side

FIRST: Final = Path("/run/first")  # the first process listens here, for us alone
AGENT: Final = Path("/run/nucleus")  # and we here, for the agent
_PIECE: Final = 65536
_REHEARSALS: Final = 16


async def serve(port: int, ready: int) -> None:
    """Serve the agent and the channel until that ends. `ready` is written to once we listen."""
    loop = asyncio.get_running_loop()
    services = {name: FIRST / f"{name}.sock" for name in INSIDE}
    channel = Channel(Line(port), Side.GUEST, services)
    async with AsyncExitStack() as stack:
        for service in OUTSIDE:
            path = AGENT / f"{service}.sock"
            await stack.enter_async_context(channel.listening(path, service))
            path.chmod(0o666)
        for service, number in ((TOOLS, TOOLS_PORT), (PROXY, PROXY_PORT)):
            await stack.enter_async_context(channel.listening(("127.0.0.1", number), service))
        await _rehearsed(services)
        # Nothing is said before the host has spoken: a snapshot is taken while we wait here.
        spoken = asyncio.Event()
        loop.add_reader(port, spoken.set)
        os.write(ready, b"+")
        os.close(ready)
        await spoken.wait()
        loop.remove_reader(port)
        _taken(port)
        await channel.run()


def _taken(port: int) -> None:
    """Where the port is a listening vsock, its first connection stands in its place from now on:
    only the host can be that, and there is no second."""
    if stat.S_ISSOCK(os.fstat(port).st_mode):
        with socket.socket(fileno=os.dup(port)) as taking:
            connection, _ = taking.accept()
            with connection:
                os.dup2(connection.fileno(), port)
        os.set_blocking(port, False)


async def _rehearsed(services: Mapping[str, Path]) -> None:
    """Go the way of a call, between two ends in here, before the machine is kept: what is done
    for the first time is done once, and not by each copy in memory of its own."""
    loop = asyncio.get_running_loop()
    ends = [
        Channel(Line(end.detach()), side, services)
        for end, side in zip(socket.socketpair(), Side, strict=True)
    ]
    running = [asyncio.ensure_future(end.run()) for end in ends]
    for _ in range(_REHEARSALS):
        connection = ends[1].connected(PING)
        await loop.sock_sendall(connection, b"{}\n")
        while await loop.sock_recv(connection, _PIECE):
            pass
        connection.close()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    gc.collect()
    gc.freeze()  # a collection would write to every page that is shared


def main(port: int, ready: int) -> None:
    """Until the channel ends, which ends the machine."""
    asyncio.run(serve(port, ready))

"""Law: whoever breaks this process gets what the agent has: the socket that speaks MCP.

HTTP/2 and protobuf from a hostile agent are read in a process of their own, which holds no token
and no key, and runs in a cell whose one road is that socket (`nucleus.fronting` makes it). Its
standard input is the listening socket that the agent comes to.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Coroutine
from typing import Any, Final

import grpc
import grpc.aio

from nucleus_proxy import wire
from nucleus_proxy.rpc.front import Front, Reach, Streams
from nucleus_verifier.rpc.bounds import at_once

MOST_CONNECTIONS: Final = 16
MOST_CALLS: Final = 32  # at once on one connection; a client waits with more
MOST_AT_ONCE: Final = 64  # on all of them; more are refused
_PIECE: Final = 65536
_LOOPBACK: Final = "127.0.0.1"
_OPTIONS: Final = (
    *at_once(MOST_CALLS),
    ("grpc.max_receive_message_length", wire.FRAME_BYTES),
    ("grpc.max_send_message_length", 2 * wire.ANSWER_BYTES),
    ("grpc.max_metadata_size", 8192),
    ("grpc.absolute_max_metadata_size", 16384),
    # Without compression: what is small on the wire is small here.
    ("grpc.compression_enabled_algorithms_bitset", 1),
    ("grpc.so_reuseport", 0),
)


async def serve(listening: socket.socket, reach: Reach) -> None:
    """Take whoever comes until cancelled. `reach` leads to the socket that speaks MCP."""
    server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=MOST_AT_ONCE)
    server.add_generic_rpc_handlers((Front(reach).handler(),))
    port = server.add_insecure_port(f"{_LOOPBACK}:0")
    await server.start()
    try:
        await _take(listening, port)
    finally:
        await server.stop(0)


async def _take(listening: socket.socket, port: int) -> None:
    """Join whoever comes to the server. gRPC takes no descriptor, nor counts connections."""
    loop = asyncio.get_running_loop()
    listening.setblocking(False)
    joined: set[asyncio.Task[None]] = set()
    try:
        while True:
            near, _ = await loop.sock_accept(listening)
            if len(joined) >= MOST_CONNECTIONS:
                near.close()
                continue
            task = loop.create_task(_joined(near, port))
            joined.add(task)
            task.add_done_callback(joined.discard)
    finally:
        for task in joined:
            task.cancel()
        await asyncio.gather(*joined, return_exceptions=True)


async def _joined(near: socket.socket, port: int) -> None:
    """Carry bytes both ways until either end has ended."""
    loop = asyncio.get_running_loop()

    async def copy(source: socket.socket, sink: socket.socket) -> None:
        while data := await loop.sock_recv(source, _PIECE):
            await loop.sock_sendall(sink, data)

    with near, socket.socket(socket.AF_INET) as far:
        near.setblocking(False)
        far.setblocking(False)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            await loop.sock_connect(far, (_LOOPBACK, port))
            await _first(copy(near, far), copy(far, near))


async def _first(*works: Coroutine[Any, Any, None]) -> None:
    """Until one of them has ended; then none goes on."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def main() -> None:
    """Serve in a cell, where `NUCLEUS_TOOLS` says which port leads to the tools."""
    host, _, port = os.environ["NUCLEUS_TOOLS"].partition(":")

    async def reach() -> Streams:
        return await asyncio.open_connection(host, int(port), limit=wire.ANSWER_BYTES)

    asyncio.run(serve(socket.socket(fileno=sys.stdin.fileno()), reach))


if __name__ == "__main__":
    main()

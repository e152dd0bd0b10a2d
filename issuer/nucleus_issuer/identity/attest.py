"""Law: the kernel says who is at the other end of a socket; nobody says it of himself.

gRPC's Python server does not tell whom it talks to, so an acceptor stands in front: it takes each
connection, asks the kernel (SO_PEERCRED), finds the identities, and moves the bytes to a server
that speaks for exactly those. The inner servers listen in a directory that only our own user
enters: whoever could go around the acceptor could read the authority's key as well.

`exe` is what the process runs when it connects. A process that runs something else afterwards
keeps its connection; a uid is the firmer selector.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from nucleus_issuer.identity.registry import Peer

MOST_CONNECTIONS: Final = 256
_CHUNK: Final = 64 * 1024

# From a connection to the path of the inner socket that speaks for its peer.
Route = Callable[[Peer], Awaitable[Path]]


def peer_of(connection: socket.socket, *, exe: bool) -> Peer:
    """Who connected, by SO_PEERCRED (unix(7)): the credentials at the time of connect."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", raw)
    found: str | None = None
    if exe:
        with suppress(OSError):
            found = os.readlink(f"/proc/{pid}/exe")
    return Peer(uid=uid & 0xFFFFFFFF, gid=gid & 0xFFFFFFFF, pid=pid, exe=found)


class Acceptor:
    """Takes connections of one socket and moves their bytes to where `route` says."""

    def __init__(self, route: Route, *, exe: bool) -> None:
        self._route = route
        self._exe = exe
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection; for asyncio.start_unix_server."""
        if self._over or len(self._tasks) >= MOST_CONNECTIONS:
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Not by the task itself: one that is cancelled before it began closes nothing.
        task.add_done_callback(lambda _: writer.close())

    async def close(self) -> None:
        """End every connection, those on their way here too."""
        self._over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            peer = peer_of(writer.get_extra_info("socket"), exe=self._exe)
            inner_reader, inner_writer = await asyncio.open_unix_connection(await self._route(peer))
            try:
                await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
            finally:
                inner_writer.close()
        except OSError:
            pass  # one of both ends is gone: so is the connection


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()

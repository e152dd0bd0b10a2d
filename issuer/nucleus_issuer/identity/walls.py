"""Law: whoever may start walls names each of them, and only what is behind it is answered as it.

A run of an agent connects here and is known by the kernel's word. It says which wall it makes, and
is told that wall's identity. Then it hands over a listening socket of its own, which nobody but the
agent behind that wall reaches: whoever connects there is answered as this agent, until the run
closes its connection or is gone. The run itself gets no document and no key.

In: a line of JSON, {"kind", "name"}. Out: {"id"} or {"error"}. In: one byte, with the descriptor.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
from collections.abc import AsyncIterator, Callable, Set
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from nucleus_issuer.identity.attest import Acceptor, peer_of
from nucleus_issuer.identity.registry import Entry, Peer, Registry
from nucleus_tokens.errors import WorldError
from nucleus_verifier.rpc.names import WorkloadId

AGENT: Final = "agent"  # below the wall's own identity, which nobody behind it has
_MOST: Final = 256
_LINE: Final = 256
_SECONDS: Final = 10.0
_BACKLOG: Final = 16
_NAME: Final = re.compile(r"[0-9a-f]{12,32}")

# Serves the Workload API for one identity, with JWT-SVIDs for these audiences alone; where.
Serve = Callable[[WorkloadId, Set[str]], AbstractAsyncContextManager[Path]]


class Walls:
    """The identities of what is behind walls on one host."""

    def __init__(self, registry: Registry, serve: Serve) -> None:
        self._registry, self._serve = registry, serve

    @asynccontextmanager
    async def open(self, path: Path) -> AsyncIterator[None]:
        """Listen while the block runs. Raises WorldError `identity.socket`."""
        meetings: set[asyncio.Task[None]] = set()
        with socket.socket(socket.AF_UNIX) as listening:
            try:
                listening.bind(os.fspath(path))
                path.chmod(0o666)  # whoever connects is judged by its credentials
            except OSError as error:
                raise WorldError(
                    "identity.socket", f"The socket {path} cannot be made: {error}."
                ) from error
            listening.listen(_BACKLOG)
            listening.setblocking(False)
            meetings.add(asyncio.ensure_future(self._accept(listening, meetings)))
            try:
                yield
            finally:
                ending = set(meetings)
                for task in ending:
                    task.cancel()
                await asyncio.gather(*ending, return_exceptions=True)
                path.unlink(missing_ok=True)

    async def _accept(self, listening: socket.socket, meetings: set[asyncio.Task[None]]) -> None:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(listening)
            if len(meetings) > _MOST:
                connection.close()
                continue
            task = asyncio.ensure_future(self._meet(connection))
            meetings.add(task)
            task.add_done_callback(meetings.discard)

    async def _meet(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with connection, suppress(OSError, TimeoutError):
            async with asyncio.timeout(_SECONDS):
                asked = await loop.sock_recv(connection, _LINE)
            found = self._named(peer_of(connection, exe=self._registry.needs_exe), asked)
            if isinstance(found, str):
                connection.sendall(json.dumps({"error": found}).encode() + b"\n")
                return
            entry, wall = found
            connection.sendall(json.dumps({"id": str(wall)}).encode() + b"\n")
            listener = await _descriptor(connection)
            if listener is None:
                return
            agent = WorkloadId(wall.trust_domain, (*wall.segments, AGENT))
            async with self._serve(agent, entry.audiences) as inner:
                await _joined(listener, inner, connection)

    def _named(self, peer: Peer, asked: bytes) -> tuple[Entry, WorkloadId] | str:
        """The wall that a process asks for, or why there is none."""
        try:
            said: Any = json.loads(asked)
            kind, name = said["kind"], said["name"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return "this is no wall"
        if type(name) is not str or not _NAME.fullmatch(name):
            return "this is no name of a wall"
        entry = self._registry.of_wall(peer, kind)
        if entry is None:
            return "the registry does not let you start walls of this kind"
        return entry, WorkloadId(entry.id.trust_domain, (*entry.id.segments, name))


async def _descriptor(connection: socket.socket) -> socket.socket | None:
    """The listening unix socket that is handed over; None where the other side is gone or hands
    over anything else."""
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)
    _, fds, _, _ = socket.recv_fds(connection, 1, 1, socket.MSG_CMSG_CLOEXEC)
    if not fds:
        return None
    made = socket.socket(fileno=fds[0])
    if made.family == socket.AF_UNIX and made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return made
    made.close()
    return None


async def _joined(listener: socket.socket, inner: Path, connection: socket.socket) -> None:
    """Whoever comes to the listener is answered at `inner`, until the connection's end."""

    async def route(_: Peer) -> Path:
        return inner

    acceptor = Acceptor(route, exe=False)
    server = await asyncio.start_unix_server(acceptor.connected, sock=listener)
    try:
        await asyncio.get_running_loop().sock_recv(connection, 1)
    finally:
        server.close()
        await acceptor.close()

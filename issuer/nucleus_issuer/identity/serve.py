"""Law: one folder, one socket for all of a host's processes, one more for each socket identity,
and one where those who may start walls ask for identities of what is behind them.

Everything is put together here: the acceptors, the inner servers (one for each set of identities
that ever connected) and the watch on the authority's keys.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence, Set
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import grpc.aio

from nucleus_issuer import files
from nucleus_issuer.identity.attest import Acceptor, Route
from nucleus_issuer.identity.authority import SVID_SECONDS, TrustAuthority
from nucleus_issuer.identity.registry import Peer, Registry
from nucleus_issuer.identity.walls import Walls
from nucleus_issuer.identity.workload_api import WorkloadApi, add_to_server
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_verifier.rpc.names import WorkloadId

SOCKET: Final = "workload.sock"
WALLS: Final = "walls.sock"
# What an agent takes out of its wall is good for as long as this, and cannot be taken back.
_AGENT_SECONDS: Final = 600
# Of one agent behind a wall at a time: a stream for each kind of document, and some more.
_AGENT_CALLS: Final = 32
_MESSAGE_BYTES: Final = 64 * 1024


class IdentityService:
    """The Workload API of one host. Use it from one event loop."""

    def __init__(
        self,
        authority: Callable[[], TrustAuthority],
        registry: Registry,
        *,
        seconds: int = SVID_SECONDS,
    ) -> None:
        """`authority` gives the authority as it is now; call `keys_changed` after a rotation.
        Raises CallerError `identity.trust_domain` if registry and authority do not match."""
        if registry.trust_domain != authority().trust_domain:
            raise CallerError(
                "identity.trust_domain",
                f"The registry is for {registry.trust_domain}, the keys for "
                f"{authority().trust_domain}.",
            )
        self._authority = authority
        self._registry = registry
        self._seconds = seconds
        self._changed: asyncio.Future[None] | None = None
        self._servers: list[grpc.aio.Server] = []
        self._numbers = itertools.count()
        self._inner: dict[tuple[WorkloadId, ...], asyncio.Task[Path]] = {}

    def keys_changed(self) -> None:
        """Send everybody new documents and bundles."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
        self._changed = None

    def _change(self) -> asyncio.Future[None]:
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        return self._changed

    async def run(self, folder: Path, ready: Callable[[], None] = lambda: None) -> None:
        """Serve in `folder` until cancelled. Raises CallerError `identity.in_use`."""
        _prepare(folder)
        async with AsyncExitStack() as stack:
            inner = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nucleus-id-")))
            stack.push_async_callback(self._stop)

            async def of_peer(peer: Peer) -> Path:
                return await self._route(inner, self._registry.of_peer(peer))

            # Whoever connects is judged by its credentials, so every process may; the folder says
            # who gets that far. A socket that is an identity is ours alone to hand on.
            await self._listen(stack, folder / SOCKET, of_peer, 0o666)
            for name in self._registry.sockets:
                route = partial(self._route_socket, inner, name)
                await self._listen(stack, folder / name, route, 0o600)
            if self._registry.has_walls:
                walls = Walls(self._registry, partial(self._agent, inner))
                await stack.enter_async_context(walls.open(folder / WALLS))
            ready()
            await asyncio.get_running_loop().create_future()

    async def _listen(self, stack: AsyncExitStack, path: Path, route: Route, mode: int) -> None:
        acceptor = Acceptor(route, exe=self._registry.needs_exe)
        before = os.umask(0o177)  # nobody else's until it is this file's mode
        try:
            server = await asyncio.start_unix_server(acceptor.connected, path)
            path.chmod(mode)
        except OSError as error:
            raise WorldError(
                "identity.socket", f"The socket {path} cannot be made: {error}."
            ) from error
        finally:
            os.umask(before)
        stack.callback(path.unlink, missing_ok=True)
        stack.push_async_callback(acceptor.close)
        stack.callback(server.close)

    async def _route_socket(self, inner: Path, name: str, _: Peer) -> Path:
        return await self._route(inner, self._registry.of_socket(name))

    async def _route(self, inner: Path, identities: Sequence[WorkloadId]) -> Path:
        key = tuple(identities)
        started = self._inner.get(key)
        if started is None or (started.done() and started.exception() is not None):
            started = self._inner[key] = asyncio.ensure_future(self._start(inner, key))
        return await asyncio.shield(started)

    async def _start(self, inner: Path, identities: tuple[WorkloadId, ...]) -> Path:
        path, server = await self._server(inner, identities, self._seconds)
        self._servers.append(server)
        return path

    @asynccontextmanager
    async def _agent(
        self, inner: Path, identity: WorkloadId, audiences: Set[str]
    ) -> AsyncIterator[Path]:
        """Where an agent behind a wall is answered, while the block runs."""
        seconds = min(self._seconds, _AGENT_SECONDS)
        path, server = await self._server(inner, (identity,), seconds, audiences, _AGENT_CALLS)
        try:
            yield path
        finally:
            await server.stop(None)
            path.unlink(missing_ok=True)

    async def _server(
        self,
        inner: Path,
        identities: tuple[WorkloadId, ...],
        seconds: int,
        audiences: Set[str] | None = None,
        most: int | None = None,
    ) -> tuple[Path, grpc.aio.Server]:
        path = inner / f"{next(self._numbers)}.sock"
        server = grpc.aio.server(
            options=[("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.so_reuseport", 0)],
            maximum_concurrent_rpcs=most,
        )
        service = WorkloadApi(
            self._authority,
            identities,
            seconds=seconds,
            changed=self._change,
            audiences=audiences,
        )
        add_to_server(service, server)
        server.add_insecure_port(f"unix:{path}")
        await server.start()
        return path, server

    async def _stop(self) -> None:
        for server in self._servers:
            await server.stop(None)


def _prepare(folder: Path) -> None:
    """A folder of ours in which nobody listens; a socket that its owner left behind is removed."""
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise WorldError("identity.socket", f"{folder} cannot be made: {error}.") from error
    files.private_directory(folder)  # which others may enter, but not write
    for path in folder.iterdir():
        if stat.S_ISSOCK(path.lstat().st_mode):
            with socket.socket(socket.AF_UNIX) as asked:
                try:
                    asked.connect(str(path))
                except ConnectionRefusedError:
                    path.unlink(missing_ok=True)
                    continue
                except OSError as error:
                    raise WorldError(
                        "identity.socket", f"{path} cannot be asked who listens: {error}."
                    ) from error
            raise CallerError("identity.in_use", f"Somebody listens at {path} already.")

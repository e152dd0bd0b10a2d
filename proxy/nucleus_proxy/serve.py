"""Law: each connection gets servers of its own and the one wall that stands; exposure is durable.

`nucleus mcp serve`: a unix socket that only its owner opens (or whoever the owner bind-mounts it
to). The first line to a client names this verifier, so that its requests can be bound to it. Every
call carries its credential; nothing is believed of a connection.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from nucleus_proxy import wire
from nucleus_proxy.connections import Connections
from nucleus_proxy.egress.dial import Dialer
from nucleus_proxy.live import Live
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.methods import HELLO
from nucleus_proxy.native import Tools
from nucleus_proxy.relay import Log, Relay
from nucleus_proxy.starters import starter
from nucleus_proxy.toolserver import ToolServer
from nucleus_proxy.wire import FRAME_BYTES, Reader, Writer
from nucleus_proxy.work import Runner
from nucleus_tokens.errors import CallerError, NucleusError, WorldError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MOST_CONNECTIONS: Final = 256


class Service:
    """The connections of one socket."""

    def __init__(
        self,
        mediator: Mediator,
        *,
        draw: Callable[[int], bytes],
        log: Log,
        command: Sequence[str] = (),
        stderr: Callable[[bytes], None] | None = None,
        native: Tools | None = None,
        held: str | None = None,
        private: bytes = b"",
        runner: Runner | None = None,
        live: Live | None = None,
        dialer: Dialer | None = None,
    ) -> None:
        """With `native` a connection is served the proxy's own tools and no server is started.
        `held` is the token of whoever reaches this socket: then the socket is the proof, and
        whoever can open it acts with the token. `private` is its holder's key, if it is here.
        `runner` builds the cells of servers, `dialer` reaches those that others run; their calls
        `live` decides again while they run."""
        self._dialer = dialer
        self._mediator = mediator
        self._native = native
        self._held = held
        self._private = private
        self._runner = runner
        self._live = live
        self._draw = draw
        self._log = log
        self._command = command
        self._stderr = stderr
        self._connections = Connections(MOST_CONNECTIONS, log)

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection; for asyncio.start_unix_server."""
        self._connections.take(writer, partial(self.serve, reader, writer))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        mediator = self._mediator
        hello = {"audience": mediator.audience, "instance": mediator.instance}
        try:
            writer.write(wire.notification(HELLO, hello) + b"\n")
            await writer.drain()
            if self._native is not None:
                await self._own_tools(reader, writer, self._native)
                return
            await self.relay(reader, writer)
        except (NucleusError, ConnectionError) as error:
            self._log(f"a connection ended: {error}")

    async def relay(self, reader: Reader, writer: Writer, bearer: str = "") -> None:
        """Serve one client of servers to its end; what it brings no credential for, it brings
        `bearer` for. Raises what a relay does."""
        mediator = self._mediator
        if self._live is None:
            raise CallerError("server.unwatched", "Nobody watches what a server's calls do.")
        servers = starter(
            mediator.policy,
            self._runner,
            draw=self._draw,
            log=self._log,
            command=self._command,
            stderr=self._stderr,
            dialer=self._dialer,
        )
        relay = Relay(
            reader=reader,
            writer=writer,
            starter=servers,
            live=self._live,
            mediator=mediator,
            held=self._held,
            bearer=bearer,
            draw=self._draw,
            log=self._log,
        )
        await relay.run(None if self._held is None else mediator.admits(self._held))

    async def _own_tools(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tools: Tools
    ) -> None:
        workspace = self._mediator.policy.workspace
        if workspace is None:
            raise CallerError("workspace.none", "The policy file names no workspace.")
        server = ToolServer(
            reader=reader,
            writer=writer,
            mediator=self._mediator,
            tools=tools,
            held=self._held,
            cwd=workspace.root,
            log=self._log,
            private=self._private,
        )
        await server.run()

    async def close(self) -> None:
        """End every connection and its server."""
        await self._connections.close()


class Listener(Protocol):
    """Who takes the connections of a socket."""

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection."""
        ...

    async def close(self) -> None:
        """End every connection."""
        ...


@asynccontextmanager
async def listening(
    path: Path, service: Listener, *, limit: int = FRAME_BYTES + 1
) -> AsyncIterator[None]:
    """A socket at `path` that takes connections while the block runs. `limit` bounds what a
    connection may send in one line or head, in bytes.

    Raises CallerError `serve.directory` when others could enter its directory, `serve.in_use` when
    somebody listens there, WorldError `serve.socket` when it cannot be made.
    """
    prepare(path)
    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(service.connected, path, limit=limit)
        os.chmod(path, 0o600)
    except OSError as error:
        raise WorldError("serve.socket", f"The socket {path} cannot be made: {error}.") from error
    finally:
        os.umask(before)
    try:
        async with taking(server, service):
            yield
    finally:
        path.unlink(missing_ok=True)


@asynccontextmanager
async def taking(server: asyncio.Server, service: Listener) -> AsyncIterator[None]:
    """Connections are taken while the block runs; then no more are, and each is ended."""
    async with server:
        try:
            yield
        finally:
            server.close()
            await service.close()


async def run_serve(
    path: Path,
    mediator: Mediator,
    *,
    live: Live,
    draw: Callable[[int], bytes],
    log: Log,
    command: Sequence[str] = (),
    stderr: Callable[[bytes], None] | None = None,
    native: Tools | None = None,
    held: str | None = None,
    runner: Runner | None = None,
    dialer: Dialer | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until cancelled. `live` watches the mediator's ledger; `ready` is called once
    connections are taken."""
    mediator.open()
    service = Service(
        mediator, draw=draw, log=log, command=command, stderr=stderr, native=native, held=held,
        runner=runner, live=live, dialer=dialer,
    )  # fmt: skip
    async with live.watching(), listening(path, service):
        ready()
        await asyncio.get_running_loop().create_future()


def prepare(path: Path) -> None:
    """Make sure that a socket can be made here, in a directory of this user alone.

    Raises CallerError `serve.directory` or `serve.in_use`, WorldError `serve.socket`.
    """
    folder = path.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise CallerError(
                "serve.directory",
                f"The directory {folder} must be yours alone.",
                hint="Make it with mode 0700.",
            )
        if not path.exists():
            return
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise CallerError("serve.in_use", f"{path} is something else than a socket.")
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()  # left by a process that was killed
                return
        raise CallerError("serve.in_use", f"Somebody listens at {path} already.")
    except OSError as error:
        raise WorldError("serve.socket", f"The socket {path} cannot be made: {error}.") from error

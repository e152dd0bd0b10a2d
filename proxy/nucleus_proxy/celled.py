"""Law: a server runs in a cell that shows what one path authority admits, from its start to its
end; outside of one only where the operator's file calls that a danger.

What a cell shows is fixed when its server starts. So a starter says by which part of an authority
its servers differ, and whoever forwards a call gives it to a server that was started for the same.
A cell has no network at all: what a server would send somewhere goes nowhere.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from nucleus_proxy.effects import cells
from nucleus_proxy.effects.cells import View
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.pinning import Origin
from nucleus_proxy.policy import PolicyFile
from nucleus_proxy.running import Running
from nucleus_proxy.server import ServerProcess, installation
from nucleus_proxy.servers import ServerSpec
from nucleus_proxy.wire import FRAME_BYTES
from nucleus_proxy.work import Runner, Work
from nucleus_tokens.authority import Authority
from nucleus_tokens.errors import CallerError
from nucleus_tokens.patterns import under

_NOTHING = View((), (), (), {})


class Starter(Protocol):
    """How the servers of one policy are started."""

    @property
    def needs_authority(self) -> bool:
        """Whether a server waits for somebody's authority before it starts."""
        ...

    def key(self, authority: Authority | None) -> Hashable:
        """What two authorities share that one server may serve."""
        ...

    def cwd(self, authority: Authority | None, tool: str = "") -> str:
        """Where a server for this authority starts, and the relative paths of a tool's call with
        it."""
        ...

    def origin(self, tool: str) -> tuple[Origin, str]:
        """Whose a tool is, and what its server calls it."""
        ...

    def started(self, authority: Authority | None) -> AbstractAsyncContextManager[Running]:
        """A server while the block runs; at its end nothing of it is left. Raises CallerError
        `server.*`, `cell.*`, WorldError `server.start` or what the runner raises: nothing runs."""
        ...


@dataclass(frozen=True, slots=True)
class Outside:
    """One server for all, that sees what this user sees: `danger_outside_cell = true`."""

    policy: PolicyFile
    command: Sequence[str] = ()
    stderr: Callable[[bytes], None] | None = None

    @property
    def needs_authority(self) -> bool:
        return False

    def key(self, authority: Authority | None) -> Hashable:
        return None

    def cwd(self, authority: Authority | None, tool: str = "") -> str:
        return self.policy.server.cwd

    def origin(self, tool: str) -> tuple[Origin, str]:
        return origin(self.policy.server, self.command), tool

    @asynccontextmanager
    async def started(self, authority: Authority | None) -> AsyncIterator[Running]:
        server = await ServerProcess.start(self.policy.server, self.command, stderr=self.stderr)
        try:
            yield server
        finally:
            await server.stop()


@dataclass(frozen=True, slots=True)
class Celled:
    """Servers in cells, one for each path authority."""

    policy: PolicyFile
    runner: Runner
    draw: Callable[[int], bytes]
    log: Callable[[str], None]
    command: Sequence[str] = ()
    stderr: Callable[[bytes], None] | None = field(default=None)

    @property
    def needs_authority(self) -> bool:
        return True

    def key(self, authority: Authority | None) -> Hashable:
        known = _known(authority)
        scopes = frozenset(scope for _, scope in known.scopes if scope.kind == "path")
        return cells.may_read(known), cells.may_write(known), scopes

    def cwd(self, authority: Authority | None, tool: str = "") -> str:
        return self._cwd(self._tops(_known(authority)))

    def origin(self, tool: str) -> tuple[Origin, str]:
        return origin(self.policy.server, self.command), tool

    def _cwd(self, tops: tuple[str, ...]) -> str:
        wanted = self.policy.server.cwd
        if any(under(top, wanted) for top in tops):
            return wanted
        return tops[0] if tops else "/tmp"  # noqa: S108  the cell's own

    def _root(self, authority: Authority) -> str | None:
        """Where what is shown lies; None where files are none of this token's affair."""
        if not cells.may_read(authority):
            return None
        if self.policy.workspace is not None:
            return os.path.realpath(self.policy.workspace.root)
        # Without a workspace the scopes alone say what is shown. Without any it is nothing.
        scoped = any(scope.kind == "path" and scope.allow for _, scope in authority.scopes)
        return "/" if scoped else None

    def _tops(self, authority: Authority) -> tuple[str, ...]:
        root = self._root(authority)
        if root is None:
            return ()
        return tuple(top for top in cells.subtrees(root, authority) if os.path.isdir(top))

    @asynccontextmanager
    async def started(self, authority: Authority | None) -> AsyncIterator[Running]:
        known, spec = _known(authority), self.policy.server
        argv = tuple(self.command) or spec.command
        if not argv:
            raise CallerError("server.command", "No server command was given.")
        program, shown = installation(argv[0])
        where, tops = self._root(known), self._tops(known)
        with nullcontext() if where is None else Root(where) as root:
            view = _NOTHING
            if root is not None:
                view = await asyncio.to_thread(
                    cells.view, root, tops, known, git_open=spec.writes_git
                )
            work = Work(
                argv=(program, *argv[1:]),
                cwd=self._cwd(tops),
                env=spec.env,
                readable=(*view.readable, *spec.readable, *shown),
                writable=view.writable,
                masked=view.masked,
                output_bytes=FRAME_BYTES + 1,  # the longest line
            )
            try:
                async with self.runner.opened(work) as process:
                    server = ServerProcess.of(process, self.stderr)
                    try:
                        yield server
                    finally:
                        await server.stop()
            finally:
                if root is not None:
                    tag = self.draw(4).hex()
                    for path in await asyncio.to_thread(cells.set_aside, root, view, known, tag):
                        self.log(f"set aside, because a server may not write it: {path}")


def origin(spec: ServerSpec, command: Sequence[str] = ()) -> Origin:
    """Whose tools a server's are; `command` goes before the policy file's."""
    return Origin(spec.name, tuple(command) or spec.command, strict=spec.pins == "accept")


def _known(authority: Authority | None) -> Authority:
    if authority is None:
        raise CallerError("server.cell", "A server's cell is made for somebody's authority.")
    return authority

"""Law: whoever runs an agent says what it sees and is asked for what it may not do alone.

One run behind the local wall, as a person asked for it: what is shown, whose terminal it gets and
who answers there. The agent holds nothing: the token is held here, in the proxy's process, and the
private socket is the proof.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nucleus import behind, running
from nucleus.bringing import Bringing
from nucleus.composing import ROOTS
from nucleus.proxying import Proxy
from nucleus_proxy import native
from nucleus_proxy.agents import Mode
from nucleus_proxy.answers import Presented
from nucleus_proxy.effects import cells
from nucleus_proxy.effects.cells import View
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.policy import NO_WALL, PolicyFile, Wall, Workspace
from nucleus_tokens import exposure
from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_tokens.lattice import WRITE_FILES, level_of
from nucleus_vmhost import bubblewrap
from nucleus_vmhost.cell import Extras
from nucleus_vmhost.terminal import Terminal

if TYPE_CHECKING:
    from nucleus.home import Home
    from nucleus.identities import Identity
    from nucleus_issuer.store import Store
    from nucleus_proxy.judge import Reveals
    from nucleus_proxy.native import Tools
    from nucleus_tokens.authority import Authority
    from nucleus_vmhost.vm.changes import Told
    from nucleus_vmhost.vm.working import Inside
    from nucleus_vmhost.work import Done

    Changed = Sequence[tuple[str, Told]]


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asked for. `folder` is the workspace; `shows` are folders beside it, read-only;
    `mask` hides more, `unmask` shows what has the name of a secret."""

    argv: tuple[str, ...]
    folder: Path
    mode: Mode = "ro"
    shows: tuple[Path, ...] = ()
    mask: tuple[Path, ...] = ()
    unmask: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    ask_seconds: int | None = None
    roots: Path = ROOTS  # PEM file of those whose certificates are believed
    profile: str = ""  # for whoever looks at what runs


@dataclass(frozen=True, slots=True)
class Held:
    """What the agent acts with and never has: a token, the key of its holder where that was made
    here, and the wall it stands behind, with its identity where there is one."""

    wall: str
    token: str = field(repr=False)
    private: bytes = field(default=b"", repr=False)
    identity: Identity | None = None

    @property
    def name(self) -> str:
        """The wall's, without its kind."""
        return self.wall.rpartition(":")[2]

    @property
    def cell(self) -> str:
        """The exposure cell of the wall."""
        return f"wall:{self.wall}"


@dataclass(frozen=True, slots=True)
class Where:
    """Another place for an agent than a cell of this machine. `agent` runs it there, in what has
    the wall's name, with the proxy's sockets in a folder; it gives its exit code, and what it
    changed by the folder that the names are in. `inside` is where its commands run. `started` runs
    a sub-agent in a place of its own."""

    agent: Callable[[str, Order, View, Path, Terminal], Awaitable[tuple[int, Changed]]]
    inside: Inside
    started: Callable[[behind.Agent, Path, Inside], Awaitable[tuple[Done, Changed]]]


async def run(
    home: Home,
    store: Store,
    reveals: Reveals,
    held: Held,
    policy: PolicyFile,
    order: Order,
    *,
    terminal: Terminal,
    log: Callable[[str], None],
    answering: Callable[[Store, str], contextlib.AbstractAsyncContextManager[None]],
    where: Where | None = None,
) -> int:
    """Run the agent to its end; its exit code. `answering(store, tid)` is who is asked; `where` is
    where the agent is, if it is not behind the local wall.

    Raises CallerError `run.*`, `wall.*`, WorldError `wall.*`, CredentialError.
    """
    mine = held.identity or contextlib.nullcontext()
    with mine, Root(str(order.folder)) as root, home.labels() as labels:
        rules = _walled(policy, root.path, order, held.wall)
        proxy = Proxy(
            home, store, reveals, labels, rules,
            log=log, ask_seconds=order.ask_seconds, roots=order.roots, walled=where is None,
            where=where, identity=held.identity,
        )  # fmt: skip
        mediator = proxy.mediator(proxy.policy)
        authority = mediator.admits(held.token)
        if authority is None:
            raise CallerError(
                "run.token",
                "This host does not accept the token.",
                hint="See: nucleus token verify FILE",
            )
        shown = _shown(root, authority, order, copied=where is not None)
        agent = behind.Agent(
            name=held.name,
            argv=order.argv,
            folder=str(order.folder),
            shown=shown,
            token=held.token,
            private=held.private,
            identity=held.identity,
            beside=tuple(map(str, order.shows)),
            env=order.env,
        )
        tid, rid = home.ids_of(held.token)
        about = {
            "cell": held.cell,
            "expires": authority.exp,
            "profile": order.profile,
            "rid": rid,
            "tid": tid,
            "workspace": str(order.folder),
        }
        extras = Extras(streams=terminal.streams, terminal=terminal.controls)
        with running.listed(home, about):
            if where is not None:
                token = Presented(held.token, "held", private=held.private)
                bringing = Bringing(
                    proxy, proxy.policy, root, authority, shown, token, where.inside
                )
                own: Tools = bringing.tools() if order.mode == "rw" else {}
                mediator = proxy.mediator(native.bound(proxy.policy, own))
                mediator.open()
                async with proxy.watching(), answering(store, tid):
                    async with proxy.road(
                        mediator, held.token, held.private, where.inside, own, held.identity
                    ) as folder:
                        code, told = await where.agent(held.name, order, shown, folder, terminal)
                    await _brought(bringing, told, code, log)
                    return code
            async with (
                proxy.watching(),
                answering(store, tid),
                behind.running(proxy, mediator, root, authority, agent, extras, []) as started,
            ):
                process, _ = started
                with terminal.carrying():
                    await process.wait()
                return bubblewrap.exit_code(process)


async def _brought(
    bringing: Bringing, told: Changed, code: int, log: Callable[[str], None]
) -> None:
    """What it changed is brought out; an agent that failed has the last word all the same."""
    try:
        await bringing.out(told)
    except NucleusError as error:
        if not code:
            raise
        log(f"nothing was brought out: {error}")


def _shown(root: Root, authority: Authority, order: Order, *, copied: bool) -> View:
    """What of the workspace is mounted, or `copied`: then writing it is asked about later. Raises
    CallerError `run.workspace` for more than the token admits."""
    if order.mode == "none":
        return behind.NOTHING
    if not cells.may_read(authority):
        raise CallerError(
            "run.workspace",
            "The token does not let files be read without asking, so none can be shown.",
            hint="Say --workspace none: the agent reads through the proxy's tools then.",
        )
    if copied and order.mode == "rw":
        _may_bring_out(authority)
    elif order.mode == "rw" and not cells.may_write(authority):
        raise CallerError(
            "run.workspace",
            "The token does not let files be written without asking.",
            hint="Say --workspace ro: the agent writes through the proxy's tools then.",
        )
    writable = order.mode == "rw" and not copied
    return behind.shown(root, authority, writable=writable, mask=order.mask, unmask=order.unmask)


def _may_bring_out(authority: Authority) -> None:
    if not level_of(authority.levels, WRITE_FILES):
        raise CallerError(
            "run.workspace",
            "The token lets no file be written, so nothing could be brought out.",
            hint="Say --workspace ro: what the agent writes in its copy goes with the machine.",
        )


def _walled(policy: PolicyFile, root: str, order: Order, wall: str) -> PolicyFile:
    """The policy for this run: its workspace, and a wall that has already shown what is mounted."""
    named = policy.workspace
    known = named is not None and os.path.realpath(named.root) == root
    # What is trusted of one folder says nothing of another.
    shows = named.shows if named is not None and known else NO_WALL
    sees = exposure.NOTHING if order.mode == "none" else shows | exposure.PRIVATE_DATA
    if order.shows:
        sees |= NO_WALL
    return replace(policy, workspace=Workspace(root, shows), wall=Wall(wall, sees))

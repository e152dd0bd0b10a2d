"""Law: whoever runs an agent says what it sees and is asked for what it may not do alone.

One run behind the local wall, as a person asked for it: what is shown, whose terminal it gets and
who answers there. The agent holds nothing: the token is held here, in the proxy's process, and the
private socket is the proof.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nucleus import behind, running
from nucleus.composing import ROOTS
from nucleus.proxying import Proxy
from nucleus_proxy.agents import Mode
from nucleus_proxy.effects import cells
from nucleus_proxy.effects.cells import View
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.policy import NO_WALL, PolicyFile, Wall, Workspace
from nucleus_tokens import exposure
from nucleus_tokens.errors import CallerError
from nucleus_vmhost import bubblewrap
from nucleus_vmhost.cell import Extras
from nucleus_vmhost.terminal import Terminal

if TYPE_CHECKING:
    from nucleus.home import Home
    from nucleus_issuer.store import Store
    from nucleus_proxy.judge import Reveals
    from nucleus_tokens.authority import Authority


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
    here, and the wall it stands behind."""

    wall: str
    token: str = field(repr=False)
    private: bytes = field(default=b"", repr=False)

    @property
    def cell(self) -> str:
        """The exposure cell of the wall."""
        return f"wall:{self.wall}"


@dataclass(frozen=True, slots=True)
class Where:
    """Another place for an agent than a cell of this machine. `agent` runs it there, with the
    proxy's sockets in a folder, and gives its exit code."""

    agent: Callable[[Order, View, Path, Terminal], Awaitable[int]]


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
    with Root(str(order.folder)) as root, home.labels() as labels:
        rules = _walled(policy, root.path, order, held.wall)
        proxy = Proxy(
            home, store, reveals, labels, rules,
            log=log, ask_seconds=order.ask_seconds, roots=order.roots, walled=where is None,
        )  # fmt: skip
        mediator = proxy.mediator(proxy.policy)
        authority = mediator.admits(held.token)
        if authority is None:
            raise CallerError(
                "run.token",
                "This host does not accept the token.",
                hint="See: nucleus token verify FILE",
            )
        shown = _shown(root, authority, order)
        agent = behind.Agent(
            argv=order.argv,
            folder=str(order.folder),
            shown=shown,
            token=held.token,
            private=held.private,
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
                mediator.open()
                async with (
                    proxy.watching(),
                    answering(store, tid),
                    proxy.road(mediator, held.token, held.private) as folder,
                ):
                    return await where.agent(order, shown, folder, terminal)
            async with (
                proxy.watching(),
                answering(store, tid),
                behind.running(proxy, mediator, root, authority, agent, extras, []) as started,
            ):
                process, _ = started
                with terminal.carrying():
                    await process.wait()
                return bubblewrap.exit_code(process)


def _shown(root: Root, authority: Authority, order: Order) -> View:
    """What of the workspace is mounted. Raises CallerError `run.workspace` for more than the token
    admits."""
    if order.mode == "none":
        return behind.NOTHING
    if not cells.may_read(authority):
        raise CallerError(
            "run.workspace",
            "The token does not let files be read without asking, so none can be shown.",
            hint="Say --workspace none: the agent reads through the proxy's tools then.",
        )
    if order.mode == "rw" and not cells.may_write(authority):
        raise CallerError(
            "run.workspace",
            "The token does not let files be written without asking.",
            hint="Say --workspace ro: the agent writes through the proxy's tools then.",
        )
    return behind.shown(
        root, authority, writable=order.mode == "rw", mask=order.mask, unmask=order.unmask
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

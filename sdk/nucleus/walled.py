"""Law: an agent behind the local wall sees what its token lets it read, and has one road out.

Puts together one run: the wall's cell of exposure, the proxy's own tools on a socket that is only
inside, the sandbox, and whoever answers at the terminal. The agent holds nothing: the token is held
here, in the proxy's process, and the private socket is the proof.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from nucleus_proxy import native
from nucleus_proxy.effects import cells, fs, net
from nucleus_proxy.effects import exec as commands
from nucleus_proxy.effects.cells import View
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.egress import compose
from nucleus_proxy.egress.dial import SYSTEM_ROOTS
from nucleus_proxy.egress.resolving import SystemResolver
from nucleus_proxy.live import Live
from nucleus_proxy.policy import NO_WALL, PolicyFile, Wall, Workspace
from nucleus_proxy.serve import Service, listening
from nucleus_proxy.work import Done, Work
from nucleus_tokens import exposure
from nucleus_tokens.errors import CallerError
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.decision import Deny
from nucleus_vmhost import arguments, bubblewrap, cell, workspace
from nucleus_vmhost.arguments import PROXY_PORT, TOOLS_PORT
from nucleus_vmhost.cell import Extras
from nucleus_vmhost.terminal import Terminal
from nucleus_vmhost.work import Limits

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from nucleus.home import Home
    from nucleus_issuer.store import Store
    from nucleus_proxy.tracefile import RevealFile
    from nucleus_tokens.authority import Authority

Mode = Literal["none", "ro", "rw"]
_SYSTEM: Final = ("/usr", "/bin", "/sbin")


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


class Cells:
    """The Runner of the proxy's commands: bubblewrap, in the proxy's own words."""

    name = bubblewrap.Bubblewrap.name

    def __init__(self) -> None:
        self._runner = bubblewrap.Bubblewrap()

    async def run(self, work: Work) -> Done:
        """Run it to its end or its limits."""
        done = await self._runner.run(work)
        return Done(done.code, done.stdout, done.stderr, done.truncated, done.timed_out)

    async def start(self, work: Work) -> Process:
        """Start it, with pipes."""
        return await self._runner.start(work)


async def run(
    home: Home,
    store: Store,
    reveals: RevealFile,
    token: str,
    policy: PolicyFile,
    order: Order,
    *,
    terminal: Terminal,
    log: Callable[[str], None],
    answering: Callable[[Store, str], contextlib.AbstractAsyncContextManager[None]],
) -> int:
    """Run the agent to its end; its exit code. `answering(store, tid)` is who is asked.

    Raises CallerError `run.*`, `wall.*`, WorldError `wall.*`, CredentialError.
    """
    authority, tid = _known(home, token)
    root = Root(str(order.folder))
    shown = _shown(root, authority, order)
    policy = _walled(policy, root.path, order, f"local:{home.random(8).hex()}")
    client = compose.fetcher(policy.egress, resolver=SystemResolver(), roots=SYSTEM_ROOTS)
    live = Live()
    tools = {
        **fs.tools(root, draw=home.random),
        **live.tools(commands.tools(root, runner=Cells(), shows=_shows(policy), draw=home.random)),
        # No search provider is composed, so there is no search.
        net.FETCH: net.tools(client)[net.FETCH],
    }
    ledger = live.watched(store)
    mediator = home.mediator(
        store,
        native.bound(policy, tools),
        reveals,
        ledger=ledger,
        ask_seconds=order.ask_seconds,
    )
    mediator.open()
    service = Service(mediator, draw=home.random, log=log, native=tools, held=token)
    folder = Path(tempfile.mkdtemp(prefix="nucleus-"))
    proxy, served = folder / "proxy.sock", folder / "tools.sock"
    with root:
        try:
            async with (
                compose.outward(
                    proxy, mediator=mediator, live=live, ledger=ledger,
                    fetching=client, held=token, log=log,
                ),
                listening(served, service),
                answering(store, tid),
            ):  # fmt: skip
                routes = {PROXY_PORT: str(proxy), TOOLS_PORT: str(served)}
                return await _agent(order, shown, routes, terminal)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            tag = home.random(4).hex()
            for path in await asyncio.to_thread(cells.set_aside, root, shown, authority, tag):
                log(f"set aside, since it would run later: {path}.set-aside-{tag}")


# What it sees ---------------------------------------------------------------------------------


def _known(home: Home, token: str) -> tuple[Authority, str]:
    """What the token permits, and its id. Raises CallerError `run.token`."""
    found = CachingVerifier(home.verifier_keys()).authenticate(token)
    if isinstance(found, Deny):
        raise CallerError(
            "run.token",
            "This host does not accept the token.",
            hint="See: nucleus token verify FILE",
        )
    return found.prefix.authority, found.prefix.opened.header.tid


def _shown(root: Root, authority: Authority, order: Order) -> View:
    """What of the workspace is mounted: never more than the token lets it read, or write."""
    if order.mode == "none":
        return View((), (), (), {})
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
    view = cells.view(root, cells.subtrees(root.path, authority), authority)
    tops = view.writable or view.readable
    kept = {str(path) for path in order.unmask}
    secrets = (path for path in workspace.secrets(tops) if path not in kept)
    more = (str(path) for path in order.mask)
    masked = tuple(sorted({*view.masked, *secrets, *more}))
    if order.mode == "rw":
        return replace(view, masked=masked)
    return View(tops, (), masked, {})


def _walled(policy: PolicyFile, root: str, order: Order, wall: str) -> PolicyFile:
    """The policy for this run: its workspace, and a wall that has already shown what is mounted."""
    named = policy.workspace
    known = named is not None and os.path.realpath(named.root) == root
    shows = named.shows if named is not None and known else NO_WALL
    sees = exposure.NOTHING if order.mode == "none" else shows | exposure.PRIVATE_DATA
    if order.shows:
        sees |= NO_WALL
    return replace(policy, workspace=Workspace(root, shows), wall=Wall(wall, sees))


def _shows(policy: PolicyFile) -> int:
    return NO_WALL if policy.workspace is None else policy.workspace.shows


# The agent ------------------------------------------------------------------------------------


async def _agent(order: Order, shown: View, routes: Mapping[int, str], terminal: Terminal) -> int:
    visible = (*shown.readable, *shown.writable, *(os.path.realpath(p) for p in order.shows))
    program = _program(order.argv[0], visible, str(order.folder))
    job = Work(
        argv=(program, *order.argv[1:]),
        cwd=os.path.realpath(order.folder) if _within(order.folder, visible) else "/tmp",  # noqa: S108  inside
        env=dict(order.env),
        readable=(*shown.readable, *(os.path.realpath(path) for path in order.shows)),
        writable=shown.writable,
        masked=shown.masked,
    )
    extras = Extras(routes=routes, streams=terminal.streams, terminal=terminal.controls)
    async with cell.opened(job, Limits(), extras) as process:
        # They are inside now, and nowhere else: a killed run leaves no socket behind.
        for path in routes.values():
            Path(path).unlink(missing_ok=True)
        with terminal.carrying():
            await process.wait()
        return bubblewrap.exit_code(process)


def _program(name: str, visible: tuple[str, ...], folder: str) -> str:
    """The agent's program as it is named inside. Raises CallerError `run.program`."""
    found = shutil.which(name) if "/" not in name else os.path.join(folder, name)
    if found is None or not os.path.exists(found):
        raise CallerError("run.program", f"There is no command {name!r}.")
    found = os.path.abspath(found)
    # Where its name stands, and where that leads: ours is there, since it starts the cell.
    prefix = arguments.interpreter()
    there = (*_SYSTEM, *visible, *([prefix] if prefix else ()))
    if _within(Path(found).parent, there) and _within(Path(found), there):
        return found
    raise CallerError(
        "run.program",
        f"{found} is not visible inside.",
        hint=f"Show its folder, read-only, with: --show {os.path.dirname(found)}",
    )


def _within(path: Path, folders: tuple[str, ...]) -> bool:
    real = os.path.realpath(path)
    return any(real == folder or real.startswith(folder + "/") for folder in folders)

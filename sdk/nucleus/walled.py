"""Law: an agent behind the wall sees what its token lets it read, and has one road out.

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
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from nucleus import composing
from nucleus_proxy.effects import cells
from nucleus_proxy.effects.cells import View
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.egress import compose
from nucleus_proxy.egress.resolving import SystemResolver
from nucleus_proxy.live import Live
from nucleus_proxy.policy import NO_WALL, PolicyFile, Wall, Workspace
from nucleus_proxy.serve import Service, listening
from nucleus_proxy.work import Work
from nucleus_tokens import exposure
from nucleus_tokens.errors import CallerError
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.choosing import payload_label
from nucleus_verifier.decision import Deny
from nucleus_vmhost import arguments, bubblewrap, cell, workspace
from nucleus_vmhost.arguments import PROXY_PORT, TOOLS_PORT
from nucleus_vmhost.cell import Extras
from nucleus_vmhost.terminal import Terminal
from nucleus_vmhost.work import Limits

if TYPE_CHECKING:
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


@dataclass(frozen=True, slots=True)
class Where:
    """Where an agent runs. `name` begins the name of its cell of exposure; `agent` runs it, with
    the proxy's sockets in a folder, and gives its exit code."""

    name: str
    agent: Callable[[Order, View, Path, Terminal], Awaitable[int]]


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
    where: Where | None = None,
) -> int:
    """Run the agent to its end; its exit code. `answering(store, tid)` is who is asked; `where` is
    where the agent is: in a sandbox of this machine, if nothing is said.

    Raises CallerError `run.*`, `wall.*`, WorldError `wall.*`, CredentialError.
    """
    where = where or Where("local", _agent)
    authority, tid = _known(home, token)
    with Root(str(order.folder)) as root, home.labels() as labels:
        shown = _shown(root, authority, order)
        rules = _walled(policy, root.path, order, f"{where.name}:{home.random(8).hex()}")
        live = Live()
        tools = dict(composing.tools(rules, draw=home.random, labels=labels))
        tools |= live.tools({name: tools[name] for name in tools if name.startswith("exec_")})
        rules = composing.with_tools(rules, tools)
        # What it writes by itself passes no effect. It may write all that it ever gets to see.
        composing.file_labels(rules, labels).ran(shown.writable, payload_label(exposure.ALL))
        ledger = live.watched(store)
        mediator = home.mediator(
            store, rules, reveals, labels=labels, ledger=ledger, ask_seconds=order.ask_seconds
        )
        mediator.open()
        service = Service(mediator, draw=home.random, log=log, native=tools, held=token)
        fetching = compose.fetcher(rules.egress, resolver=SystemResolver(), roots=composing.ROOTS)
        try:
            with _folder() as folder:
                async with (
                    listening(folder / "tools.sock", service),
                    compose.outward(
                        folder / "proxy.sock",
                        mediator=mediator,
                        live=live,
                        ledger=ledger,
                        fetching=fetching,
                        held=token,
                        log=log,
                    ),
                    answering(store, tid),
                ):
                    return await where.agent(order, shown, folder, terminal)
        finally:
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
    # What is trusted of one folder says nothing of another.
    shows = named.shows if named is not None and known else NO_WALL
    sees = exposure.NOTHING if order.mode == "none" else shows | exposure.PRIVATE_DATA
    if order.shows:
        sees |= NO_WALL
    return replace(policy, workspace=Workspace(root, shows), wall=Wall(wall, sees))


@contextlib.contextmanager
def _folder() -> Generator[Path]:
    """Where the sockets are made, before they are only inside."""
    folder = Path(tempfile.mkdtemp(prefix="nucleus-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# The agent ------------------------------------------------------------------------------------


async def _agent(order: Order, shown: View, folder: Path, terminal: Terminal) -> int:
    routes = {PROXY_PORT: f"{folder}/proxy.sock", TOOLS_PORT: f"{folder}/tools.sock"}
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
        shutil.rmtree(folder, ignore_errors=True)
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

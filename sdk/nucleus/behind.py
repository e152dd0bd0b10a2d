"""Law: an agent behind the local wall sees what its token lets it read, and has one road out.

One agent in one cell, for whoever a person runs and for each sub-agent alike: its own wall with a
cell of exposure, sockets that are only inside, and the token out here, where the proxy holds it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nucleus import identities
from nucleus_proxy.effects import cells
from nucleus_proxy.effects.cells import View
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.work import OUTPUT_BYTES, SECONDS, Work
from nucleus_tokens import exposure
from nucleus_tokens.errors import CallerError
from nucleus_verifier.choosing import payload_label
from nucleus_vmhost import arguments, cell, workspace
from nucleus_vmhost.arguments import GRPC_PORT, IDENTITY_PORT, PROXY_PORT, TOOLS_PORT
from nucleus_vmhost.cell import Extras
from nucleus_vmhost.work import Limits

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from nucleus.identities import Identity
    from nucleus.proxying import Proxy
    from nucleus_proxy.mediator import Mediator
    from nucleus_tokens.authority import Authority

NOTHING: Final = View((), (), (), {})
_SYSTEM: Final = ("/usr", "/bin", "/sbin")


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent. `name` is its wall's, `shown` is what it sees of the workspace, `beside` are
    folders beside it, and `folder` is where it starts. `private` is the key of the token's holder,
    if it is here. Where it gets a copy, `brings` says that what it changes there is brought out."""

    name: str
    argv: tuple[str, ...]
    folder: str
    shown: View
    token: str = field(repr=False)
    private: bytes = field(default=b"", repr=False)
    identity: Identity | None = None
    beside: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    stdin: bytes = b""
    seconds: float = SECONDS
    output_bytes: int = OUTPUT_BYTES
    brings: bool = False


def shown(
    root: Root,
    authority: Authority,
    *,
    writable: bool,
    mask: Collection[Path] = (),
    unmask: Collection[Path] = (),
) -> View:
    """What of the workspace is mounted: never more than the token admits, and of what has the name
    of a secret only what `unmask` names. It blocks."""
    tops = cells.subtrees(root.path, authority)
    view = cells.view(root, tops, authority)
    kept = set(map(str, unmask))
    secrets = (path for path in workspace.secrets(tops) if path not in kept)
    masked = tuple(sorted({*view.masked, *secrets, *map(str, mask)}))
    return replace(view, masked=masked) if writable else View(tops, (), masked, {})


@asynccontextmanager
async def running(
    proxy: Proxy,
    mediator: Mediator,
    root: Root,
    authority: Authority,
    agent: Agent,
    extras: Extras,
    aside: list[str],
) -> AsyncGenerator[tuple[Process, Work]]:
    """The agent's process and what it was made from; at the end of the block nothing of it is
    left. What it put where it may not write is renamed then, and named in `aside`.

    Raises CallerError `run.program`, `cell.*`, `wall.*`, WorldError `wall.*`, `serve.*`.
    """
    work = _work(agent)
    mediator.open()
    # What it writes by itself passes no effect. It may write all that it ever gets to see.
    tainted = payload_label(exposure.ALL)
    await asyncio.to_thread(proxy.file_labels.ran, agent.shown.writable, tainted)
    try:
        async with proxy.road(
            mediator, agent.token, agent.private, identity=agent.identity
        ) as folder:
            routes = {
                PROXY_PORT: f"{folder}/proxy.sock",
                TOOLS_PORT: f"{folder}/tools.sock",
                GRPC_PORT: f"{folder}/grpc.sock",
            }
            if agent.identity is not None:
                routes[IDENTITY_PORT] = f"{folder}/{identities.SOCKET}"
            inside = replace(extras, routes=routes)
            async with cell.opened(work, Limits(), inside) as process:
                # They are inside now, and nowhere else: a killed run leaves no socket behind.
                shutil.rmtree(folder, ignore_errors=True)
                yield process, work
    finally:
        tag = proxy.home.random(4).hex()
        aside += await asyncio.to_thread(cells.set_aside, root, agent.shown, authority, tag)
        for path in aside:
            proxy.log(f"set aside, since it would run later: {path}.set-aside-{tag}")


def _work(agent: Agent) -> Work:
    view = agent.shown
    beside = tuple(os.path.realpath(path) for path in agent.beside)
    visible = (*view.readable, *view.writable, *beside)
    return Work(
        argv=(program(agent.argv[0], visible, agent.folder), *agent.argv[1:]),
        cwd=os.path.realpath(agent.folder) if _within(agent.folder, visible) else "/tmp",  # noqa: S108  inside
        env=dict(agent.env),
        readable=(*view.readable, *beside),
        writable=view.writable,
        masked=view.masked,
        stdin=agent.stdin,
        seconds=agent.seconds,
        output_bytes=agent.output_bytes,
    )


def program(name: str, visible: tuple[str, ...], folder: str) -> str:
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


def _within(path: Path | str, folders: tuple[str, ...]) -> bool:
    real = os.path.realpath(path)
    return any(real == folder or real.startswith(folder + "/") for folder in folders)

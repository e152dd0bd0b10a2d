"""Law: an agent in a microVM has a copy of what its token lets it read, and the same one road out.

What `nucleus run --local` does with a sandbox, with a machine: above the sockets of the proxy they
share everything. The token stays in this process, the machine's host half; the guest's forwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from nucleus import identities, vms
from nucleus.behind import Agent
from nucleus.home import Home
from nucleus.walled import Order, Where
from nucleus_proxy.effects.cells import View
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_vmhost.terminal import Terminal
from nucleus_vmhost.vm import claims, keeping, packing, session, stdio, working
from nucleus_vmhost.vm.changes import Told
from nucleus_vmhost.vm.driver import Running
from nucleus_vmhost.vm.guest import names
from nucleus_vmhost.vm.packing import Copy
from nucleus_vmhost.vm.session import Seat, Session
from nucleus_vmhost.vm.wanted import Wanted
from nucleus_vmhost.vm.working import Inside
from nucleus_vmhost.work import Done

_FIRST: Final = "this image runs for the first time: it is booted and kept"


def where(place: Home, cache: Path, wanted: Wanted, tell: Callable[[str], None]) -> Where:
    """A microVM as it was asked for. Raises CallerError, WorldError `vm.*`."""
    choice, inside = wanted.chosen(cache), Inside()

    @contextlib.asynccontextmanager
    async def up(
        wall: str, agent: str, folder: str, shown: View, beside: Sequence[str], sockets: Path
    ) -> AsyncGenerator[tuple[Session, dict[str, Copy], str]]:
        """A machine with its copies: those of the workspace, and where an agent starts."""
        tops = (*shown.readable, *map(os.path.realpath, beside))
        copies = [(top, packing.packed(top, shown.masked, choice.room)) for top in tops]
        if sum(len(copy.archive) for _, copy in copies) > choice.room:
            raise CallerError("vm.workspace", "What is shown does not fit into the microVM.")
        size = choice.size
        with (
            vms.listed(place, wall, wanted.image, agent, folder) as said,
            _held(sockets) as services,
        ):
            machine: Running | None = await claims.claimed(place.state, choice.pool, said)
            if machine is None:
                machine = await keeping.copied(
                    cache, choice.driver, choice.image, size, said, partial(tell, _FIRST)
                )
            async with session.opened(machine, services, size.life_seconds) as vm:
                await vm.claim()
                for _, copy in copies:
                    await vm.run(packing.UNPACK, copy.archive, cwd=copy.folder, own=True)
                ours = dict(copies[: len(shown.readable)])
                yield vm, ours, folder if copies else names.HOME

    async def agent(
        wall: str, order: Order, shown: View, sockets: Path, terminal: Terminal
    ) -> tuple[int, Sequence[tuple[str, Told]]]:
        beside = tuple(map(str, order.shows))
        env, folder = _env(sockets, order.env), str(order.folder)
        async with up(wall, order.argv[0], folder, shown, beside, sockets) as (vm, ours, cwd):
            seat = _seat(terminal)
            program = await vm.start(order.argv, cwd=cwd, env=env, seat=seat)
            resized = None if seat is None else _resizing(vm, terminal)
            with inside.joined(vm, ours, shown.masked), terminal.carrying(resized):
                code = await stdio.carried(program, terminal.streams)
            return code, await inside.last(vm) if order.mode == "rw" else ()

    async def started(
        agent: Agent, sockets: Path, within: Inside
    ) -> tuple[Done, Sequence[tuple[str, Told]]]:
        env = _env(sockets, agent.env)
        async with up(
            agent.name, agent.argv[0], agent.folder, agent.shown, agent.beside, sockets
        ) as (vm, ours, cwd):
            program = await vm.start(agent.argv, cwd=cwd, env=env)
            with within.joined(vm, ours, agent.shown.masked):
                done = await working.to_the_end(
                    program, agent.stdin, agent.seconds, agent.output_bytes
                )
            whole = agent.brings and not (done.truncated or done.timed_out)
            return done, await within.last(vm) if whole else ()

    return Where(agent, inside, started)


def _env(sockets: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Where the agent asks who it is, if it is somebody, and what it was given."""
    known = (sockets / identities.SOCKET).exists()
    return ({identities.VARIABLE: names.WORKLOAD_API} if known else {}) | dict(given)


def _seat(terminal: Terminal) -> Seat | None:
    """A terminal inside, where a person sits at ours: keys and screen."""
    first, second, third = terminal.are
    return Seat(*terminal.size, terminal.are) if first and (second or third) else None


def _resizing(vm: Session, terminal: Terminal) -> Callable[[], object]:
    """What passes a new size on. It is called in a signal's handler."""
    loop = asyncio.get_running_loop()
    passing: set[asyncio.Task[None]] = set()

    def passed() -> None:
        task = loop.create_task(_resized(vm, terminal))
        passing.add(task)
        task.add_done_callback(passing.discard)

    return partial(loop.call_soon_threadsafe, passed)


async def _resized(vm: Session, terminal: Terminal) -> None:
    with contextlib.suppress(WorldError):  # its agent has ended
        await vm.resized(*terminal.size)


@contextlib.contextmanager
def _held(folder: Path) -> Generator[dict[str, Path]]:
    """The proxy's sockets, which are ours alone from here on: a killed run leaves none behind."""
    sockets = {name: folder / f"{name}.sock" for name in names.OUTSIDE}
    if not sockets[names.IDENTITY].exists():  # here nobody says who an agent is
        del sockets[names.IDENTITY]
    held = {name: os.open(path, os.O_PATH | os.O_CLOEXEC) for name, path in sockets.items()}
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield {name: Path(f"/proc/self/fd/{fd}") for name, fd in held.items()}
    finally:
        for fd in held.values():
            os.close(fd)

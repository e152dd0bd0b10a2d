"""Law: a cell is made, looked at from inside, and ended, as a whole and in one place.

bubblewrap makes the namespaces, the mounts and the first filter; `inside.py` looks at the result,
adds the rest and says on its status pipe that the work is about to run. Without that word nothing
ran, and the caller is told what is missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import marshal
import os
import platform
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nucleus_tokens.errors import WorldError
from nucleus_vmhost import arguments, diagnose, mounts, opening, seccomp
from nucleus_vmhost import work as work_of
from nucleus_vmhost.filling import Filling
from nucleus_vmhost.first import First
from nucleus_vmhost.groups import Groups
from nucleus_vmhost.opening import Descriptors
from nucleus_vmhost.placeholders import Placeholders
from nucleus_vmhost.work import Limits, Work

_BEGIN_SECONDS: Final = 30.0
_LEAST_LINE: Final = 64 * 1024
_ENDED_TRIES: Final = 50
_COMPLAINT: Final = 4096


@dataclass(frozen=True, slots=True)
class Extras:
    """What a cell has beyond its work. `routes`: loopback port inside to unix socket outside.
    `streams`: descriptors for stdin, stdout and stderr; without them there are pipes. `terminal`:
    the first of them is a terminal made for this cell, which becomes its controlling one."""

    routes: Mapping[int, str] = field(default_factory=dict)
    streams: tuple[int, int, int] | None = None
    terminal: bool = False


NO_EXTRAS: Final = Extras()


@contextlib.asynccontextmanager
async def opened(work: Work, limits: Limits, extras: Extras = NO_EXTRAS) -> AsyncIterator[Process]:
    """A cell in which the work runs; at the end of the block nothing of it is left.

    Raises CallerError `wall.work`, WorldError `wall.*` when no cell came to be.
    """
    work_of.check(work)
    program = diagnose.bwrap()
    placeholders, groups, first = Placeholders(), Groups(), First()
    try:
        work = _kept_absent(work, placeholders)
        groups = Groups.make(limits, os.urandom(6).hex())
        filling = Filling(work.writable, limits.disk_bytes)
        process = await _begun(_begin(work, limits, extras, program, groups, first), first)
        watch = asyncio.create_task(filling.watch(lambda: _kill(process)))
        try:
            yield process
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await end(process)
            await first.ended()
    finally:
        first.close()
        placeholders.remove()
        for _ in range(_ENDED_TRIES):
            if groups.remove():
                break
            await asyncio.sleep(0.01)


async def end(process: Process) -> None:
    """Kill bubblewrap. With it dies its first process, and with that all others."""
    _kill(process)
    await process.wait()


def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def _begun(beginning: Coroutine[Any, Any, Process], first: First) -> Process:
    """A cell that begins is never left half way. Cancelled between two pipes, asyncio would wait
    for the third for ever; and bubblewrap, killed before its child listens for that, leaves it.
    Whoever is cancelled meanwhile ends a cell that has begun."""
    task = asyncio.ensure_future(beginning)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if task.exception() is None:
            await end(task.result())
            await first.ended()
        raise


async def _begin(
    work: Work, limits: Limits, extras: Extras, program: str, groups: Groups, first: First
) -> Process:
    keep = Descriptors()
    status_read, status_write = os.pipe2(os.O_CLOEXEC)
    keep.keep(status_write)
    inout = PIPE if extras.streams is None else DEVNULL
    try:
        told = keep.keep(first.told())
        argv = _command(work, limits, extras, program, keep, status_write, told)
        process = await asyncio.create_subprocess_exec(
            *groups.enter(argv),
            stdin=inout,
            stdout=inout,
            stderr=PIPE,
            env={},
            cwd="/",
            pass_fds=keep.numbers,
            start_new_session=True,
            limit=max(work.output_bytes, _LEAST_LINE),
        )
    except OSError as error:
        os.close(status_read)
        raise WorldError("wall.cell", f"The cell did not come to be: {error}.") from error
    except BaseException:  # cancelled as well
        os.close(status_read)
        raise
    finally:
        keep.close()
    try:
        said = await _first_word(status_read)
        if said != b"+":
            raise await _failed(process, said, program)
        first.open()
    except BaseException:
        await end(process)
        raise
    return process


def _command(
    work: Work,
    limits: Limits,
    extras: Extras,
    program: str,
    keep: Descriptors,
    status: int,
    told: int,
) -> list[str]:
    machine = platform.machine()
    routes = {port: f"{arguments.OURS}/{port}.sock" for port in extras.routes}
    placed = mounts.plan(work, keep)
    sockets = {routes[port]: keep.keep(opening.place(path)) for port, path in extras.routes.items()}
    rules = seccomp.program(machine, unix_sockets=bool(routes))
    options = arguments.options(
        work,
        placed,
        keep,
        sockets=sockets,
        tmp_bytes=limits.tmp_bytes,
        seccomp=keep.keep(opening.sealed(rules, "seccomp")),
    )
    streams = extras.streams or ()
    config = {
        "status": status,
        "argv": list(work.argv),
        "env": arguments.environment(work, routes),
        "routes": routes,
        # Ours may be 0, 1 and 2, which are bubblewrap's own there.
        "streams": [keep.keep(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)) for fd in streams],
        "terminal": extras.terminal,
        "filter": seccomp.sockets_program(machine) if routes else b"",
        "limits": _rlimits(limits),
        **arguments.seen(work, placed, routes=bool(routes)),
    }
    sealed_config = keep.keep(opening.sealed(marshal.dumps(config), "config"))
    packed = b"".join(os.fsencode(word) + b"\0" for word in options)
    sealed_options = keep.keep(opening.sealed(packed, "options"))
    return [
        program, "--args", str(sealed_options), "--info-fd", str(told), "--",
        arguments.python(), "-I", "-S", arguments.LAUNCHER, str(sealed_config),
    ]  # fmt: skip


def _kept_absent(work: Work, placeholders: Placeholders) -> Work:
    """What is to be hidden in a writable folder and does not exist gets a placeholder there."""
    asked = mounts.wanted(work)
    kept = [
        placeholders.put(path)
        for path in mounts.absent(asked)
        if mounts.enclosing(path, asked) is mounts.How.WRITE
    ]
    return arguments.Masked(work, (*work.masked, *kept)) if kept else work


def _rlimits(limits: Limits) -> dict[str, int]:
    return {
        "RLIMIT_CPU": limits.cpu_seconds,
        "RLIMIT_DATA": limits.data_bytes,
        "RLIMIT_AS": limits.address_bytes,
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_NOFILE": limits.files,
        "RLIMIT_FSIZE": limits.file_bytes,
    }


async def _first_word(fd: int) -> bytes:
    """What the launcher says: `+` when the work is about to run, `-` and a sentence, or nothing
    when no launcher came to be."""
    reader = asyncio.StreamReader()
    pipe = os.fdopen(fd, "rb", 0)  # closed with its transport
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        async with asyncio.timeout(_BEGIN_SECONDS):
            return await reader.read(1024)
    except TimeoutError:
        return b"-it did not begin in time"
    finally:
        transport.close()


async def _failed(process: Process, said: bytes, program: str) -> WorldError:
    _kill(process)
    complaint = b""
    if process.stderr is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_BEGIN_SECONDS):
                complaint = await process.stderr.read(_COMPLAINT)
    return diagnose.why((said[1:] or complaint).decode(errors="replace"), program)

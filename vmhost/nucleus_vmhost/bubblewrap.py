"""Law: somebody else's code runs here or not at all, and what it was not given is not there.

The Runner: each piece of work gets a cell of its own. bubblewrap makes the namespaces, the mounts
and the first filter; `inside.py` looks at the result and adds the rest. A cell ends as a whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import marshal
import os
import platform
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from typing import Final

from nucleus_tokens.errors import NucleusError, WorldError
from nucleus_vmhost import arguments, diagnose, mounts, opening, seccomp
from nucleus_vmhost import work as work_of
from nucleus_vmhost.opening import Descriptors
from nucleus_vmhost.pids import Group
from nucleus_vmhost.placeholders import Placeholders
from nucleus_vmhost.work import Done, Limits, Work

PROXY_PORT: Final = 3128
_BEGIN_SECONDS: Final = 30.0
_CHUNK: Final = 64 * 1024
_LEAST_LINE: Final = 64 * 1024
_ENDED_TRIES: Final = 50
_COMPLAINT: Final = 4096


class Bubblewrap:
    """Runs work in cells. `limits` hold for each."""

    name = "bubblewrap"

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008  frozen
        self._limits = limits
        self._ends: set[asyncio.Task[None]] = set()

    async def run(self, work: Work) -> Done:
        """Run it to its end or to its limits; then nothing of it is left.

        Raises CallerError `wall.work`, WorldError `wall.*` when no cell came to be.
        """
        async with self._cell(work) as process:
            return await _to_the_end(process, work)

    async def start(self, work: Work) -> Process:
        """Start it, with pipes. It ends with this process, or when it is killed: as a whole.

        Raises CallerError `wall.work`, WorldError `wall.*` when no cell came to be.
        """
        stack = contextlib.AsyncExitStack()
        process = await stack.enter_async_context(self._cell(work))

        async def watch() -> None:
            try:
                await process.wait()
            finally:
                await stack.aclose()

        task = asyncio.create_task(watch())
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)
        return process

    @contextlib.asynccontextmanager
    async def _cell(self, work: Work) -> AsyncIterator[Process]:
        work_of.check(work)
        program = diagnose.bwrap()
        placeholders, group = Placeholders(), Group(None)
        process: Process | None = None
        try:
            work = _kept_absent(work, placeholders)
            group = Group.make(self._limits.processes, os.urandom(6).hex())
            process = await self._begin(work, program, group)
            yield process
        finally:
            if process is not None:
                await _end(process)
            placeholders.remove()
            for _ in range(_ENDED_TRIES):
                if group.remove():
                    break
                await asyncio.sleep(0.01)

    async def _begin(self, work: Work, program: str, group: Group) -> Process:
        keep = Descriptors()
        status_read, status_write = os.pipe2(os.O_CLOEXEC)
        keep.keep(status_write)
        try:
            argv = self._command(work, program, keep, status_write)
            process = await asyncio.create_subprocess_exec(
                *group.enter(argv),
                stdin=PIPE,
                stdout=PIPE,
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
        except NucleusError:
            os.close(status_read)
            raise
        finally:
            keep.close()
        try:
            said = await _first_word(status_read)
            if said != b"+":
                raise await _failed(process, said, program)
        except BaseException:
            await _end(process)
            raise
        return process

    def _command(self, work: Work, program: str, keep: Descriptors, status: int) -> list[str]:
        machine = platform.machine()
        routes = {PROXY_PORT: arguments.SOCKET} if work.socket else {}
        placed = mounts.plan(work, keep)
        rules = seccomp.program(machine, unix_sockets=bool(routes))
        options = arguments.options(
            work,
            placed,
            keep,
            tmp_bytes=self._limits.tmp_bytes,
            seccomp=keep.keep(opening.sealed(rules, "seccomp")),
        )
        config = {
            "status": status,
            "argv": list(work.argv),
            "env": arguments.environment(work, PROXY_PORT if routes else None),
            "routes": routes,
            "terminal": False,
            "filter": seccomp.sockets_program(machine) if routes else b"",
            "limits": _rlimits(self._limits),
            **arguments.seen(work, placed),
        }
        sealed_config = keep.keep(opening.sealed(marshal.dumps(config), "config"))
        packed = b"".join(os.fsencode(word) + b"\0" for word in options)
        sealed_options = keep.keep(opening.sealed(packed, "options"))
        return [
            program, "--args", str(sealed_options), "--",
            os.path.realpath(sys.executable), "-I", "-S", arguments.LAUNCHER, str(sealed_config),
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
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    complaint = b""
    if process.stderr is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_BEGIN_SECONDS):
                complaint = await process.stderr.read(_COMPLAINT)
    return diagnose.why((said[1:] or complaint).decode(errors="replace"), program)


async def _end(process: Process) -> None:
    """Kill what is left. With bubblewrap dies its first process, and with that all others."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def _to_the_end(process: Process, work: Work) -> Done:
    left = work.output_bytes
    full = False

    async def read(stream: asyncio.StreamReader | None) -> bytes:
        nonlocal left, full
        kept: list[bytes] = []
        while stream is not None and (data := await stream.read(_CHUNK)):
            kept.append(data[:left])
            if len(data) > left:
                full = True
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            left -= len(kept[-1])
        return b"".join(kept)

    async def feed() -> None:
        if process.stdin is not None:
            with contextlib.suppress(ConnectionError):
                process.stdin.write(work.stdin)
                await process.stdin.drain()
            process.stdin.close()

    out, err = (asyncio.create_task(read(s)) for s in (process.stdout, process.stderr))
    feeding = asyncio.create_task(feed())
    timed_out = False
    try:
        try:
            async with asyncio.timeout(work.seconds):
                await process.wait()
        except TimeoutError:
            timed_out = True
            await _end(process)
        stdout, stderr = await asyncio.gather(out, err)
    finally:
        for task in (out, err, feeding):
            task.cancel()
        await asyncio.gather(out, err, feeding, return_exceptions=True)
    code = process.returncode
    assert code is not None  # noqa: S101  it was waited for
    return Done(code if code >= 0 else 128 - code, stdout, stderr, full, timed_out)

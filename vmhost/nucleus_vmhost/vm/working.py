"""Law: a command that was let run runs in the machine that its agent is in, and in no other place.

The Runner of a microVM: of the agent's uid, beside the agent, in its copy. What a command could do
there the agent can do as well; so the machine is the wall, and no cell of the host has to be. It
knows what counts as copied: what is written out here by the agent's calls does too.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping
from typing import Final

from nucleus_tokens.errors import WorldError
from nucleus_tokens.patterns import under
from nucleus_vmhost.vm import changes, packing
from nucleus_vmhost.vm.changes import Told
from nucleus_vmhost.vm.packing import Copied, Copy
from nucleus_vmhost.vm.session import Program, Session
from nucleus_vmhost.work import Done, Work

_PIECE: Final = 65536
_FILES_BYTES: Final = 32 << 20  # of what is written into a copy at once
_WRITTEN: Final = 4096  # paths that are remembered
_REMOVE: Final = ("busybox", "xargs", "-0", "rm", "-f", "--")
_KILLED: Final = 128 + signal.SIGKILL
CUT: Final = Done(_KILLED, b"", b"", truncated=False, timed_out=False)


class Inside:
    """Runs work in the machine that is joined to it, and none before."""

    name = "microvm"

    def __init__(self) -> None:
        self._vm: Session | None = None
        self._copies: Mapping[str, Copy] = {}
        self._masked: Collection[str] = ()
        self._looking = asyncio.Lock()
        self.written: set[str] = set()  # out here, by calls of the agent or of who it started

    @contextlib.contextmanager
    def joined(
        self, vm: Session, copies: Mapping[str, Copy], masked: Collection[str] = ()
    ) -> Iterator[None]:
        """While the block runs, commands run in this machine, which has copies of these parts of
        the workspace, without what is `masked`."""
        self._vm, self._copies, self._masked = vm, copies, masked
        try:
            yield
        finally:
            self._vm = None

    @contextlib.asynccontextmanager
    async def looked(self) -> AsyncGenerator[list[tuple[str, Told]]]:
        """What the agent has changed by now, and the folder that the names are in; while the block
        runs nobody else looks. Raises WorldError `vm.*`."""
        async with self._looking:
            yield await self._told(self._joined())

    async def last(self, vm: Session) -> list[tuple[str, Told]]:
        """As `looked`, after the agent's end."""
        async with self._looking:
            return await self._told(vm)

    async def _told(self, vm: Session) -> list[tuple[str, Told]]:
        return [(copy.folder, await changes.told(vm, copy)) for copy in self._copies.values()]

    def brought(self, now: Mapping[str, Copied | None]) -> None:
        """What the agent changed is written out here, and counts as copied; None for what it
        removed."""
        self._remember(now)
        for path, copied in now.items():
            for copy, (name,) in self._places([path]):
                copy.files.pop(name, None)
                copy.files.update({} if copied is None else {name: copied})

    async def wrote(self, paths: Collection[str]) -> None:
        """Files were written or removed out here by the agent's calls: it is done in the copy as
        well, and they count as copied. A machine that takes it no more ends by itself."""
        self._remember(paths)
        await self._take(paths, kept=False)

    async def caught_up(self, paths: Collection[str]) -> None:
        """As `wrote`, by calls of those that the agent started: what it changed itself in its copy
        meanwhile stays as it is."""
        self._remember(paths)
        await self._take(paths, kept=True)

    def _remember(self, paths: Collection[str]) -> None:
        if len(self.written) + len(paths) <= _WRITTEN:
            self.written.update(paths)

    async def _take(self, paths: Collection[str], *, kept: bool) -> None:
        vm = self._vm
        if vm is None:
            return
        for copy, names in self._places(paths):
            with contextlib.suppress(WorldError):
                await _taken(vm, copy, names, kept)

    def _places(self, paths: Collection[str]) -> Iterator[tuple[Copy, list[str]]]:
        """What files of the workspace are called in the copies; not those that are hidden."""
        shown = [path for path in paths if not any(under(each, path) for each in self._masked)]
        for top, copy in self._copies.items():
            start = len(copy.folder.rstrip("/")) + 1
            if names := [path[start:] for path in shown if under(top, path)]:
                yield copy, names

    def _joined(self) -> Session:
        if self._vm is None:
            raise WorldError("vm.ended", "There is no microVM for it.")
        return self._vm

    async def run(self, work: Work) -> Done:
        """Run it to its end or to its limits; then its group is killed.

        Raises WorldError `vm.*`, `vm.shown` where the machine shows more than the work may see.
        """
        vm = self._joined()
        if not self._copies.keys() <= {*work.readable, *work.writable}:
            raise WorldError("vm.shown", "The microVM shows more than this command may see.")
        program = await vm.start(work.argv, cwd=work.cwd, env=work.env, beside=True)
        return await to_the_end(program, work.stdin, work.seconds, work.output_bytes)


async def _taken(vm: Session, copy: Copy, names: list[str], kept: bool) -> None:
    """Make files of a copy what they are out here; those that were changed inside stay so if they
    are `kept`. Raises WorldError."""
    if kept:
        told = await changes.told(vm, copy, names)
        own = {each.name for each in told.changes} | {name for name, _ in told.left}
        names = [name for name in names if name not in own]
    now = await asyncio.to_thread(packing.some, copy.folder, names, _FILES_BYTES)
    gone = [name for name in names if name not in now.files and name in copy.files]
    if now.files:
        await vm.run(packing.UNPACK, now.archive, cwd=copy.folder, beside=True)
        copy.files.update(now.files)
    if gone:
        await vm.run(_REMOVE, "\0".join(gone).encode(), cwd=copy.folder, beside=True)
        for name in gone:
            del copy.files[name]


class _Full(Exception):
    """It said more than is kept."""


async def to_the_end(program: Program, stdin: bytes, seconds: float, output_bytes: int) -> Done:
    """Feed a program that was started, and read it, until it ends or reaches these limits."""
    loop = asyncio.get_running_loop()
    left, full, timed_out = output_bytes, False, False

    async def feed() -> None:
        with contextlib.suppress(OSError):
            await loop.sock_sendall(program.stdin, stdin)
            program.stdin.shutdown(socket.SHUT_WR)

    async def read(stream: socket.socket, kept: bytearray) -> None:
        nonlocal left
        while data := await loop.sock_recv(stream, _PIECE):
            kept += data[:left]
            if len(data) > left:
                raise _Full
            left -= len(data)

    out, err = bytearray(), bytearray()
    feeding = asyncio.ensure_future(feed())
    said = asyncio.gather(read(program.stdout, out), read(program.stderr, err), program.ended)
    code: int = _KILLED
    try:
        async with asyncio.timeout(seconds):
            _, _, code = await said
    except TimeoutError:
        timed_out = True
    except _Full:
        full = True
    finally:
        for task in (program.ended, feeding, said):
            task.cancel()
        await asyncio.gather(program.ended, feeding, said, return_exceptions=True)
        for stream in (program.stdin, program.stdout, program.stderr):
            stream.close()
    return Done(code, bytes(out), bytes(err), full, timed_out)

"""Law: a command that was let run runs in the machine that its agent is in, and in no other place.

The Runner of a microVM: of the agent's uid, beside the agent, in its copy. What a command could do
there the agent can do as well; so the machine is the wall, and no cell of the host has to be.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator, Mapping
from typing import Final

from nucleus_tokens.errors import WorldError
from nucleus_tokens.patterns import under
from nucleus_vmhost.vm import packing
from nucleus_vmhost.vm.packing import Copy
from nucleus_vmhost.vm.session import Program, Session
from nucleus_vmhost.work import Done, Work

_PIECE: Final = 65536
_FILE_BYTES: Final = 32 << 20
_KILLED: Final = 128 + signal.SIGKILL
CUT: Final = Done(_KILLED, b"", b"", truncated=False, timed_out=False)


class Inside:
    """Runs work in the machine that is joined to it, and none before."""

    name = "microvm"

    def __init__(self) -> None:
        self._vm: Session | None = None
        self._copies: Mapping[str, Copy] = {}

    @contextlib.contextmanager
    def joined(self, vm: Session, copies: Mapping[str, Copy]) -> Iterator[None]:
        """While the block runs, commands run in this machine, which has copies of these folders
        of the workspace."""
        self._vm, self._copies = vm, copies
        try:
            yield
        finally:
            self._vm = None

    async def wrote(self, path: str) -> None:
        """A file was written out here: it is written into the copy as well, and counts as copied.
        A machine that takes it no more ends by itself."""
        tops = [top for top in self._copies if under(top, path) and top != path]
        vm = self._vm
        if vm is None or not tops:
            return
        name = path[len(tops[0]) + 1 :]
        with contextlib.suppress(WorldError, FileNotFoundError):
            copy = await asyncio.to_thread(packing.one, tops[0], name, _FILE_BYTES)
            await vm.run(packing.UNPACK, copy.archive, cwd=tops[0], beside=True)
            self._copies[tops[0]].files.update(copy.files)

    async def run(self, work: Work) -> Done:
        """Run it to its end or to its limits; then its group is killed.

        Raises WorldError `vm.*`, `vm.shown` where the machine shows more than the work may see.
        """
        vm = self._vm
        if vm is None:
            raise WorldError("vm.ended", "There is no microVM for it.")
        if not self._copies.keys() <= {*work.readable, *work.writable}:
            raise WorldError("vm.shown", "The microVM shows more than this command may see.")
        program = await vm.start(work.argv, cwd=work.cwd, env=work.env, beside=True)
        return await to_the_end(program, work.stdin, work.seconds, work.output_bytes)


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

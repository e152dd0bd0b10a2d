"""Law: a pool's machines go to runs of its own home, of this user, and to nobody else. Whoever
claimed one has its channel; when either process is gone, so is the machine.

The pool's process starts the machines and stays their parent. A claim is a connection: the
machine's channel and what it prints go over it as descriptors, and its end is the machine's. The
socket has a name and no file, so that nothing stays behind; both ends ask the kernel who the other
is.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from nucleus_tokens.errors import CallerError
from nucleus_vmhost.vm.console import Console, Said, unheard
from nucleus_vmhost.vm.driver import MOST_SECONDS
from nucleus_vmhost.vm.pool import Pool
from nucleus_vmhost.vm.pumps import Line

# One more for each change of what is said below.
_VERSION: Final = 2
_SECONDS: Final = 10.0
_LINE: Final = 4096
_CODE: Final = 16
_BACKLOG: Final = 16
_CLAIM: Final = b"claim\n"
_STATUS: Final = b"status\n"


def _name(home: Path, key: str) -> str:
    whose = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:32]
    return f"\0nucleus-vm-pool-{_VERSION}/{os.geteuid()}/{whose}/{key}"


def _ours(connection: socket.socket) -> bool:
    """Whether this user's process is at the other end, by the kernel's word (unix(7))."""
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", said)
    return bool(uid == os.geteuid())


# The pool's side ----------------------------------------------------------------------------------


class Desk:
    """Gives the machines of a pool to those who claim them, at most so many at a time. `home` says
    whose they are."""

    def __init__(self, pool: Pool, home: Path, image: str, most: int) -> None:
        self._pool, self._home, self._image, self._most = pool, home, image, most
        self._given = self._served = 0

    @contextlib.asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[None]:
        """Serve while the block runs. `key` says what the pool's machines are copies of. Raises
        CallerError `vm.pool` where another process serves them."""
        meetings: set[asyncio.Task[None]] = set()
        with socket.socket(socket.AF_UNIX) as listening:
            try:
                listening.bind(_name(self._home, key))
            except OSError as error:
                raise CallerError(
                    "vm.pool",
                    "A pool of such machines is kept here already.",
                    hint="See: nucleus vm pool status",
                ) from error
            listening.listen(_BACKLOG)
            listening.setblocking(False)
            loop = asyncio.get_running_loop()
            loop.add_reader(listening, self._met, listening, meetings)
            try:
                yield
            finally:
                loop.remove_reader(listening)
                ending = set(meetings)
                for task in ending:
                    task.cancel()
                await asyncio.gather(*ending, return_exceptions=True)

    def _met(self, listening: socket.socket, meetings: set[asyncio.Task[None]]) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listening.accept()
            connection.setblocking(False)
            if len(meetings) >= self._most + _BACKLOG:
                connection.close()
                return
            task = asyncio.ensure_future(self._meet(connection))
            meetings.add(task)
            task.add_done_callback(meetings.discard)

    async def _meet(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, TimeoutError):
            if not _ours(connection):
                return
            async with asyncio.timeout(_SECONDS):
                asked = await asyncio.get_running_loop().sock_recv(connection, len(_STATUS))
            if asked == _STATUS:
                connection.sendall(json.dumps(self.status()).encode())
            elif asked == _CLAIM and self._pool.warm and self._given < self._most:
                self._given += 1
                try:
                    await self._give(connection)
                finally:
                    self._given -= 1

    async def _give(self, connection: socket.socket) -> None:
        """Hand a machine over, and end it when its user is gone or its time is up."""
        machine = await self._pool.taken()
        try:
            line, pipe = machine.channel(), machine.printing()
            try:
                said = json.dumps({"pid": machine.pid, "spoken": line.spoken}).encode()
                socket.send_fds(connection, [said], [line.fd, pipe])
            finally:
                os.close(line.fd)
                os.close(pipe)
            self._served += 1
            over = asyncio.ensure_future(machine.over())
            gone = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(connection, 1))
            try:
                # Its user has a clock of its own, which is shorter.
                await asyncio.wait(
                    (over, gone), timeout=MOST_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if over.done():
                    connection.send(b"%d" % over.result())
            finally:
                over.cancel()
                gone.cancel()
                await asyncio.gather(over, gone, return_exceptions=True)
        finally:
            await machine.end()

    def status(self) -> dict[str, Any]:
        """What can be said of the pool."""
        return {
            "claimed": self._given,
            "image": self._image,
            "most": self._most,
            "pid": os.getpid(),
            "served": self._served,
            "size": self._pool.size,
            "warm": self._pool.warm,
        }


# The other side -----------------------------------------------------------------------------------


class Claimed:
    """A machine that was claimed. It runs."""

    def __init__(
        self, connection: socket.socket, pid: int, line: Line, pipe: int, said: Said
    ) -> None:
        self.pid = pid
        self._connection = connection
        self._line: Line | None = line
        self._console = Console(pipe, said)
        self._code = b""

    @property
    def console(self) -> bytes:
        return self._console.text

    def channel(self) -> Line:
        assert self._line is not None  # noqa: S101  it is taken once
        line, self._line = self._line, None
        return line

    async def over(self) -> int:
        """Until it has ended; what the pool says it ended with."""
        with contextlib.suppress(OSError):
            while data := await asyncio.get_running_loop().sock_recv(self._connection, _CODE):
                self._code = data
        return int(self._code) if self._code.isdigit() else -1

    async def end(self) -> None:
        """Tell the pool; it closes the connection when the machine is gone."""
        with contextlib.suppress(OSError, TimeoutError):
            self._connection.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(_SECONDS):
                await self.over()
        self._console.close()
        self._connection.close()
        if self._line is not None:
            os.close(self._line.fd)


async def claimed(home: Path, key: str, said: Said = unheard) -> Claimed | None:
    """A warm machine of a home's pool of these copies, or None where none is to be had: then
    whoever asks makes one."""
    connection = socket.socket(socket.AF_UNIX)
    fds: list[int] = []
    try:
        raw = await _asked(connection, _name(home, key), _CLAIM, fds)
        found = json.loads(raw)
        line, pipe = fds
        made = Claimed(connection, int(found["pid"]), Line(line, int(found["spoken"])), pipe, said)
    except (OSError, ValueError, KeyError, TypeError):
        for fd in fds:
            os.close(fd)
        connection.close()
        return None
    return made


async def pools(home: Path) -> list[dict[str, Any]]:
    """What each pool of a home says of itself."""
    found: list[dict[str, Any]] = []
    names = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace")
    start = _name(home, "").replace("\0", "@")
    for key in sorted(
        set(re.findall(rf"{re.escape(start)}([0-9a-f]{{32}})$", names, re.MULTILINE))
    ):
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError, ValueError):
            said = json.loads(await _asked(connection, _name(home, key), _STATUS, []))
            found.append({**said, "key": key})
    return found


async def _asked(connection: socket.socket, name: str, what: bytes, fds: list[int]) -> bytes:
    """What a pool answers; descriptors that come with it are added to `fds`. Raises OSError."""
    connection.setblocking(False)
    connection.connect(name)
    if not _ours(connection):
        raise PermissionError("another user's process answers")
    connection.send(what)
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(connection, ready.set)
    try:
        async with asyncio.timeout(_SECONDS):
            await ready.wait()
    finally:
        loop.remove_reader(connection)
    data, got, _, _ = socket.recv_fds(connection, _LINE, 2, socket.MSG_CMSG_CLOEXEC)
    fds += got
    return data

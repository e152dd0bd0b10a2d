"""Law: a service that ends is started again; one that never served ends all of them, and says so.

Each service is a process of its own, and none outlives this one: the kernel ends them with it.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nucleus.cli.notify import READY, VARIABLE
from nucleus_tokens.errors import WorldError

_PR_SET_PDEATHSIG: Final = 1
_READY_SECONDS: Final = 60.0
_GRACE_SECONDS: Final = 10.0
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Service:
    """One process. `secret` is what it reads from the descriptor whose number ends its words."""

    name: str
    words: Sequence[str]
    environ: Mapping[str, str]
    secret: bytes | None = field(default=None, repr=False)


async def supervise(
    services: Sequence[Service], folder: Path, log: Log, ready: Callable[[], None]
) -> None:
    """Start the services in order, each once the one before serves, and keep them running until
    cancelled; then all of them are ended. Raises WorldError `up.ended`."""
    libc = ctypes.CDLL(None, use_errno=True)
    kept: list[asyncio.Task[None]] = []
    try:
        for each in services:
            serves: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            task = asyncio.ensure_future(_Kept(each, folder, log, libc).keep(serves))
            kept.append(task)
            await asyncio.wait({serves, *kept}, return_when=asyncio.FIRST_COMPLETED)
            _failed(kept)
        ready()
        await asyncio.wait(kept, return_when=asyncio.FIRST_COMPLETED)
        _failed(kept)
    finally:
        for task in reversed(kept):
            task.cancel()
            with suppress(asyncio.CancelledError, WorldError):
                await task


def _failed(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done():
            task.result()


class _Kept:
    def __init__(self, service: Service, folder: Path, log: Log, libc: ctypes.CDLL) -> None:
        self._service = service
        self._path = folder / f".{service.name}.ready"
        self._log = log
        self._libc = libc

    async def keep(self, serves: asyncio.Future[None]) -> None:
        name, pause = self._service.name, _FIRST_PAUSE
        while True:
            served, code = await self._once(serves)
            if not serves.done():
                raise WorldError(
                    "up.ended",
                    f"The {name} ended before it served (exit {code}).",
                    hint="It said why, above.",
                )
            pause = _FIRST_PAUSE if served else min(2 * pause, _LONGEST_PAUSE)
            self._log(f"the {name} ended (exit {code}); it is started again")
            await asyncio.sleep(pause)

    async def _once(self, serves: asyncio.Future[None]) -> tuple[bool, int]:
        """One life: whether it served, and how it ended."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hears:
            hears.setblocking(False)
            self._path.unlink(missing_ok=True)
            hears.bind(str(self._path))
            process = self._start()
            ended = asyncio.ensure_future(asyncio.to_thread(process.wait))
            told = asyncio.ensure_future(_told(hears))
            try:
                await asyncio.wait(
                    {ended, told}, timeout=_READY_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                served = told.done()
                if served and not serves.done():
                    serves.set_result(None)
                if not served and not ended.done():
                    process.kill()
                return served, await asyncio.shield(ended)
            finally:
                told.cancel()
                self._path.unlink(missing_ok=True)
                await _end(process, ended)

    def _start(self) -> subprocess.Popen[bytes]:
        service, parent = self._service, os.getpid()
        libc = self._libc

        def tied() -> None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        words, descriptors = list(service.words), list[int]()
        try:
            if service.secret is not None:
                reads, writes = os.pipe()
                descriptors.append(reads)
                with os.fdopen(writes, "wb") as file:
                    file.write(service.secret)  # less than a pipe holds
                words.append(str(reads))
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=tuple(descriptors),
                env={**service.environ, VARIABLE: str(self._path)},
                preexec_fn=tied,  # noqa: PLW1509  one system call, and no lock
                # Its own: a Ctrl-C is for us, and we end it in order.
                start_new_session=True,
            )
        finally:
            for each in descriptors:
                os.close(each)


async def _told(hears: socket.socket) -> None:
    while await asyncio.get_running_loop().sock_recv(hears, 64) != READY:
        pass


async def _end(process: subprocess.Popen[bytes], ended: asyncio.Future[int]) -> None:
    if ended.done():
        return
    process.terminate()
    await asyncio.wait({ended}, timeout=_GRACE_SECONDS)
    if not ended.done():
        process.kill()
        await ended

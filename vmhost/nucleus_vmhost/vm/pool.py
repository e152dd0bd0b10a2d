"""Law: a warm machine is claimed once, by one session, and nobody's until then.

Copies of one kept machine that have answered a few calls and were paused: their code is translated.
A machine that does not answer is not handed out. What is claimed is replaced in the background.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from nucleus_tokens.errors import WorldError
from nucleus_vmhost.vm import session
from nucleus_vmhost.vm.qemu import Qemu, QemuKept, QemuMachine
from nucleus_vmhost.vm.session import Session


class Pool:
    """So many warm copies of one kept machine. Use it as a context; `kept` stays its owner's."""

    def __init__(self, driver: Qemu, kept: QemuKept, size: int) -> None:
        self._driver, self._kept, self.size = driver, kept, size
        self._warm: asyncio.Queue[QemuMachine | WorldError] = asyncio.Queue()
        self._filler: asyncio.Task[None] | None = None
        self._wanted = asyncio.Semaphore(size)
        self._why: WorldError | None = None

    @property
    def warm(self) -> int:
        """How many can be claimed at once."""
        return 0 if self._why else self._warm.qsize()

    async def __aenter__(self) -> Pool:
        self._filler = asyncio.create_task(self._fill())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._filler is not None  # noqa: S101  it was entered
        self._filler.cancel()
        await asyncio.gather(self._filler, return_exceptions=True)
        while not self._warm.empty():
            one = self._warm.get_nowait()
            if not isinstance(one, WorldError):
                await one.end()

    async def full(self) -> None:
        """Until as many are warm as shall be. Raises WorldError where none can be made."""
        while self.warm < self.size:
            if self._why is not None:
                raise self._why
            await asyncio.sleep(0.005)

    async def taken(self) -> QemuMachine:
        """A machine that runs again, and is the caller's to end. Raises WorldError where none can
        be made."""
        while True:
            one = await self._warm.get()
            if isinstance(one, WorldError):
                self._warm.put_nowait(one)  # so it is for whoever asks next
                raise one
            self._wanted.release()
            try:
                await one.resume()
            except WorldError:
                await one.end()  # it died while it waited: the next one
            else:
                return one

    @contextlib.asynccontextmanager
    async def claimed(self, services: Mapping[str, Path]) -> AsyncIterator[Session]:
        """A machine of one's own, with the time of now; at the end of the block it is over.

        Raises WorldError where none can be made.
        """
        async with session.opened(await self.taken(), services) as claimed:
            await claimed.claim()
            yield claimed

    async def _fill(self) -> None:
        while True:
            await self._wanted.acquire()
            try:
                one = await self._made()
            except WorldError as error:
                self._why = error
                self._warm.put_nowait(error)
                return
            self._warm.put_nowait(one)

    async def _made(self) -> QemuMachine:
        machine = await self._driver.copy(self._kept)
        try:
            await session.warmed(machine)
        except BaseException:
            await machine.end()
            raise
        return machine

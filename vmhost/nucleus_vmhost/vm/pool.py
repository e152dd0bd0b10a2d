"""Law: a warm machine is claimed once, by one session, and nobody's until then.

Copies of one kept machine that have answered a few calls and were paused: their code is translated.
A machine that does not answer is not handed out. What is claimed, or died while it waited, is
replaced in the background.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

from nucleus_tokens.errors import WorldError
from nucleus_vmhost.vm import session
from nucleus_vmhost.vm.driver import CPU_SECONDS, Kept, Machine
from nucleus_vmhost.vm.session import Session

# Whoever claimed a machine comes first; the next one is made after that.
_AFTER_SECONDS: Final = 0.1
_AGAIN_SECONDS: Final = 5.0


class Pool:
    """So many warm copies of one kept machine. Use it as a context; `kept` stays its owner's."""

    def __init__(self, kept: Kept, size: int, cpu_seconds: int = CPU_SECONDS) -> None:
        self._kept, self.size, self._cpu_seconds = kept, size, cpu_seconds
        self._warm: deque[Machine] = deque()
        self._news = asyncio.Condition()
        self._missing = asyncio.Semaphore(size)
        self._why: WorldError | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def warm(self) -> int:
        """How many can be claimed at once."""
        return len(self._warm)

    async def __aenter__(self) -> Pool:
        self._keep(self._fill())
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self._warm:
            await self._warm.popleft().end()

    async def full(self) -> None:
        """Until as many are warm as shall be. Raises WorldError where one cannot be made."""
        async with self._news:
            await self._news.wait_for(lambda: self.warm >= self.size or self._why)
        if self._why is not None:
            raise self._why

    async def taken(self) -> Machine:
        """A machine that runs again, and is the caller's to end. Raises WorldError where none is
        warm and none can be made."""
        while True:
            async with self._news:
                await self._news.wait_for(lambda: self._warm or self._why)
            if not self._warm:
                assert self._why is not None  # noqa: S101  or we would still wait
                raise self._why
            one = self._warm.popleft()
            asyncio.get_running_loop().call_later(_AFTER_SECONDS, self._missing.release)
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
            await self._missing.acquire()
            try:
                one = await self._made()
            except WorldError as error:
                self._why = error
                self._missing.release()
                await self._told()
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                self._why = None
                self._warm.append(one)
                self._keep(self._watch(one))
                await self._told()

    async def _made(self) -> Machine:
        machine = await self._kept.copy(self._cpu_seconds)
        try:
            await session.warmed(machine)
        except BaseException:
            await machine.end()
            raise
        return machine

    async def _watch(self, one: Machine) -> None:
        """Replace it if it dies while it waits."""
        await one.over()
        if one in self._warm:
            self._warm.remove(one)
            self._missing.release()
            await one.end()

    async def _told(self) -> None:
        async with self._news:
            self._news.notify_all()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

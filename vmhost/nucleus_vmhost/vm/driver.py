"""Law: whoever uses a microVM knows none of its drivers: a machine is a channel, a console and an
end.

A driver starts a machine from an image, or a copy of one that it kept. What a machine says is
hostile, on its channel and on its console.
"""

from __future__ import annotations

import asyncio
import hashlib
import signal
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from nucleus_vmhost.vm.console import Said, unheard
from nucleus_vmhost.vm.image import Image
from nucleus_vmhost.vm.pumps import Line

CPU_SECONDS: Final = 24 * 3600
LIFE_SECONDS: Final = 24 * 3600
MOST_SECONDS: Final = 7 * 24 * 3600
# What a machine's program ends with where its CPU time is spent: SIGXCPU, as the jail passes it on.
CPU_SPENT: Final = 128 + signal.SIGXCPU


@dataclass(frozen=True, slots=True)
class Size:
    """What one machine may use: memory, CPU time from its start, and for how long it may be
    somebody's."""

    memory_mib: int
    cpu_seconds: int = CPU_SECONDS
    life_seconds: int = LIFE_SECONDS

    @classmethod
    def of(cls, image: Image) -> Size:
        return cls(image.memory_mib)

    def room(self, image: Image) -> int:
        """How many bytes of files fit beside the image's own, with as much again to work in."""
        return (self.memory_mib << 20) // 4 - image.initrd.stat().st_size // 2


class Running(Protocol):
    """A machine that runs, for whoever uses it."""

    @property
    def pid(self) -> int: ...

    @property
    def console(self) -> bytes:
        """The last of what it said there."""
        ...

    def channel(self) -> Line:
        """This side's end of its channel: from now on the caller's."""
        ...

    async def over(self) -> int:
        """Until it has ended; what its program ended with, or -1 where nobody knows."""
        ...

    async def end(self) -> None:
        """End it now; nothing of it is left then."""
        ...


class Machine(Running, Protocol):
    """A machine, for whoever started it."""

    async def ready(self, seconds: float) -> None:
        """Until its guest half listens. Raises WorldError `vm.boot`."""
        ...

    def rejoined(self, line: Line) -> None:
        """Take its channel back."""
        ...

    def printing(self) -> int:
        """The pipe into which it prints: from now on the caller's."""
        ...

    async def pause(self) -> None: ...

    async def resume(self) -> None: ...


MachineT = TypeVar("MachineT", bound=Machine)


class Kept(Protocol):
    """A machine that was stopped before it was anybody's; copies of it are started from this."""

    @property
    def key(self) -> str:
        """The hash of all that it depends on."""
        ...

    async def copy(self, cpu_seconds: int, said: Said = unheard) -> Machine:
        """A machine that goes on from there, paused. Raises WorldError `vm.*`."""
        ...

    def store(self, folder: Path) -> None:
        """Write it into an empty folder. Raises OSError."""
        ...

    def close(self) -> None:
        """Nothing more is started from it; what was goes on."""
        ...


class Driver(Protocol):
    """One way to run machines."""

    @property
    def name(self) -> str: ...

    async def boot(self, image: Image, size: Size, said: Said = unheard) -> Machine:
        """Start an image. Raises WorldError `vm.*`."""
        ...

    async def keep(self, image: Image, memory_mib: int) -> Kept:
        """Boot a machine until it is ready, and keep what it is then. Raises WorldError `vm.*`."""
        ...

    def load(self, folder: Path, image: Image, memory_mib: int) -> Kept:
        """What was stored in a folder, whose name is its key. Raises OSError."""
        ...

    def key(self, image: Image, memory_mib: int) -> str:
        """What a kept machine depends on: it is of no use for anything else. Raises WorldError."""
        ...


async def begun(beginning: Coroutine[Any, Any, MachineT]) -> MachineT:
    """A machine that begins is never left half way: whoever is cancelled meanwhile ends it."""
    task = asyncio.ensure_future(beginning)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if task.exception() is None:
            await task.result().end()
        raise


def named(*parts: str) -> str:
    """A key made of all that it depends on."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

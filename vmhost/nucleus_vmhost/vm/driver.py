"""Law: whoever uses a microVM knows none of its drivers: a machine is a channel, a console and an
end.

A driver starts a machine from an image, or a copy of one that it kept. What a machine says is
hostile, on its channel and on its console.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from nucleus_vmhost.vm.console import Said, unheard
from nucleus_vmhost.vm.image import Image
from nucleus_vmhost.vm.pumps import Line

# How long a machine may be somebody's.
LIFE_SECONDS: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Size:
    """What one machine may use."""

    memory_mib: int
    cpu_seconds: int = 24 * 3600

    @classmethod
    def of(cls, image: Image) -> Size:
        return cls(image.memory_mib)


class Kept(Protocol):
    """A machine that was stopped before it was anybody's; copies of it are started from this."""

    @property
    def key(self) -> str:
        """The hash of all that it depends on."""
        ...

    def close(self) -> None:
        """Nothing more is started from it; what was goes on."""
        ...


KeptT = TypeVar("KeptT", bound=Kept)


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

    async def over(self) -> int:
        """Until it has ended; what its program ended with."""
        ...

    async def pause(self) -> None: ...

    async def resume(self) -> None: ...


class Driver(Protocol[KeptT]):
    """One way to run machines."""

    @property
    def name(self) -> str: ...

    async def boot(self, image: Image, size: Size, said: Said = unheard) -> Machine:
        """Start an image. Raises WorldError `vm.*`."""
        ...

    async def keep(self, image: Image, size: Size) -> KeptT:
        """Boot a machine until it is ready, and keep what it is then."""
        ...

    async def copy(self, kept: KeptT, said: Said = unheard) -> Machine:
        """A machine that goes on from there, paused. Raises WorldError `vm.*`."""
        ...


def named(*parts: str) -> str:
    """A key made of all that it depends on."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

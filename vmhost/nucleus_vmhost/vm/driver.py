"""Law: whoever uses a microVM knows none of its drivers: a machine is a channel, a console and an
end.

A driver starts a machine from an image, or a copy of one that it kept. What a machine says is
hostile, on its channel and on its console.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from nucleus_vmhost.vm.image import Image
from nucleus_vmhost.vm.pumps import Ends

# Called with what a machine prints, as it does.
Said = Callable[[bytes], None]
CONSOLE_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Size:
    """What one machine may use."""

    memory_mib: int
    cpu_seconds: int = 24 * 3600

    @classmethod
    def of(cls, image: Image) -> Size:
        return cls(image.memory_mib)


def unheard(data: bytes) -> None:
    """Nobody listens."""


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


class Machine(Protocol):
    """One machine."""

    @property
    def pid(self) -> int: ...

    @property
    def console(self) -> bytes:
        """The last of what it said there."""
        ...

    @property
    def ends(self) -> Ends:
        """This side's ends of its channel."""
        ...

    async def ready(self, seconds: float) -> None:
        """Until its guest half listens. Raises WorldError `vm.boot`."""
        ...

    async def pause(self) -> None: ...

    async def resume(self) -> None: ...

    async def over(self) -> int:
        """Until it has ended; what its program ended with."""
        ...

    async def end(self) -> None:
        """End it now; nothing of it is left then."""
        ...


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


class Console:
    """What a machine prints, of which the last is kept."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self.total = 0

    def said(self, data: bytes) -> None:
        self.total += len(data)
        self._kept += data
        if len(self._kept) > CONSOLE_BYTES:
            del self._kept[: len(self._kept) - CONSOLE_BYTES]

    @property
    def text(self) -> bytes:
        return bytes(self._kept)


def named(*parts: str) -> str:
    """A key made of all that it depends on."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

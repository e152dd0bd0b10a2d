"""Law: a person gets the microVM that was asked for, or one sentence that says why not; never
another one.

A machine that waits in a pool is taken only where its driver, image, memory and CPU time are those
that were asked for. How long it lives is counted by whoever uses it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nucleus_tokens.errors import CallerError, WorldError
from nucleus_vmhost.vm import image as images
from nucleus_vmhost.vm import jailer, probing
from nucleus_vmhost.vm.driver import (
    CPU_SECONDS,
    LIFE_SECONDS,
    MOST_SECONDS,
    Driver,
    Size,
    named,
)
from nucleus_vmhost.vm.firecracker import Firecracker
from nucleus_vmhost.vm.image import Image

DRIVERS: Final = ("qemu", "firecracker")


@dataclass(frozen=True, slots=True)
class Choice:
    """What runs: an image, its size and a driver that can be used here."""

    image: Image
    size: Size
    driver: Driver

    @property
    def room(self) -> int:
        """How many bytes of files fit."""
        return self.size.room(self.image)

    @property
    def pool(self) -> str:
        """The name of a pool whose machines are this. Raises WorldError `vm.*`."""
        key = self.driver.key(self.image, self.size.memory_mib)
        return named("pool", key, str(self.size.cpu_seconds))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks for. Without `memory_mib` it is as much as the image needs."""

    image: str = images.DEFAULT
    driver: str = DRIVERS[0]
    memory_mib: int | None = None
    cpu_seconds: int = CPU_SECONDS
    life_seconds: int = LIFE_SECONDS

    def chosen(self, cache: Path) -> Choice:
        """What it is here. Raises CallerError `vm.image`, `vm.size`, `vm.driver`, WorldError
        `vm.driver`."""
        _within("--cpu-seconds", "seconds", self.cpu_seconds, 1, MOST_SECONDS)
        _within("--life", "seconds", self.life_seconds, 1, MOST_SECONDS)
        image = images.named(cache, self.image)
        memory_mib = image.memory_mib
        if self.memory_mib is not None:
            memory_mib = self.memory_mib
            _within("--memory", "MiB for this image", memory_mib, image.memory_mib, _memory_mib())
        size = Size(memory_mib, self.cpu_seconds, self.life_seconds)
        return Choice(image, size, self._driver(cache, image))

    def _driver(self, cache: Path, image: Image) -> Driver:
        if self.driver not in DRIVERS:
            raise CallerError("vm.driver", f"--driver is {' or '.join(DRIVERS)}.")
        if self.driver == "qemu":
            return probing.qemu(cache, image)
        if lacks := jailer.lacking():
            raise WorldError(
                "vm.driver",
                f"Firecracker cannot be used here: {', '.join(lacks)}.",
                hint="Say --driver qemu, or leave it out; what it needs: nucleus vm doctor",
            )
        return Firecracker()


def _within(option: str, unit: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise CallerError(
            "vm.size",
            f"{option} is {least} to {most} {unit}.",
            hint="Left out, it is as much as is usual",
        )


def _memory_mib() -> int:
    """Of this host."""
    return (os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) >> 20

"""What the tests of microVMs share: one image for all, kept between runs, and copies of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Final

from nucleus_vmhost.vm import claims, image, keeping, session
from nucleus_vmhost.vm.console import Said, unheard
from nucleus_vmhost.vm.driver import Machine, Size
from nucleus_vmhost.vm.image import Image, Recipe
from nucleus_vmhost.vm.qemu import Qemu
from nucleus_vmhost.vm.session import Session
from tests.cli.command import Desk

# What is kept here was made from the same inputs, whoever made it.
CACHE: Final = session.cache()


def built(recipe: Recipe) -> Image:
    made = image.build(CACHE, recipe)
    if recipe == Recipe():
        image.name(CACHE, made, image.DEFAULT)
    return made


@contextlib.asynccontextmanager
async def copied(
    made: Image, services: Mapping[str, Path] | None = None, said: Said = unheard
) -> AsyncIterator[tuple[Session, Machine]]:
    """A running copy of an image's kept machine."""
    machine = await keeping.copied(CACHE, Qemu(), made, Size.of(made), said)
    async with session.opened(machine, services or {}) as vm:
        yield vm, machine


def alive(pid: int) -> bool:
    """Whether a process runs, and is no corpse."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not so():
            await asyncio.sleep(0.02)


async def gone(pid: int) -> None:
    await until(lambda: not alive(pid))


def children(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += children(int(child))
    return found


def emulators(pid: int) -> set[int]:
    """The QEMUs beneath a process."""
    found = set()
    for each in children(pid):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{each}/comm").read_text().startswith("qemu-system"):
                found.add(each)
    return found


def qemu_of(pid: int) -> int:
    """The one QEMU beneath a process."""
    (found,) = emulators(pid)
    return found


def memory(pid: int) -> bytes:
    """All that a process has written in its memory, and what it maps of memory files."""
    kept = bytearray()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *rest = line.split(maxsplit=5)
            start, end = (int(each, 16) for each in span.split("-"))
            name = rest[-1] if len(rest) == 4 else ""
            if "r" not in rights or name.startswith(("[vv", "[vs", "/usr")):
                continue
            with contextlib.suppress(OSError, ValueError):
                mem.seek(start)
                kept += mem.read(end - start)
    return bytes(kept)


def said(running: subprocess.Popen[bytes], line: bytes) -> None:
    """A program prints a line first; where it does not, why."""
    assert running.stdout is not None
    found = running.stdout.readline()
    if found != line:
        running.kill()
        raise AssertionError((found, *running.communicate(timeout=60), running.returncode))


async def all_gone(pids: list[int]) -> None:
    for pid in pids:
        await gone(pid)


def pool_says(desk: Desk, **wanted: int) -> dict[str, object]:
    """What the one pool of a home says, once it says what is wanted."""

    async def asked() -> dict[str, object]:
        async with asyncio.timeout(60):
            while True:
                (found,) = await claims.pools(desk.home / "state")
                if all(found[name] == value for name, value in wanted.items()):
                    return found
                await asyncio.sleep(0.02)

    return asyncio.run(asked())

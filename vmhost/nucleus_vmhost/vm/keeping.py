"""Law: what is started a hundred times is booted once, and is of use to nobody else but for what
it was kept.

A kept machine on the disk is two files in a folder named by the hash of all it depends on. It was
stopped before any token, name or secret entered it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nucleus_tokens.errors import WorldError
from nucleus_vmhost.vm import memory
from nucleus_vmhost.vm.console import Said, unheard
from nucleus_vmhost.vm.driver import Size
from nucleus_vmhost.vm.image import Image, one_at_a_time
from nucleus_vmhost.vm.qemu import Qemu, QemuKept, QemuMachine

_RAM: Final = "ram"
_STATE: Final = "state"


def quietly() -> None:
    """Nobody is told."""


async def kept(
    cache: Path, driver: Qemu, image: Image, size: Size, booting: Callable[[], None] = quietly
) -> QemuKept:
    """The kept machine of an image, booted where there is none, which `booting` is told before.
    Raises WorldError `vm.*`."""
    folder = cache / "kept" / driver.key(image, size)
    with one_at_a_time(cache):
        if (found := _loaded(folder, image, size)) is not None:
            return found
        booting()
        made = await driver.keep(image, size)
        try:
            stored(folder, made)
        except BaseException:
            made.close()
            raise
        return made


async def copied(
    cache: Path,
    driver: Qemu,
    image: Image,
    size: Size,
    said: Said = unheard,
    booting: Callable[[], None] = quietly,
) -> QemuMachine:
    """A copy of the kept machine of an image, that runs. Raises WorldError `vm.*`."""
    found = await kept(cache, driver, image, size, booting)
    try:
        machine = await driver.copy(found, said)
    finally:
        found.close()
    try:
        await machine.resume()
    except BaseException:
        await machine.end()
        raise
    return machine


def _loaded(folder: Path, image: Image, size: Size) -> QemuKept | None:
    try:
        state = (folder / _STATE).read_bytes()
        return QemuKept(folder.name, image, size, memory.read(folder / _RAM), state)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorldError("vm.kept", f"What is kept in {folder} cannot be read: {error}.") from error


def stored(folder: Path, made: QemuKept) -> None:
    """Keep a machine on the disk, whole or not at all. Raises WorldError `vm.kept`."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        try:
            memory.written(made.ram, new / _RAM)
            (new / _STATE).write_bytes(made.state)
            new.rename(folder)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
    except OSError as error:
        raise WorldError("vm.kept", f"The microVM cannot be kept: {error}.") from error

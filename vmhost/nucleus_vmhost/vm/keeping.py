"""Law: what is started a hundred times is booted once, and is of use to nobody else but for what
it was kept.

A kept machine on the disk is a folder named by the hash of all it depends on; what is in it is its
driver's. It was stopped before any token, name or secret entered it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from nucleus_tokens.errors import WorldError
from nucleus_vmhost.vm.console import Said, unheard
from nucleus_vmhost.vm.driver import Driver, Kept, Machine, Size
from nucleus_vmhost.vm.image import Image, one_at_a_time


def quietly() -> None:
    """Nobody is told."""


async def kept(
    cache: Path,
    driver: Driver,
    image: Image,
    memory_mib: int,
    booting: Callable[[], None] = quietly,
) -> Kept:
    """The kept machine of an image, booted where there is none, which `booting` is told before.
    Raises WorldError `vm.*`."""
    folder = cache / "kept" / driver.key(image, memory_mib)
    with one_at_a_time(cache):
        if (found := _loaded(folder, driver, image, memory_mib)) is not None:
            return found
        booting()
        made = await driver.keep(image, memory_mib)
        try:
            stored(folder, made)
        except BaseException:
            made.close()
            raise
        return made


async def copied(
    cache: Path,
    driver: Driver,
    image: Image,
    size: Size,
    said: Said = unheard,
    booting: Callable[[], None] = quietly,
) -> Machine:
    """A copy of the kept machine of an image, that runs. Raises WorldError `vm.*`."""
    found = await kept(cache, driver, image, size.memory_mib, booting)
    try:
        machine = await found.copy(size.cpu_seconds, said)
    finally:
        found.close()
    try:
        await machine.resume()
    except BaseException:
        await machine.end()
        raise
    return machine


def _loaded(folder: Path, driver: Driver, image: Image, memory_mib: int) -> Kept | None:
    try:
        return driver.load(folder, image, memory_mib)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorldError("vm.kept", f"What is kept in {folder} cannot be read: {error}.") from error


def stored(folder: Path, made: Kept) -> None:
    """Keep a machine on the disk, whole or not at all. Raises WorldError `vm.kept`."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        try:
            made.store(new)
            new.rename(folder)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
    except OSError as error:
        raise WorldError("vm.kept", f"The microVM cannot be kept: {error}.") from error

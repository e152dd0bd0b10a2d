"""Law: what a machine is said to do was looked at, and booting was done by booting."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nucleus_tokens.errors import NucleusError
from nucleus_vmhost import diagnose, secluded
from nucleus_vmhost.vm import image as images
from nucleus_vmhost.vm import jail, jailer, keeping, probing, session
from nucleus_vmhost.vm.driver import Size

_VSOCK: Final = "/dev/vhost-vsock"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. Without what is `needed` no microVM runs."""

    what: str
    well: bool
    why: str
    needed: bool = True


def looked(cache: Path, name: str) -> list[Finding]:
    """What can be seen without starting anything."""
    found = [
        Finding("processor", platform.machine() == "x86_64", platform.machine()),
        _tried("QEMU", jail.program),
        _tried("bubblewrap", diagnose.bwrap),
        _tried("image", lambda: images.named(cache, name).key),
    ]
    missing = [tool for tool in ("apt-get", "dpkg-deb", "lz4") if shutil.which(tool) is None]
    why = f"missing: {', '.join(missing)}" if missing else "apt-get, dpkg-deb and lz4 are there"
    found.append(Finding("building images", not missing, why, needed=False))
    vsock = os.path.exists(_VSOCK)
    why = "is there, and not used: " if vsock else "is not there: "
    found.append(
        Finding("vsock", vsock, f"{_VSOCK} {why}QEMU's channel is virtio-serial", needed=False)
    )
    there = os.path.exists(jailer.DEVICE)
    says = "is there, which proves nothing: say --boot" if there else "is not there"
    found.append(Finding("KVM", False, f"{jailer.DEVICE} {says}", needed=False))
    apart = secluded.able()
    why = (
        "each is in a Landlock domain of its own"
        if apart
        else "no Landlock of Linux 6.12: root's can look into each other, and all into each QEMU"
    )
    found.append(Finding("host halves apart", apart, why, needed=False))
    lacks = ", ".join(jailer.lacking())
    why = f"cannot be chosen: {lacks}" if lacks else "can be chosen: --driver firecracker"
    found.append(Finding("Firecracker", not lacks, why, needed=False))
    return found


async def booted(cache: Path, name: str) -> list[Finding]:
    """What is seen by really booting."""
    found: list[Finding] = []
    try:
        image = images.named(cache, name)
        why = await probing.probe(cache, image)
        found.append(Finding("KVM", not why, why or "a guest booted with it", needed=False))
        driver = probing.qemu(cache, image)
        size = Size.of(image)
        (await keeping.kept(cache, driver, image, size.memory_mib)).close()
        began = time.monotonic()
        machine = await keeping.copied(cache, driver, image, size)
        async with session.opened(machine, {}) as vm:
            await vm.ping()
            took = f"{(time.monotonic() - began) * 1000:.0f} ms from its copy to its first answer"
        found.append(Finding("a microVM", True, f"{driver.name}, {took}"))
    except NucleusError as error:
        found.append(Finding("a microVM", False, error.message))
    return found


def _tried(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except NucleusError as error:
        return Finding(what, False, f"{error.message} {error.hint or ''}".strip())

"""Law: a machine can do what it was seen to do: a device that opens proves nothing.

Hardware that runs guests is used where a guest was really booted with it, within a deadline; the
answer is kept for that image, QEMU and processor.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from nucleus_tokens.errors import NucleusError, WorldError
from nucleus_vmhost.vm.driver import Size
from nucleus_vmhost.vm.image import Image
from nucleus_vmhost.vm.jailer import DEVICE
from nucleus_vmhost.vm.qemu import Qemu

_SECONDS: Final = 10.0
_WORKS: Final = "works"


async def probe(cache: Path, image: Image) -> str:
    """Boot the image with KVM; why that did not work, or nothing where it did. The answer is
    kept."""
    why = await _why_not(image)
    answer = _answer(cache, image)
    answer.parent.mkdir(parents=True, exist_ok=True)
    answer.write_text(why or _WORKS)
    return why


def qemu(cache: Path, image: Image) -> Qemu:
    """QEMU as it was seen to work here: emulating, unless a probe said more."""
    try:
        return Qemu(kvm=_answer(cache, image).read_text() == _WORKS)
    except OSError:
        return Qemu()


async def _why_not(image: Image) -> str:
    if not os.path.exists(DEVICE):
        return f"there is no {DEVICE}"
    try:
        machine = await Qemu(kvm=True).boot(image, Size.of(image))
        try:
            await machine.ready(_SECONDS)
        finally:
            await machine.end()
    except WorldError as error:
        return f"a guest was booted with {DEVICE}: {error.message}"
    except NucleusError as error:
        return error.message
    return ""


def _answer(cache: Path, image: Image) -> Path:
    return cache / "probes" / Qemu(kvm=True).key(image, image.memory_mib)

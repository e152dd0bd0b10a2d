"""An image is what it is made of, and copies of a kept machine are not each other."""

from __future__ import annotations

import asyncio
import os
import resource
import tempfile
import time
from pathlib import Path

import pytest

from nucleus_tokens.errors import CallerError, WorldError
from nucleus_vmhost.vm import image as images
from nucleus_vmhost.vm import keeping, kernel, memory, packages
from nucleus_vmhost.vm.image import Image, Recipe
from nucleus_vmhost.vm.qemu import Qemu, QemuKept
from tests.vm.machines import CACHE, copied


def test_the_same_inputs_give_the_same_bytes(image: Image) -> None:
    """Built once more from the same packages, in another place."""
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder)
        (again / "packages").symlink_to(CACHE / "packages")
        other = images.build(again, Recipe())
        assert (other.key, other.digest) == (image.key, image.digest)


def test_what_is_added_changes_the_name_and_its_bytes_count(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text("one")
    recipe = Recipe(adds=(images.added(f"{tmp_path}/agent.py:/opt/agent.py"),))
    found = packages.resolved(images.BASE)
    keys = [images.key_of(found, Recipe()), images.key_of(found, recipe)]
    (tmp_path / "agent.py").write_text("two")
    keys.append(images.key_of(found, recipe))
    (tmp_path / "agent.py").chmod(0o755)
    keys.append(images.key_of(found, recipe))
    assert len(set(keys)) == 4


@pytest.mark.parametrize(
    "where", ["/usr/lib/nucleus/guest/x", "/proc/x", "/", "relative", "/a/../dev"]
)
def test_nothing_is_added_over_the_guest_itself(tmp_path: Path, where: str) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(CallerError) as found:
        images.added(f"{tmp_path}/x:{where}")
    assert found.value.code == "vm.add"


@pytest.mark.parametrize("name", ["../x", "a b", "-o", "Ä", "", "x" * 200])
def test_an_option_or_a_path_is_no_package(name: str) -> None:
    with pytest.raises(CallerError):
        packages.resolved([name])


def test_what_is_no_kernel_is_said_to_be_none() -> None:
    for data in (b"", bytes(1 << 16), b"\x7fELF" + bytes(1 << 16)):
        with pytest.raises(WorldError):
            kernel.unpacked(data)


def test_a_sealed_memory_is_seen_by_all_and_changed_by_nobody() -> None:
    fd = memory.made(1 << 16)
    os.pwrite(fd, b"kept", 0)
    memory.seal(fd)
    try:
        writing = memory.again(fd, os.O_RDWR)
        with pytest.raises(PermissionError):
            os.pwrite(writing, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(writing, 0)
        os.close(writing)
        assert os.pread(fd, 4, 0) == b"kept"
    finally:
        os.close(fd)


def test_what_cannot_be_kept_whole_is_not_kept(image: Image, tmp_path: Path) -> None:
    """The disk is full in the middle: here, no file may grow over 64 KiB."""
    ram = memory.made(1 << 20)
    os.pwrite(ram, os.urandom(1 << 20), 0)
    memory.seal(ram)
    made = QemuKept(Qemu(), "key", image, 1, ram, b"state")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(WorldError) as found:
            keeping.stored(tmp_path / "kept" / "key", made)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found.value.code == "vm.kept"
    assert list((tmp_path / "kept").iterdir()) == []
    keeping.stored(tmp_path / "kept" / "key", made)
    again = memory.read(tmp_path / "kept" / "key" / "ram")
    assert os.pread(again, 1 << 20, 0) == os.pread(ram, 1 << 20, 0)
    os.close(again)
    made.close()


def test_copies_differ_in_their_randomness_and_have_the_time_of_now(image: Image) -> None:
    script = "cat /proc/sys/kernel/random/uuid; head -c 16 /dev/urandom | sha256sum; date +%s"

    async def one() -> list[str]:
        async with copied(image) as (vm, _):
            await vm.claim()
            said = await vm.run(["sh", "-c", script], b"", cwd="/work", own=True)
            return said.decode().split()

    async def main() -> tuple[list[str], list[str]]:
        return await one(), await one()

    a, b = asyncio.run(main())
    assert a[0] != b[0]
    assert a[1] != b[1]
    assert abs(int(b[-1]) - time.time()) < 60

"""Firecracker on the roads of QEMU, before its fake: kept on the disk once, copied by the same
`keeping`, warmed and handed out by the same pool and desk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from nucleus_vmhost.vm import claims, keeping, session
from nucleus_vmhost.vm.driver import CPU_SECONDS, Size
from nucleus_vmhost.vm.firecracker import Firecracker
from nucleus_vmhost.vm.image import Image
from nucleus_vmhost.vm.pool import Pool
from nucleus_vmhost.vm.wanted import Choice
from tests.vm.fake_firecracker import FakeFirecracker, FakeJailer
from tests.vm.machines import until
from tests.vm.test_firecracker import driven


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short one: see test_firecracker.py."""
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def choice(tmp_path: Path) -> Choice:
    for name in ("vmlinux", "initrd"):
        (tmp_path / name).write_bytes(b"x")
    image = Image("key", tmp_path, 128, "digest", "guest")
    return Choice(image, Size(256), Firecracker())


@pytest_asyncio.fixture
async def driver(tmp_path: Path) -> AsyncIterator[tuple[Firecracker, FakeJailer]]:
    firecracker, jailer, server = await driven(tmp_path)
    yield firecracker, jailer
    server.close()
    await server.wait_closed()


def paths(one: FakeFirecracker) -> list[str]:
    return [path for _, path, _ in one.asked]


@pytest.mark.asyncio
async def test_it_is_booted_once_and_each_copy_is_loaded_from_the_disk(
    tmp_path: Path, choice: Choice, driver: tuple[Firecracker, FakeJailer]
) -> None:
    firecracker, jailer = driver
    cache = tmp_path / "cache"
    booted: list[None] = []
    for _ in range(3):
        machine = await keeping.copied(
            cache, firecracker, choice.image, choice.size, booting=lambda: booted.append(None)
        )
        async with session.opened(machine, {}) as vm:
            await vm.claim()
    assert booted == [None]
    first, *copies = jailer.started
    assert first.asked[0][2]["mem_size_mib"] == choice.size.memory_mib
    assert paths(first)[4:] == ["/actions", "/vm", "/snapshot/create"]
    assert [paths(copy) for copy in copies] == [["/snapshot/load", "/vm"]] * 3
    (kept,) = (cache / "kept").iterdir()
    assert kept.name == firecracker.key(choice.image, choice.size.memory_mib)
    assert sorted(path.name for path in kept.iterdir()) == ["ram", "state"]
    assert all(path.stat().st_mode & 0o222 == 0 for path in kept.iterdir()), "no copy can write it"
    assert [path.name for path in jailer.base.iterdir()] == ["lock"], "nothing else is left"
    # Another size is another machine.
    other = await keeping.kept(cache, firecracker, choice.image, choice.size.memory_mib + 1)
    assert other.key != kept.name
    other.close()


@pytest.mark.asyncio
async def test_a_pool_of_it_warms_hands_out_and_replaces(
    tmp_path: Path, choice: Choice, driver: tuple[Firecracker, FakeJailer]
) -> None:
    firecracker, jailer = driver
    kept = await keeping.kept(tmp_path / "cache", firecracker, choice.image, 256)
    name = Choice(choice.image, choice.size, firecracker).pool
    dearer = Choice(choice.image, Size(256, CPU_SECONDS + 1), firecracker).pool
    larger = Choice(choice.image, Size(257), firecracker).pool
    assert len({name, dearer, larger}) == 3
    async with Pool(kept, 1) as pool, claims.Desk(pool, tmp_path, "default", 2).open(name):
        await pool.full()
        assert await claims.claimed(tmp_path, dearer) is None, "another size is not handed out"
        machine = await claims.claimed(tmp_path, name)
        assert machine is not None
        one = jailer.started[-1]
        async with session.opened(machine, {}) as vm:
            assert (await vm.ping())["network"] == ["lo"]
        assert [value["state"] for _, path, value in one.asked if path == "/vm"] == [
            "Resumed", "Paused", "Resumed",
        ]  # fmt: skip
        await until(lambda: one.ended)
        await pool.full()
        waits = jailer.started[-1]
        assert waits is not one
        waits.kill()  # it dies while it waits
        await until(lambda: jailer.started[-1] is not waits)
        await pool.full()
    assert all(each.ended for each in jailer.started)
    kept.close()
    assert [path.name for path in jailer.base.iterdir()] == ["lock"]


def test_its_cpu_time_is_bounded_before_the_jailer(tmp_path: Path) -> None:
    jailer = FakeJailer(tmp_path, {})
    cell = jailer.cell()
    words = jailer.words(cell, "/usr/bin/jailer", "/usr/bin/firecracker", 60)
    cell.remove()
    assert os.path.basename(words[0]) == "prlimit"
    assert "--cpu=60:65" in words[: words.index("/usr/bin/jailer")]

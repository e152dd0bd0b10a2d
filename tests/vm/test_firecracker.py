"""The driver for Firecracker, before a fake that judges each request by Firecracker's own
description. It was not booted here: see docs/run-vm.md."""

from __future__ import annotations

import asyncio
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nucleus_tokens.errors import WorldError
from nucleus_vmhost.vm import firecracker_api, session
from nucleus_vmhost.vm.driver import Size
from nucleus_vmhost.vm.firecracker import Firecracker
from nucleus_vmhost.vm.firecracker_api import Api
from nucleus_vmhost.vm.guest import names
from nucleus_vmhost.vm.image import Image
from nucleus_vmhost.vm.jailer import Jailer
from tests.vm.fake_firecracker import AFTER, BEFORE, FakeFirecracker, FakeJailer


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short one: a unix socket's path has at most 107 bytes, and the jailer's are long."""
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    for name in ("vmlinux", "initrd"):
        (tmp_path / name).write_bytes(b"x")
    return Image("key", tmp_path, 128, "digest", "guest")


async def first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What a guest's first process answers."""
    said = json.loads(await reader.readline())
    writer.write(json.dumps({"said": said, "network": ["lo"]}).encode() + b"\n")
    writer.close()


async def driven(folder: Path) -> tuple[Firecracker, FakeJailer, asyncio.Server]:
    path = folder / "first.sock"
    server = await asyncio.start_unix_server(first, path)
    jailer = FakeJailer(folder / "jail", dict.fromkeys((names.PING, names.CLAIM), path))
    return Firecracker(jailer), jailer, server


@pytest.mark.asyncio
async def test_a_machine_is_booted_kept_copied_and_leaves_nothing(
    tmp_path: Path, image: Image
) -> None:
    driver, jailer, server = await driven(tmp_path)
    machine = await driver.boot(image, Size.of(image))
    await machine.ready(10)
    async with session.opened(machine, {}) as vm:
        assert (await vm.ping())["network"] == ["lo"]
    kept = await driver.keep(image, image.memory_mib)
    copy = await kept.copy(60)
    await session.warmed(copy)
    await copy.resume()
    async with session.opened(copy, {}) as vm:
        await vm.claim()
        assert await copy.api.state() == "Running"
    booted, saved, loaded = (one.asked for one in jailer.started)
    assert [path for _, path, _ in booted] == [
        "/machine-config", "/boot-source", "/entropy", "/vsock", "/actions",
    ]  # fmt: skip
    assert booted[1][2]["boot_args"].split()[-1] == names.BY_VSOCK
    assert [path for _, path, _ in saved[5:]] == ["/vm", "/snapshot/create"]
    assert [value["state"] for _, path, value in loaded if path == "/vm"] == [
        "Resumed", "Paused", "Resumed",
    ]  # fmt: skip
    kept.close()
    assert [path.name for path in jailer.base.iterdir()] == ["lock"]
    server.close()


@pytest.mark.asyncio
async def test_what_firecracker_refuses_is_said_in_its_words(tmp_path: Path) -> None:
    jailer = FakeJailer(tmp_path, {})
    cell = jailer.cell()
    read, write = os.pipe()
    fake = await jailer.start(cell, write, 60)
    os.close(write)
    assert isinstance(fake, FakeFirecracker)
    api = Api(cell.root / "api.sock")
    await firecracker_api.listening(cell.root / "api.sock", 10)

    async def refused(work: Any, why: str) -> None:
        with pytest.raises(WorldError, match=re.escape(why)) as found:
            await work
        assert found.value.code == "vm.firecracker"

    await refused(api.pause(), BEFORE)
    await refused(api.start(), "without kernel configuration")
    await refused(api.machine(vcpus=33, memory_mib=1), "invalid value: 33")
    await refused(api.vsock(2, "/v.sock"), "invalid value: 2")
    await refused(api.boot_source("/none", "/none", ""), "cannot be opened")
    await refused(api._put("/machine-config", vcpu_count=1, mem_size_mib=1, net=1), "unknown field")
    await refused(api._put("/actions"), "missing field `action_type`")
    await refused(api._put("/nothing"), "Invalid request method and/or path: PUT /nothing.")
    await refused(api.load("/state", "/ram"), "does not answer")
    assert fake.asked == []
    cell.put(Path(__file__), "vmlinux")
    await api.boot_source("/vmlinux", "/vmlinux", "")
    await refused(api.load("/state", "/ram"), "not allowed after")
    await api.start()
    await refused(api.machine(vcpus=1, memory_mib=1), AFTER)
    await refused(api.save("/state", "/ram"), "not paused")
    fake.kill()
    await fake.wait()
    os.close(read)
    cell.remove()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 204",
        b"nothing of HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + bytes(20000) + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100000,
        b"HTTP/1.1 500 Internal Server Error\r\n\r\n",
        b'HTTP/1.1 400 Bad Request\r\nContent-Length: 25\r\n\r\n{"fault_message":"\\u001b"}',
    ],
)
async def test_an_answer_that_is_none_is_one_clear_error(tmp_path: Path, said: bytes) -> None:
    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_unix_server(met, tmp_path / "s"):
        with pytest.raises(WorldError) as found:
            await Api(tmp_path / "s").pause()
    assert found.value.code == "vm.firecracker"
    assert found.value.message.isprintable()
    assert len(found.value.message) < 400


@pytest.mark.asyncio
@pytest.mark.parametrize("said", [b"", b"OK\n", b"OK 1x\n", b"NO 1\n", b"OK 1" + b"1" * 5000])
async def test_a_vsock_that_does_not_connect_is_one_clear_error(
    tmp_path: Path, said: bytes
) -> None:
    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(said)
        writer.close()

    async with await asyncio.start_unix_server(met, tmp_path / "s"):
        with pytest.raises(WorldError, match="no connection to port 1024"):
            await firecracker_api.connected(tmp_path / "s", 1024)


@pytest.mark.asyncio
async def test_who_never_answers_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firecracker_api, "_SECONDS", 0.05)

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(met, tmp_path / "s"):
        with pytest.raises(WorldError, match="did not answer PATCH /vm in time"):
            await Api(tmp_path / "s").pause()
        with pytest.raises(WorldError, match="no connection"):
            await firecracker_api.connected(tmp_path / "s", 1024)
    with pytest.raises(WorldError, match="did not start in time"):
        await firecracker_api.listening(tmp_path / "none", 0.05)


def test_what_a_killed_one_left_is_removed_by_the_next(tmp_path: Path) -> None:
    first, second = Jailer(tmp_path), Jailer(tmp_path)
    lost, ours = first.cell(), first.cell()
    (lost.root / "file").write_text("x")
    os.close(lost.lock)  # as its process's end does
    made = second.cell()
    assert {path.name for path in second.base.glob("vm-*")} == {ours.id, made.id}
    for cell in (ours, made):
        cell.remove()


def test_the_jailers_words_are_its_own(tmp_path: Path) -> None:
    """Each option stands in the jailer's documentation, v1.16.1; the id is of its alphabet."""
    jailer = Jailer(tmp_path)
    cell = jailer.cell()
    words = jailer.words(cell, "/usr/bin/jailer", "/usr/bin/firecracker", 60)
    own = words[words.index("/usr/bin/jailer") :]
    between = own.index("--")
    assert own[1:between:2] == [
        "--id", "--exec-file", "--uid", "--gid", "--chroot-base-dir", "--resource-limit",
    ]  # fmt: skip
    assert re.fullmatch(r"[A-Za-z0-9-]{1,64}", cell.id)
    assert cell.root == tmp_path / "firecracker" / cell.id / "root"
    assert own[between:] == ["--", "--api-sock", "/api.sock"]
    assert cell.uid >= 0x70000000
    cell.remove()

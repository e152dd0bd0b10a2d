"""Whoever takes over what reads gRPC is in a cell with one road, the agent's own, and no secret."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import grpc
import grpc.aio
import pytest

from nucleus import fronting
from nucleus_proxy.serve import Service, listening
from tests.proxy.native_stage import NativeStage
from tests.proxy.rpc_stage import Client
from tests.proxy.stage import until, within
from tests.proxy.test_native_road import Client as Raw
from tests.support import world
from tests.vm.machines import alive, all_gone, children, memory
from tests.vmhost.cells import PYTHON
from tests.walled.place import Place

READ = {"path": "a.txt"}
READER = b"nucleus_proxy.rpc.serving"
_READY = grpc.ChannelConnectivity.READY
HOLDER = hashlib.sha256(b"the key of a holder").digest()
# Knows no gRPC: says hello, hears that somebody speaks HTTP/2, and stays.
HELLO = """
import os, socket
host, port = os.environ["NUCLEUS_TOOLS_GRPC"].split(":")
with socket.create_connection((host, int(port))) as known:
    known.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
    print(known.recv(9)[3] == 4, flush=True)
    known.recv(1 << 16, socket.MSG_WAITALL)
"""


@pytest.fixture
def stage(tmp_path: Path) -> NativeStage:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "a.txt").write_text("hello")
    return NativeStage(workspace)


@asynccontextmanager
async def _open(
    stage: NativeStage, folder: Path, said: list[str], token: str = ""
) -> AsyncIterator[Client]:
    """The door as the proxy makes it, and a client that has not connected yet."""
    service = partial(
        Service, stage.mediator, draw=stage.draw, log=said.append, native=stage.tools,
        held=token or world.text(stage.everywhere()), private=HOLDER,
    )  # fmt: skip
    grpc_path, options = folder / "grpc.sock", (("grpc.initial_reconnect_backoff_ms", 100),)
    async with (
        listening(folder / "tools.sock", service()),
        fronting.listening(grpc_path, service, said.append),
        grpc.aio.insecure_channel(f"unix:{grpc_path}", options=options) as channel,
    ):
        yield Client(grpc_path, channel)


def _readers() -> list[int]:
    """The processes below ours that read gRPC, the cell's own among them."""
    found = []
    for pid in children(os.getpid()):
        argv = Path(f"/proc/{pid}/cmdline")
        if alive(pid) and READER in argv.read_bytes().split(b"\0"):
            found.append(pid)
    return found


async def _reads(client: Client) -> str:
    return (await within(client.result("fs_read", READ))).value.text


async def _by_mcp(stage: NativeStage, folder: Path, times: int = 1) -> None:
    reader, writer = await asyncio.open_unix_connection(folder / "tools.sock")
    await within(reader.readline())
    client = Raw(stage, reader, writer)
    for _ in range(times):
        result = await client.call("fs_read", READ)
        assert result["structuredContent"]["content"] == "hello"
    writer.close()


async def test_nothing_is_started_before_somebody_connects(
    stage: NativeStage, tmp_path: Path
) -> None:
    said: list[str] = []
    async with _open(stage, tmp_path / "run", said):
        before = children(os.getpid())
        await _by_mcp(stage, tmp_path / "run", 200)
        assert children(os.getpid()) == before
    assert not said


@pytest.mark.slow
async def test_it_sees_holds_and_reaches_nothing(
    stage: NativeStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_OF_OURS", "of-our-environment")
    said: list[str] = []
    token = world.text(stage.everywhere())
    async with _open(stage, tmp_path / "run", said, token) as client:
        assert await _reads(client) == "hello"
        (pid,) = _readers()
        for kind in ("net", "mnt", "pid", "user", "ipc"):
            assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert not int(status["CapEff"], 16)
        inside = Path(f"/proc/{pid}/root")
        assert (inside / "usr").is_dir()
        for hidden in (stage.workspace, tmp_path, Path("/etc/hostname"), Path("/var/lib")):
            assert hidden.exists()
            assert not (inside / hidden.relative_to("/")).exists()
        found = memory(pid)
        assert READER in found, "this is its memory"
        ours = memory(os.getpid())
        secrets = (token.encode(), token[20:60].encode(), HOLDER, b"of-our-environment")
        assert [secret in ours for secret in secrets] == [True] * 4
        assert [secret in found for secret in secrets] == [False] * 4
    await all_gone([pid])
    assert not said


@pytest.mark.slow
async def test_one_that_was_broken_is_started_again_but_not_for_ever(
    stage: NativeStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fronting, "MOST_STARTS", 2)
    said: list[str] = []
    async with _open(stage, tmp_path / "run", said) as client:
        for _ in range(2):
            await within(client.channel.channel_ready())
            assert await _reads(client) == "hello"
            (pid,) = _readers()
            os.kill(pid, signal.SIGKILL)
            await all_gone([pid])
            await until(lambda: client.channel.get_state() is not _READY)
        await until(lambda: len(said) == 3)
        assert "not started again" in said[-1]
        assert (await client.status("fs_read", READ))[0] == "UNAVAILABLE"
        await _by_mcp(stage, tmp_path / "run")


@pytest.mark.slow
def test_of_a_run_that_is_killed_it_is_gone_as_well(place: Place) -> None:
    (place.folder / "agent.py").write_text(HELLO)
    running = place.start("--", PYTHON, "agent.py")
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == b"True\n"
        family = children(running.pid)
        argv = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in family]
        assert any(READER in each for each in argv)
        running.kill()
        asyncio.run(all_gone(family[1:]))
    finally:
        running.kill()
        running.communicate(timeout=60)

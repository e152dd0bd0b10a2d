"""The socket of `serve` and the two ends that meet there."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nucleus_proxy import connect, serve, wire
from nucleus_proxy.connect import Hello, Signer
from nucleus_proxy.effects import fs
from nucleus_proxy.live import Live
from nucleus_proxy.server import ServerProcess
from nucleus_proxy.servers import ServerSpec
from nucleus_proxy.streams import stdio
from nucleus_tokens.errors import CallerError, CredentialError, NucleusError, WorldError
from tests.proxy import scripted_server
from tests.proxy.native_stage import NativeStage
from tests.proxy.stage import POLICY, Stage, counted, until, within
from tests.support import world

OUTSIDE = "[server]\ndanger_outside_cell = true\n"
TOOL = '[tools.read]\noperation = "read_files"\npayload = ["/x"]\n'


@asynccontextmanager
async def serving(tmp_path: Path, stage: Stage) -> AsyncIterator[tuple[Path, list[str]]]:
    path, log = tmp_path / "run" / "s", list[str]()
    tools = json.dumps([{"name": "read"}])
    command = (sys.executable, scripted_server.__file__, str(tmp_path / "seen"), tools)
    service = serve.Service(
        stage.mediator, draw=stage.draw, log=log.append, command=command, live=Live()
    )
    async with serve.listening(path, service):
        yield path, log


async def test_the_first_line_names_the_verifier(tmp_path: Path) -> None:
    async with serving(tmp_path, Stage(POLICY + OUTSIDE)) as (path, _):
        reader, writer = await asyncio.open_unix_connection(path)
        assert await connect.hello(reader) == Hello(world.INSTANCE, "proxy:test")
        writer.close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.exists()


async def test_a_directory_that_others_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    with pytest.raises(CallerError) as caught:
        async with serving(tmp_path, Stage(POLICY + OUTSIDE)):
            pass
    assert caught.value.code == "serve.directory"


async def test_a_live_socket_is_not_taken_and_a_dead_one_is(tmp_path: Path) -> None:
    async with serving(tmp_path, Stage(POLICY + OUTSIDE)) as (path, _):
        with pytest.raises(CallerError) as caught:
            async with serving(tmp_path, Stage(POLICY + OUTSIDE)):
                pass
        assert caught.value.code == "serve.in_use"
        assert path.exists()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with serving(tmp_path, Stage(POLICY + OUTSIDE)) as (path, _):
        reader, writer = await asyncio.open_unix_connection(path)
        assert (await connect.hello(reader)).instance == world.INSTANCE
        writer.close()
    path.write_text("a file")
    with pytest.raises(CallerError, match="something else"):
        async with serving(tmp_path, Stage(POLICY + OUTSIDE)):
            pass


async def test_the_two_ends_meet_and_only_signatures_cross(tmp_path: Path) -> None:
    stage = Stage('version = 1\n[wall]\nid = "test"\nshows = []\n' + OUTSIDE + TOOL)
    token = stage.token(world.levels(read_files="always"))
    async with serving(tmp_path, stage) as (path, _):
        to_agent, from_agent = os.pipe(), os.pipe()
        reader, writer = await stdio(os.fdopen(from_agent[0], "rb"), os.fdopen(to_agent[1], "wb"))
        near_reader, near_writer = await stdio(
            os.fdopen(to_agent[0], "rb"), os.fdopen(from_agent[1], "wb")
        )
        running = asyncio.create_task(
            connect.run_connect(
                path, token, world.secret("agent"),
                reader=reader, writer=writer, clock=stage.clock, draw=counted(5000),
            )
        )  # fmt: skip

        async def ask(value: Any) -> Any:
            near_writer.write(json.dumps(value).encode() + b"\n")
            return json.loads(await within(near_reader.readline()))

        call = {"jsonrpc": "2.0", "method": "tools/call"}
        params: dict[str, Any] = {"name": "read", "arguments": {"x": 1.5}}
        for number in range(3):
            answer = await ask({**call, "id": number, "params": params})
            assert answer["result"]["content"][0]["text"] == "done"
        answer = await ask({"jsonrpc": "2.0", "id": 9, "method": "tools/list"})
        assert [tool["name"] for tool in answer["result"]["tools"]] == ["read"]
        # What the agent claims as its credential is replaced by what we sign.
        forged = {**params, "_meta": {"nucleus/credential": "nuc1_x"}}
        assert "isError" not in (await ask({**call, "id": 10, "params": forged}))["result"]
        for odd in ({"name": 5}, {"name": "read", "arguments": []}):
            answer = await ask({**call, "id": f"odd {odd}", "params": odd})
            assert answer["error"]["code"] == wire.INVALID_PARAMS
        assert (await ask([]))["error"]["code"] == wire.INVALID_REQUEST
        near_writer.close()
        await within(running)
        writer.close()
        seen = (tmp_path / "seen").read_bytes()
        assert b"nuc1_" not in seen
        assert world.secret("agent").hex().encode() not in seen


def test_what_needs_no_credential_is_not_touched() -> None:
    token = world.mint()
    signer = Signer(token, world.secret("agent"), Hello("i", "a"), lambda: 0, counted())
    for line in (
        b'{"jsonrpc":"2.0","id":1,"method":"ping" }',
        b'{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"}}',
        b'{"jsonrpc":"2.0","id":1,"result":{}}',
    ):
        frame = wire.parse(line)
        assert signer.sign(frame) is frame


def test_a_call_that_its_credential_makes_too_large_is_refused_by_itself() -> None:
    """The other side reads no further after such a line."""
    signer = Signer(world.mint(), world.secret("agent"), Hello("i", "a"), lambda: 0, counted())
    frame = wire.parse(wire.request(1, "tools/call", {"name": "x", "arguments": {}, "more": ""}))
    rest = wire.FRAME_BYTES - len(frame.raw)
    frame = frame.altered("params", {**frame.params, "more": "x" * rest})
    assert wire.parse(frame.raw) == frame
    with pytest.raises(CredentialError) as caught:
        signer.sign(frame)
    assert caught.value.code == "call.too_large"


async def test_what_a_tool_gives_back_crosses_whole(tmp_path: Path) -> None:
    """A tool of our own reads 4 MiB, and says it twice: for a model, and for a program."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "a.txt").write_text("\x01" * fs.READ_BYTES)
    stage = NativeStage(tmp_path / "work")
    service = serve.Service(stage.mediator, draw=stage.draw, log=print, native=stage.tools)
    ours, theirs = socket.socketpair()
    near_reader, near_writer = await asyncio.open_unix_connection(sock=ours, limit=1 << 30)
    reader, writer = await asyncio.open_unix_connection(sock=theirs)
    async with serve.listening(tmp_path / "run" / "s", service):
        running = asyncio.create_task(
            connect.run_connect(
                tmp_path / "run" / "s", stage.everywhere(), world.secret("agent"),
                reader=reader, writer=writer, clock=stage.clock, draw=counted(5000),
            )
        )  # fmt: skip
        near_writer.write(
            wire.request(1, "tools/call", {"name": "fs_read", "arguments": {"path": "a.txt"}})
            + b"\n"
        )
        answer = json.loads(await within(near_reader.readline()))
        assert answer["result"]["structuredContent"]["content"] == "\x01" * fs.READ_BYTES
        near_writer.close()
        await within(running)
        writer.close()


@pytest.mark.parametrize(
    "line", [b"", b"hi\n", b'{"jsonrpc":"2.0","method":"nucleus/hello"}\n', b"x" * 100]
)
async def test_whoever_does_not_say_hello_gets_nothing(line: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(line)
    reader.feed_eof()
    with pytest.raises(WorldError) as caught:
        await connect.hello(reader)
    assert caught.value.code == "connect.hello"


async def test_nobody_at_the_socket_is_said_clearly(tmp_path: Path) -> None:
    reader = asyncio.StreamReader()
    with pytest.raises(WorldError) as caught:
        await connect.run_connect(
            tmp_path / "none", world.mint(), world.secret("agent"),
            reader=reader, writer=None,  # type: ignore[arg-type]  # never reached
            clock=lambda: 0, draw=counted(),
        )  # fmt: skip
    assert caught.value.code == "connect.socket"


async def test_a_token_for_another_audience_is_said_clearly(tmp_path: Path) -> None:
    other = replace(world.AUDIENCE, name="proxy:other")
    async with serving(tmp_path, Stage(POLICY + OUTSIDE)) as (path, _):
        with pytest.raises(CallerError) as caught:
            await connect.run_connect(
                path, world.mint(audience=other), world.secret("agent"),
                reader=asyncio.StreamReader(), writer=None,  # type: ignore[arg-type]  # not reached
                clock=lambda: 0, draw=counted(),
            )  # fmt: skip
    assert caught.value.code == "connect.audience"


async def test_a_server_that_cannot_start_is_said_clearly(tmp_path: Path) -> None:
    for command, code in (((), "server.command"), (("/no/such/server",), "server.start")):
        with pytest.raises(NucleusError) as caught:
            await ServerProcess.start(ServerSpec(command, str(tmp_path)))
        assert caught.value.code == code


async def test_a_server_does_not_outlive_its_relay(tmp_path: Path) -> None:
    """One that ignores its input, the request to end, and has a child of its own."""
    script = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "print('complaint', file=sys.stderr, flush=True)\n"
        f"open({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
        "while True: time.sleep(60)\n"
    )
    said: list[bytes] = []
    spec = ServerSpec((sys.executable, "-c", script), str(tmp_path))
    server = await ServerProcess.start(spec, stderr=said.append)
    pids = tmp_path / "pids"
    await until(lambda: pids.exists() and pids.read_text().count("\n") == 2, "two processes")
    await until(lambda: len(said) == 2, "their complaints")
    await within(server.stop(0.1))

    def gone() -> bool:
        alive = [p for p in map(int, pids.read_text().split()) if _running(p)]
        return not alive

    await until(gone, "the end of both")
    assert said == [b"complaint"] * 2


def _running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"

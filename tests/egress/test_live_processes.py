"""A command that runs is cut like a tunnel: by the third leg of its session, or a revocation."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from nucleus.composing import Cells, watched
from nucleus_proxy.answers import Granted
from nucleus_proxy.effects import exec  # noqa: A004  it is what it is called
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.live import Live, WasCut
from nucleus_proxy.serve import Service, listening
from nucleus_tokens.errors import WorldError
from nucleus_vmhost.bubblewrap import Bubblewrap
from tests.proxy.git_stage import GitStage, sh
from tests.proxy.native_stage import NativeStage
from tests.proxy.stage import counted, until, within
from tests.support import world

SLEEP = f"sleep 98765.{os.getpid()}"  # nobody else sleeps so long


def sleeping() -> bool:
    """Whether a process of ours is still there, seen from outside its cell."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().replace(b"\0", b" ").strip() == SLEEP.encode():
                return True
        except OSError:
            pass  # it ended while we looked
    return False


async def test_a_command_of_a_revoked_token_is_killed_whole(tmp_path: Path) -> None:
    live = Live(poll_seconds=0.01)
    tools = exec.tools(Root(str(tmp_path)), runner=Cells(Bubblewrap()), shows=0, draw=counted())
    stage = NativeStage(tmp_path, tools=live.tools(tools))
    watch = asyncio.create_task(live.run())
    try:
        token = stage.everywhere()
        script = f"{SLEEP} & wait"
        granted = await stage.decide(token, "exec_bash", {"script": script})
        assert isinstance(granted, Granted), granted
        running = asyncio.ensure_future(stage.tools["exec_bash"].run(granted, "wall:test"))
        await until(lambda: sleeping() or running.done())
        assert not running.done()
        assert len(live) == 1
        stage.ledger.revoked.add(world.opened(token).prefix.rids[0])
        with pytest.raises(WorldError, match="revoked"):
            await within(running)
        assert len(live) == 0
        assert not sleeping()
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def test_a_push_of_a_revoked_token_is_killed_with_its_transport(tmp_path: Path) -> None:
    live = Live(poll_seconds=0.01)
    stage = GitStage(tmp_path)
    stage.tools = dict(watched(stage.tools, live))
    hook = stage.bare / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\n{SLEEP}\n")
    hook.chmod(0o700)
    token = stage.everywhere()
    args = {"repo": str(stage.workspace), "remote": "local", "branch": "main"}
    async with live.watching():
        running = asyncio.ensure_future(stage.approved(token, "git_push", args))
        await until(lambda: sleeping() or running.done())
        assert not running.done()
        stage.ledger.revoked.add(world.opened(token).prefix.rids[0])
        with pytest.raises(WasCut, match="revoked"):
            await within(running)
    assert not sleeping()
    assert sh(stage.bare, "branch", "--list") == ""


async def test_a_tool_that_was_cut_says_so_in_its_trace(tmp_path: Path) -> None:
    """Through the tool server: what the client is told, and what is on record."""
    live = Live(poll_seconds=0.01)
    stage = NativeStage(tmp_path)
    shell = exec.tools(stage.root, runner=Cells(Bubblewrap()), shows=0, draw=counted())
    stage.tools |= watched(shell, live)
    stage.rebind()
    token = stage.everywhere()
    service = Service(
        stage.mediator, draw=stage.draw, log=lambda _: None, native=stage.tools,
        held=world.text(token),
    )  # fmt: skip
    async with live.watching(), listening(tmp_path / "run" / "s", service):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "run" / "s")
        await within(reader.readline())
        params = {"name": "exec_run", "arguments": {"argv": SLEEP.split()}}
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        writer.write(json.dumps(call).encode() + b"\n")
        await until(sleeping)
        stage.ledger.revoked.add(world.opened(token).prefix.rids[0])
        answer = json.loads(await within(reader.readline()))
        writer.close()
    assert answer["result"]["_meta"]["nucleus/failure"]["code"] == "token.revoked"
    (outcome,) = stage.ledger.records("outcome")
    assert (outcome["ok"], outcome["cut"]) == (False, "token.revoked")


async def test_a_caller_that_goes_away_cancels_what_it_asked_for(tmp_path: Path) -> None:
    live = Live()
    tools = exec.tools(Root(str(tmp_path)), runner=Cells(Bubblewrap()), shows=0, draw=counted())
    stage = NativeStage(tmp_path, tools=live.tools(tools))
    granted = await stage.decide(stage.everywhere(), "exec_run", {"argv": SLEEP.split()})
    assert isinstance(granted, Granted), granted
    running = asyncio.ensure_future(stage.tools["exec_run"].run(granted, "wall:test"))
    await until(lambda: sleeping() or running.done())
    assert len(live) == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await within(running)
    assert len(live) == 0
    assert not sleeping()

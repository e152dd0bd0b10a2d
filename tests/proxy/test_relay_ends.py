"""How a call through the relay ends when somebody no longer waits."""

from __future__ import annotations

from pathlib import Path

from tests.proxy.rig import POLICY, rigged
from tests.proxy.stage import Stage, until
from tests.support import world

NEW = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}


def _stage(text: str = POLICY) -> tuple[Stage, str]:
    stage = Stage(text)
    return stage, world.text(stage.token(world.levels(read_files="always")))


async def test_a_waiting_call_is_cancelled_without_an_answer(tmp_path: Path) -> None:
    stage = Stage(POLICY)
    held = world.text(stage.token(obligations=["read_files"]))
    async with rigged(tmp_path, stage, held=held) as rig:
        rig.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                  "params": {"name": "read", "arguments": {},
                             "_meta": {"progressToken": "p"}}})  # fmt: skip
        said = await rig.receive()
        assert said["method"] == "notifications/progress"
        assert said["params"]["progressToken"] == "p"
        request = await stage.asked()
        assert request.id in said["params"]["message"]
        rig.send({"jsonrpc": "2.0", "method": "notifications/cancelled",
                  "params": {"requestId": 1}})  # fmt: skip
        await until(lambda: stage.ledger.status(request.id).status == "withdrawn")
        assert "result" in await rig.request(2, "ping")
        assert rig.unasked == []
        await rig.settle()
        assert rig.calls_served() == []


async def test_a_running_call_is_cancelled_at_the_server(tmp_path: Path) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        rig.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                  "params": {"name": "silent", "arguments": {}}})  # fmt: skip
        await until(rig.calls_served)
        for target in (1, "1", None, 99):
            rig.send({"jsonrpc": "2.0", "method": "notifications/cancelled",
                      "params": {"requestId": target}})  # fmt: skip
        assert "result" in await rig.request(2, "ping")
        cancelled = [f for f in rig.served() if f.get("method") == "notifications/cancelled"]
        assert [f["params"]["requestId"] for f in cancelled] == [1]


async def test_a_client_that_leaves_is_withdrawn(tmp_path: Path) -> None:
    stage = Stage(POLICY)
    held = world.text(stage.token(obligations=["read_files"]))
    async with rigged(tmp_path, stage, held=held) as rig:
        rig.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                  "params": {"name": "read", "arguments": {}}})  # fmt: skip
        request = await stage.asked()
    assert stage.ledger.status(request.id).status == "withdrawn"
    assert rig.calls_served() == []


async def test_what_was_sent_before_the_end_is_still_answered(tmp_path: Path) -> None:
    """`printf ... | nucleus mcp` closes its end at once."""
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        rig.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                  "params": {"name": "read", "arguments": {}}})  # fmt: skip
        rig.writer.write_eof()
        assert (await rig.receive())["id"] == 1

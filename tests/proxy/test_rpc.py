"""The tools by gRPC: each call is asked, judged, run and recorded as one by MCP is."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nucleus_proxy.answers import Granted
from nucleus_proxy.native import Value
from nucleus_proxy.rpc import tools_pb2 as pb
from nucleus_proxy.rpc.front import PAGE
from nucleus_proxy.rpc.serving import MOST_CALLS
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.limits import ARGUMENT_BYTES
from tests.proxy.native_stage import NativeStage
from tests.proxy.rpc_stage import ended, served
from tests.proxy.stage import until, within
from tests.support import world

READ = {"path": "a.txt"}


@pytest.fixture
def stage(tmp_path: Path) -> NativeStage:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "a.txt").write_text("hello")
    return NativeStage(workspace)


def _asking(stage: NativeStage) -> UnverifiedToken:
    return stage.everywhere(obligations=["read_files"])


async def test_a_call_that_is_allowed_runs_and_says_what_it_showed(stage: NativeStage) -> None:
    async with served(stage, stage.everywhere()) as client:
        result = await within(client.result("fs_read", READ))
    assert result.value.text == "hello"
    assert json.loads(result.value.structured)["content"] == "hello"
    assert list(result.seen.exposure) == ["private_data"]
    assert json.loads(result.seen.label)["integrity"] == "untrusted"
    (decision,) = stage.ledger.records("decision")
    (outcome,) = stage.ledger.records("outcome")
    assert result.seen.decision == decision["seq"] == outcome["decision"]
    stage.verified()


async def test_a_denial_is_a_result_with_its_code_caveat_and_repairs(stage: NativeStage) -> None:
    async with served(stage, stage.everywhere()) as client:
        result = await within(client.result("fs_read", {"path": "/etc/passwd"}))
    said = result.refused
    assert (said.code, said.step) == ("scope.outside", 10)
    assert json.loads(said.caveat)[0] == "path"
    assert said.added_by
    assert said.hint
    assert json.loads(said.repairs)[0]["kind"] == "reduce_capability_request"
    assert not result.HasField("seen")
    assert [r["decision"]["verdict"] for r in stage.ledger.records("decision")] == ["deny"]


async def test_a_failure_under_a_permit_is_no_refusal(stage: NativeStage) -> None:
    async with served(stage, stage.everywhere()) as client:
        result = await within(client.result("fs_read", {"path": "none.txt"}))
    assert result.failed.code == "fs.missing"
    assert result.seen.decision


async def test_a_call_that_is_asked_about_says_so_waits_and_goes_through(
    stage: NativeStage,
) -> None:
    async with served(stage, _asking(stage)) as client:
        events = client.call("fs_read", READ)
        first = await within(events.read())
        request = await stage.asked()
        assert request.id in first.waiting.message
        stage.approve(request)
        last = await within(events.read())
        while last.WhichOneof("event") == "waiting":
            last = await within(events.read())
    assert last.result.value.text == "hello"
    stage.verified()


async def test_a_denial_by_a_person_is_a_result(stage: NativeStage) -> None:
    async with served(stage, _asking(stage)) as client:
        call = asyncio.ensure_future(client.result("fs_read", READ))
        stage.ledger.settle((await stage.asked()).id, approval=None, reason="not today")
        result = await within(call)
    assert (result.refused.code, result.refused.hint) == ("approval.denied", "not today")


async def test_whoever_does_not_wait_hears_what_is_owed(stage: NativeStage) -> None:
    async with served(stage, _asking(stage)) as client:
        result = await within(client.result("fs_read", READ, no_wait=True))
    assert result.refused.code == "approval.required"
    assert list(result.refused.obligations) == ["op:read_files"]
    assert not stage.ledger.desk


async def test_cancelling_withdraws_what_a_person_is_asked(stage: NativeStage) -> None:
    async with served(stage, _asking(stage)) as client:
        events = client.call("fs_read", READ)
        await within(events.read())
        request = await stage.asked()
        events.cancel()
        await until(lambda: stage.ledger.status(request.id).status == "withdrawn")
    assert not stage.ledger.records("outcome")


@pytest.mark.slow
async def test_cancelling_ends_what_runs(stage: NativeStage) -> None:
    """After the moment that a client who leaves is given: two seconds."""
    begun, over = asyncio.Event(), asyncio.Event()

    async def run(_: Granted, __: str) -> Value:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            over.set()
        raise AssertionError

    stage.tools["fs_read"] = replace(stage.tools["fs_read"], run=run)
    async with served(stage, stage.everywhere()) as client:
        events = client.call("fs_read", READ)
        reading = asyncio.ensure_future(events.read())
        await within(begun.wait())
        events.cancel()
        await within(over.wait())
        with pytest.raises(asyncio.CancelledError):
            await reading


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "json.refused"),
        (b"\xff", "json.refused"),
        (b'{"path":"a.txt"} {}', "json.refused"),
        (b'{"path":"a.txt","path":"b.txt"}', "json.refused"),
        (b'{"path":"\\ud800"}', "json.refused"),
        (b'{"path":"a.txt","limit":NaN}', "json.refused"),
        (b'{"path":"a.txt","limit":9007199254740993}', "json.refused"),
        (b"[" * 100_000, "json.refused"),
        (b"[]", "call.params"),
        (b'"a.txt"', "call.params"),
        (b"null", "call.params"),
    ],
)
async def test_arguments_are_read_strictly(stage: NativeStage, raw: bytes, code: str) -> None:
    async with served(stage, stage.everywhere()) as client:
        assert await client.status("fs_read", raw) == ("INVALID_ARGUMENT", code)
    assert not stage.ledger.records()


async def test_an_integer_is_the_integer_that_was_said(stage: NativeStage) -> None:
    """The largest of JSON's own; as a double it would be the same, and the next would not."""
    heard: list[Any] = []
    row = stage.tools["fs_read"]

    async def run(granted: Granted, cell: str) -> Value:
        heard.append(granted.call.args["offset"])
        return await row.run(granted, cell)

    stage.tools["fs_read"] = replace(row, run=run)
    async with served(stage, stage.everywhere()) as client:
        await within(client.result("fs_read", b'{"path":"a.txt","offset":9007199254740991}'))
    assert heard == [2**53 - 1]
    assert type(heard[0]) is int


async def test_a_giant_message_is_refused_by_its_length(stage: NativeStage) -> None:
    async with served(stage, stage.everywhere()) as client:
        giant = {"path": "a.txt", "content": "x" * (9 << 20)}
        assert (await client.status("fs_write", giant))[0] == "RESOURCE_EXHAUSTED"
        large = {"path": "a.txt", "content": "x" * (ARGUMENT_BYTES + 1)}
        status = await client.status("fs_write", large)
        assert status == ("INVALID_ARGUMENT", "call.too_large")
        result = await within(client.result("fs_read", READ))
    assert result.value.text == "hello"


async def test_the_most_that_a_tool_gives_back_comes_whole(stage: NativeStage) -> None:
    text = "\x01" * ARGUMENT_BYTES  # six characters each, twice, in the line of MCP
    (stage.workspace / "b.txt").write_text(text)
    async with served(stage, stage.everywhere()) as client:
        result = await within(client.result("fs_read", {"path": "b.txt"}))
    assert result.value.text == text


async def test_calls_beyond_the_bound_wait_and_all_are_answered(stage: NativeStage) -> None:
    running, most = 0, 0
    row = stage.tools["fs_read"]

    async def run(granted: Granted, cell: str) -> Value:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await row.run(granted, cell)
        finally:
            running -= 1

    stage.tools["fs_read"] = replace(row, run=run)
    async with served(stage, stage.everywhere()) as client:
        calls = (client.result("fs_read", READ) for _ in range(4 * MOST_CALLS))
        found = await within(asyncio.gather(*calls))
    assert {result.value.text for result in found} == {"hello"}
    assert 1 < most <= MOST_CALLS
    assert len(stage.ledger.records("outcome")) == 4 * MOST_CALLS


async def test_the_list_is_what_the_token_may_call_page_by_page(stage: NativeStage) -> None:
    row = stage.tools["fs_read"]
    for number in range(PAGE):
        name = f"read_{number:03}"
        stage.tools[name] = replace(row, binding=replace(row.binding, tool=name))
    stage.rebind()
    token = stage.token(world.levels(read_files="always"), ["path", "in", [str(stage.workspace)]])
    pages: list[pb.ListResponse] = []
    async with served(stage, token) as client:
        after = ""
        for _ in itertools.count():
            pages.append(await within(client.tools.List(pb.ListRequest(after=after))))
            after = pages[-1].next
            if not after:
                break
    assert [len(page.tools) for page in pages] == [PAGE, 1]
    listed = [tool for page in pages for tool in page.tools]
    assert [tool.name for tool in listed] == ["fs_read", *(f"read_{n:03}" for n in range(PAGE))]
    assert json.loads(listed[0].input_schema)["required"] == ["path"]
    assert listed[0].description == row.says


async def test_a_token_that_has_ended_gets_a_status_and_no_list(stage: NativeStage) -> None:
    token = stage.everywhere()
    stage.clock.now = world.NOW + 366 * 24 * 3600
    async with served(stage, token) as client:
        status = await ended(client.tools.List(pb.ListRequest()))
    assert status == ("PERMISSION_DENIED", "token.expired")


async def test_a_world_that_fails_is_unavailable_and_nothing_is_listed(
    stage: NativeStage,
) -> None:
    async with served(stage, stage.everywhere()) as client:
        stage.ledger.broken = True
        assert await ended(client.tools.List(pb.ListRequest())) == ("UNAVAILABLE", "store.full")

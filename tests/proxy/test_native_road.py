"""The proxy's own tools over its socket: one road, held and carried, for any MCP client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nucleus_proxy import connect, serve
from nucleus_proxy.answers import Granted
from nucleus_proxy.methods import DECISION, EXPOSURE, FAILURE, LABEL
from nucleus_proxy.native import Value
from nucleus_tokens import labelling
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CallerError
from tests.proxy.native_stage import NativeStage
from tests.proxy.stage import granted, within
from tests.support import world


class Client:
    """Raw lines to one connection."""

    def __init__(
        self, stage: NativeStage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.stage, self.reader, self.writer = stage, reader, writer
        self._id = 0

    async def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._id += 1
        frame = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}
        self.writer.write(json.dumps(frame).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await within(self.reader.readline()))
        assert answer["id"] == self._id
        return answer

    async def call(
        self, tool: str, args: dict[str, Any], token: UnverifiedToken | None = None
    ) -> dict[str, Any]:
        params: dict[str, Any] = {"name": tool, "arguments": args}
        if token is not None:
            params["_meta"] = {"nucleus/credential": self.stage.sign(token, tool, args)}
        answer = await self.ask("tools/call", params)
        result: dict[str, Any] = answer["result"]
        return result


@asynccontextmanager
async def connected(
    tmp_path: Path, stage: NativeStage, held: str | None = None
) -> AsyncIterator[Client]:
    path = tmp_path / "run" / "s"
    service = serve.Service(
        stage.mediator, draw=stage.draw, log=lambda _: None, native=stage.tools, held=held
    )
    async with serve.listening(path, service):
        reader, writer = await asyncio.open_unix_connection(path, limit=16 * 1024 * 1024)
        assert (await connect.hello(reader)).instance == world.INSTANCE
        yield Client(stage, reader, writer)
        writer.close()


@pytest.fixture
def stage(tmp_path: Path) -> NativeStage:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "a.txt").write_text("hello")
    return NativeStage(workspace)


async def test_a_carried_call_reads_a_file(tmp_path: Path, stage: NativeStage) -> None:
    token = stage.everywhere()
    async with connected(tmp_path, stage) as client:
        result = await client.call("fs_read", {"path": "a.txt"}, token)
        assert result["structuredContent"]["content"] == "hello"
        assert result["content"] == [{"type": "text", "text": "hello"}]
        assert "isError" not in result
        meta = result["_meta"]
        assert meta[LABEL]["bits"] == labelling.EXISTING_FILE
        assert meta[EXPOSURE] == ["private_data"]
        (decision,) = stage.ledger.records("decision")
        (outcome,) = stage.ledger.records("outcome")
        assert meta[DECISION] == decision["seq"] == outcome["decision"]
        assert outcome["ok"] is True
    stage.verified()


async def test_a_held_connection_needs_no_credential_and_others_do(
    tmp_path: Path, stage: NativeStage
) -> None:
    token = stage.everywhere()
    async with connected(tmp_path, stage, held=world.text(token)) as client:
        result = await client.call("fs_read", {"path": "a.txt"})
        assert result["structuredContent"]["content"] == "hello"
    async with connected(tmp_path, stage) as client:
        result = await client.call("fs_read", {"path": "a.txt"})
        assert result["_meta"]["nucleus/refusal"]["code"] == "credential.refused"
        assert "structuredContent" not in result


async def test_a_failure_under_a_permit_is_recorded_as_one(
    tmp_path: Path, stage: NativeStage
) -> None:
    token = stage.everywhere()
    async with connected(tmp_path, stage) as client:
        result = await client.call("fs_read", {"path": "none.txt"}, token)
        assert result["isError"] is True
        assert result["_meta"][FAILURE]["code"] == "fs.missing"
        (outcome,) = stage.ledger.records("outcome")
        assert outcome["ok"] is False


async def test_the_list_shows_what_the_token_may_call(tmp_path: Path, stage: NativeStage) -> None:
    reader = stage.token(world.levels(read_files="always"), ["path", "in", [str(stage.workspace)]])
    async with connected(tmp_path, stage, held=world.text(reader)) as client:
        answer = await client.ask("tools/list", {})
        (tool,) = answer["result"]["tools"]
        assert tool["name"] == "fs_read"
        assert tool["inputSchema"]["required"] == ["path"]
        result = await client.call("fs_write", {"path": "a.txt", "content": "x"})
        assert result["_meta"]["nucleus/refusal"]["code"] == "level.never"
        assert (stage.workspace / "a.txt").read_text() == "hello"


async def test_arguments_of_another_kind_are_refused_before_anything_is_decided(
    tmp_path: Path, stage: NativeStage
) -> None:
    token = stage.everywhere()
    async with connected(tmp_path, stage) as client:
        for args in (
            {},
            {"path": 7},
            {"path": "a.txt", "mode": 1},
            {"path": "a.txt", "limit": True},
        ):
            result = await client.call("fs_read", args, token)
            assert result["_meta"]["nucleus/refusal"]["code"] == "call.arguments"
        result = await client.call("no_such_tool", {}, token)
        assert result["_meta"]["nucleus/refusal"]["code"] == "tool.unclassified"
    assert [r["decision"]["verdict"] for r in stage.ledger.records("decision")] == ["deny"]


async def test_a_client_of_either_era_is_greeted(tmp_path: Path, stage: NativeStage) -> None:
    async with connected(tmp_path, stage) as client:
        old = await client.ask("initialize", {"protocolVersion": "2025-06-18"})
        assert old["result"]["protocolVersion"] == "2025-06-18"
        new = await client.ask("server/discover", {})
        assert "2026-07-28" in new["result"]["supportedVersions"]
        assert (await client.ask("ping", {}))["result"] == {}
        assert "error" in await client.ask("resources/list", {})


async def test_without_a_record_of_the_outcome_nothing_is_released(
    tmp_path: Path, stage: NativeStage
) -> None:
    row = stage.tools["fs_read"]

    async def run(allowed: Granted, cell: str) -> Value:
        value = await row.run(allowed, cell)
        stage.ledger.broken = True
        return value

    stage.tools["fs_read"] = replace(row, run=run)
    async with connected(tmp_path, stage) as client:
        result = await client.call("fs_read", {"path": "a.txt"}, stage.everywhere())
        assert result["_meta"]["nucleus/refusal"]["code"] == "outcome.unrecorded"
        assert "hello" not in json.dumps(result)


async def test_a_permit_runs_once_and_for_its_own_call(stage: NativeStage) -> None:
    token = stage.everywhere()
    (stage.workspace / "b.txt").write_text("other")
    first = granted(await stage.decide(token, "fs_read", {"path": "a.txt"}))
    second = granted(await stage.decide(token, "fs_read", {"path": "b.txt"}))
    row = stage.tools["fs_read"]
    mixed = replace(first, call=second.call)
    with pytest.raises(CallerError) as caught:
        await row.run(mixed, stage.mediator.wall)
    assert caught.value.code == "permit.other_call"
    with pytest.raises(CallerError) as caught:
        await row.run(first, stage.mediator.wall)
    assert caught.value.code == "permit.used"
    with pytest.raises(CallerError) as caught:
        await row.run(second, "wall:other")
    assert caught.value.code == "permit.other_call"

"""Law: the same calls by MCP and by gRPC come to the same, and leave the same trace."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import grpc.aio
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_proxy import methods, wire
from nucleus_proxy.flow import Flow
from nucleus_proxy.flowstate import FlowState
from nucleus_proxy.rpc import tools_pb2 as pb
from nucleus_proxy.rules import Believed
from nucleus_tokens.chain import UnverifiedToken
from tests.proxy.native_stage import LOCAL, NativeStage
from tests.proxy.rpc_stage import CODE, Client, served
from tests.proxy.stage import Stage, counted, within
from tests.proxy.test_native_road import Client as Raw
from tests.proxy.test_native_road import connected
from tests.support import world

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))
FILES = {"a.txt": "hello", "b.txt": "other\n\x01\u00e9", "sub/c.txt": "deep"}
REFUSAL_TEXTS = ("code", "sentence", "hint", "caveat", "added_by")

_path = st.sampled_from([*FILES, "none", "/etc/passwd", "../x", "", ".git/hooks/x", "a\u0301.txt"])
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
_args = st.one_of(
    st.fixed_dictionaries(
        {"path": _path},
        optional={
            "offset": st.integers(0, 9), "limit": st.integers(-1, 9), "more": _json,
            "content": st.text(max_size=9), "pattern": st.sampled_from(["**", "*.txt"]),
            "old": st.sampled_from(["hello", "e"]), "new": st.text(max_size=3),
        },
    ),
    _json,
)  # fmt: skip
_tool = st.sampled_from(["fs_read", "fs_write", "fs_edit", "fs_glob", "nothing", "", "a\nb"])
_refs = st.dictionaries(st.sampled_from(["/path", "/content", "x"]), st.text(max_size=5))
_calls = st.lists(st.tuples(_tool, _args, _refs), min_size=1, max_size=6)


def _staged(folder: Path, token: UnverifiedToken) -> NativeStage:
    """The same stage each time: the same files, draws and token."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    flow = Flow(
        FlowState.open(None), believed=Believed(), releasers={}, draw=counted(7), cwd=str(folder)
    )
    stage = NativeStage(folder, flow=flow)
    stage.ledger.open_cell(Stage.tree(token), 0)
    return stage


async def _by_mcp(folder: Path, token: UnverifiedToken, calls: list[Any]) -> list[Any]:
    stage = _staged(folder / "workspace", token)
    async with connected(folder, stage, held=world.text(token)) as client:
        heard = [await _answered(client, *call) for call in enumerate(calls)]
    return [*heard, stage.ledger.records()]


async def _answered(client: Raw, number: int, call: tuple[str, Any, dict[str, str]]) -> Any:
    """The result of one call, or the code of what was no call."""
    tool, args, refs = call
    meta = {methods.WAIT: False, **({methods.REFERENCES: refs} if refs else {})}
    params = {"name": tool, "arguments": args, "_meta": meta}
    frame = {"jsonrpc": "2.0", "id": number, "method": methods.TOOLS_CALL, "params": params}
    client.writer.write(json.dumps(frame).encode() + b"\n")
    answer = json.loads(await within(client.reader.readline()))
    error = answer.get("error")
    if error is not None:
        # Of a line that is not JSON nobody knows whose it is.
        broken = error["code"] == wire.PARSE_ERROR
        return ["json.refused" if broken else error["data"]["code"]]
    return answer["result"]


async def _by_grpc(folder: Path, token: UnverifiedToken, calls: list[Any]) -> list[Any]:
    stage = _staged(folder / "workspace", token)
    async with served(stage, token) as client:
        heard = [await _said(client, *call) for call in calls]
    return [*heard, stage.ledger.records()]


async def _said(client: Client, tool: str, args: Any, refs: dict[str, str]) -> Any:
    """What one call came to, as MCP would say it."""
    try:
        result = await client.result(tool, args, references=refs, no_wait=True)
    except grpc.aio.AioRpcError as error:
        return [value for key, value in error.trailing_metadata() if key == CODE]
    return _as_mcp(result)


def _as_mcp(result: pb.Result) -> dict[str, Any]:
    meta: dict[str, Any] = {}
    made: dict[str, Any] = {"_meta": meta}
    if result.HasField("seen"):
        meta["nucleus/decision"] = result.seen.decision
        meta["nucleus/exposure"] = list(result.seen.exposure)
        if result.seen.label:
            meta["nucleus/label"] = json.loads(result.seen.label)
        if result.seen.labels:
            meta["nucleus/labels"] = json.loads(result.seen.labels)
        if result.seen.reference:
            meta["nucleus/ref"] = result.seen.reference
    match result.WhichOneof("outcome"):
        case "value":
            made["content"] = [{"type": "text", "text": result.value.text}]
            made["structuredContent"] = json.loads(result.value.structured)
            made |= {"isError": True} if result.value.is_error else {}
        case "failed":
            meta["nucleus/failure"] = _texts(result.failed, ("code", "sentence", "hint"))
        case _:
            said = _texts(result.refused, REFUSAL_TEXTS)
            if result.refused.step:
                said["step"] = result.refused.step
            if result.refused.obligations:
                said["obligations"] = list(result.refused.obligations)
            if result.refused.repairs:
                said["repairs"] = json.loads(result.refused.repairs)
            meta["nucleus/refusal"] = said
    return made


def _texts(message: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(message, name) for name in names if getattr(message, name)}


def _comparable(heard: list[Any]) -> list[Any]:
    """Without what MCP adds to a refusal or failure: that it is one, and its fields as a text."""
    return [
        {"_meta": each["_meta"]}
        if isinstance(each, dict) and "structuredContent" not in each
        else each
        for each in heard
    ]


@settings(max_examples=25 * SCALE)
@given(calls=_calls, asked=st.booleans())
def test_the_same_calls_by_mcp_and_by_grpc_come_to_the_same(
    calls: list[tuple[str, Any, dict[str, str]]], asked: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "workspace").mkdir()
        scope = ["path", "in", [str(folder / "workspace")]]
        owed = ["read_files"] if asked else []
        token = world.mint(LOCAL, scope, obligations=owed)
        by_mcp = asyncio.run(_by_mcp(folder, token, calls))
        by_grpc = asyncio.run(_by_grpc(folder, token, calls))
    assert _comparable(by_grpc) == _comparable(by_mcp)

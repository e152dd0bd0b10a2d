"""Between a hostile client and a hostile server: what passes, and what does not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nucleus_proxy import wire
from nucleus_proxy.effects.forward import forward
from nucleus_proxy.link import MOST_OPEN
from nucleus_tokens.errors import CallerError
from nucleus_tokens.exposure import PRIVATE_DATA, UNTRUSTED_CONTENT
from tests.proxy.rig import POLICY, TOOLS, rigged
from tests.proxy.stage import Stage, granted
from tests.support import world

NEW = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}


def _stage(text: str = POLICY) -> tuple[Stage, str]:
    stage = Stage(text)
    return stage, world.text(stage.token(world.levels(read_files="always")))


async def test_every_effect_has_a_decision_with_a_token_before_it(tmp_path: Path) -> None:
    """The wiring: what reaches the server was decided, one decision for one effect."""
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        for i in range(5):
            assert "result" in await rig.call(i, "read", {"x": i})
        await rig.call(9, "no_such_tool")
        records = stage.ledger.records()
        allowed = [r for r in records if r["type"] == "decision"
                   and r["decision"]["verdict"] == "allow"]  # fmt: skip
        assert len(rig.calls_served()) == len(allowed) == 5
        assert all(r["token"]["tid"] == world.hex16("tid") for r in allowed)
        outcomes = stage.ledger.records("outcome")
        assert [o["decision"] for o in outcomes] == [r["seq"] for r in allowed]
        assert all(o["seq"] > o["decision"] for o in outcomes)
    stage.verified()


async def test_a_call_is_written_nowhere_but_with_its_permit() -> None:
    stage, _ = _stage()

    class Spy:
        lines: list[bytes] = []  # noqa: RUF012  # one test

        def write(self, data: bytes) -> None:
            self.lines.append(data)

        async def drain(self) -> None: ...
        def close(self) -> None: ...

    args = {"x": 1}
    answer = granted(await stage.call(stage.token(), "read", args))
    line = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s","arguments":%s}}'

    def frame(name: bytes, arguments: bytes) -> wire.Frame:
        return wire.parse(line % (name, arguments))

    equal = frame(b"read", b'{"x":1}')  # looks the same, but is not what was judged
    for other in (equal, frame(b"write", b'{"x":1}'), frame(b"read", b'{"x":2}')):
        with pytest.raises(CallerError, match="not the call"):
            await forward(answer.permit, answer.call, "wall:test", other, Spy())
    equal.value["params"]["arguments"] = args
    with pytest.raises(CallerError, match="another call"):
        await forward(answer.permit, answer.call, "wall:other", equal, Spy())
    assert Spy.lines == []


async def test_what_was_parsed_is_forwarded_byte_for_byte(tmp_path: Path) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        odd = (
            b'{ "id":7,"params":{"arguments":{"x" : 1.50, "y":"\\u00e9"},"name":"read"},'
            b'"method":"tools/call", "jsonrpc":"2.0" }'
        )
        rig.send(odd)
        assert (await rig.receive())["id"] == 7
        assert odd in (tmp_path / "seen.jsonl").read_bytes().splitlines()
        assert await rig.call(8, "big") is not None
        rig.send({"jsonrpc": "2.0", "id": 9, "method": "tools/call",
                  "params": {"name": "big", "arguments": {}}})  # fmt: skip
        raw = await rig.line()
        assert raw == (
            b'{"jsonrpc": "2.0", "id": 9, "result": {"n": 123456789012345678901, "x":  1.0}}\n'
        )


async def test_credential_and_unjudged_words_never_reach_the_server(tmp_path: Path) -> None:
    stage, _ = _stage()
    token = stage.token(world.levels(read_files="always"))
    async with rigged(tmp_path, stage, held=None) as rig:
        credential = stage.sign(token, "read", {"x": 1})
        meta: dict[str, Any] = {
            "nucleus/credential": credential,
            "vendor/hint": "rm",
            "progressToken": 4,
            "traceparent": "00-1",
        }
        answer = await rig.call(1, "read", {"x": 1}, **meta)
        assert "isError" not in answer["result"]
        (served,) = rig.calls_served()
        assert served["params"]["_meta"] == {"progressToken": 4, "traceparent": "00-1"}
        listing = stage.sign(token, "tools/list", {})
        await rig.request(2, "tools/list", {"_meta": {"nucleus/credential": listing}})
        assert b"nuc1_" not in (tmp_path / "seen.jsonl").read_bytes()


async def test_a_carried_call_without_a_credential_is_a_strangers(tmp_path: Path) -> None:
    stage, _ = _stage()
    async with rigged(tmp_path, stage, held=None) as rig:
        metas: list[dict[str, Any]] = [{}, {"nucleus/credential": 5}, {"nucleus/credential": "x"}]
        for i, meta in enumerate(metas):
            answer = await rig.call(i, "read", {}, **meta)
            assert answer["result"]["_meta"]["nucleus/refusal"]["code"] == "credential.refused"
        answer = await rig.request(9, "tools/list")
        assert "credential.refused" in answer["error"]["message"]
        await rig.settle()
        assert rig.calls_served() == []


async def test_the_new_era_gets_complete_results_and_private_lists(tmp_path: Path) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        answer = await rig.call(1, "no_such_tool", {}, **NEW)
        assert answer["result"]["resultType"] == "complete"
        assert answer["result"]["isError"] is True
        assert "tool.unclassified" in answer["result"]["content"][0]["text"]
        answer = await rig.call(2, "no_such_tool")
        assert "resultType" not in answer["result"]


async def test_a_list_is_filtered_and_keeps_what_it_does_not_know(tmp_path: Path) -> None:
    stage = Stage(POLICY)
    token = stage.token(world.levels(read_files="always"), ["tool", "in", ["big", "read"]])
    tools = [
        {"name": "read", "inputSchema": {}, "futureField": [1]},
        {"name": "write", "inputSchema": {}},
        {"name": "unbound", "inputSchema": {}},
        {"name": 5},
        "odd",
    ]
    async with rigged(tmp_path, stage, held=world.text(token), tools=tools) as rig:
        answer = await rig.request(1, "tools/list")
        assert answer["result"] == {"tools": [tools[0]], "futureField": 1}


async def test_methods_nobody_opened_are_refused_in_both_directions(tmp_path: Path) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        for i, method in enumerate(
            ("resources/read", "prompts/get", "completion/complete", "logging/setLevel",
             "tasks/get", "tools/call2", "nucleus/hello")
        ):  # fmt: skip
            answer = await rig.request(i, method, {})
            assert answer["error"]["code"] == wire.METHOD_NOT_FOUND
        rig.send({"jsonrpc": "2.0", "method": "notifications/anything"})
        rig.send({"jsonrpc": "2.0", "id": 77, "result": {"nobody": "asked"}})
        assert "result" in await rig.request(50, "ping")
        assert [f.get("method") for f in rig.served()] == ["ping"]


async def test_closed_capabilities_are_not_announced(tmp_path: Path) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        claimed: dict[str, Any] = {"sampling": {}, "elicitation": {}, "roots": {}}
        answer = await rig.request(
            1, "initialize", {"protocolVersion": "2025-11-25", "capabilities": claimed}
        )
        assert answer["result"]["capabilities"] == {"tools": {}}
        assert rig.served()[0]["params"]["capabilities"] == {}


async def test_an_opened_method_raises_the_wall_first(tmp_path: Path) -> None:
    stage, held = _stage(POLICY + '[methods]\nopen = ["resources/list"]\n')
    async with rigged(tmp_path, stage, held=held) as rig:
        assert stage.ledger.cells["wall:test"].bits == 0
        assert "result" in await rig.request(1, "resources/list", {})
        assert stage.ledger.cells["wall:test"].bits == PRIVATE_DATA | UNTRUSTED_CONTENT
        assert [r["method"] for r in stage.ledger.records("opened")] == ["resources/list"]
        await rig.request(2, "resources/list", {})
        assert len(stage.ledger.records("opened")) == 1


async def test_a_read_that_policy_opened_is_decided_and_raises_both_cells(tmp_path: Path) -> None:
    stage, held = _stage(POLICY + '[methods]\nopen = ["resources/read"]\n')
    async with rigged(tmp_path, stage, held=held) as rig:
        assert stage.ledger.cells["wall:test"].bits == 0
        assert "result" in await rig.request(1, "resources/read", {"uri": "x"})
        assert stage.ledger.cells["wall:test"].bits == PRIVATE_DATA | UNTRUSTED_CONTENT
    assert [r["call"]["tool"] for r in stage.ledger.records("decision")] == ["resources/read"]
    stage.verified()


async def test_a_hostile_server_reaches_nobody(tmp_path: Path) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        answer = await rig.call(1, "hostile")
        assert answer["result"]["content"][0]["text"] == "done"
        assert "result" in await rig.request(2, "ping")
        assert rig.unasked == []
        refusals = [f for f in rig.served() if f.get("id") == 900]
        assert refusals[0]["error"]["code"] == wire.METHOD_NOT_FOUND


async def test_a_request_for_input_that_policy_did_not_open_is_withheld(tmp_path: Path) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        answer = await rig.call(1, "asks", {}, **NEW)
        assert answer["result"]["_meta"]["nucleus/refusal"]["code"] == "input.closed"
        assert "secret?" not in json.dumps(answer)
        answer = await rig.request(
            2, "tools/call", {"name": "read", "arguments": {}, "inputResponses": {}}
        )
        assert answer["error"]["code"] == wire.INVALID_PARAMS
    stage, held = _stage(POLICY + '[methods]\nopen = ["elicitation/create"]\n')
    (tmp_path / "2").mkdir()
    async with rigged(tmp_path / "2", stage, held=held) as rig:
        answer = await rig.call(1, "asks", {}, **NEW)
        assert answer["result"]["resultType"] == "input_required"


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"name": "read", "arguments": {}, "task": {"ttl": 1}}, "task"),
        ({"name": "read", "arguments": []}, "object"),
        ({"name": "read", "arguments": None}, "object"),
        ({"name": 7, "arguments": {}}, "name"),
        ({"arguments": {}}, "name"),
        ({"name": "re\u0301ad", "arguments": {}}, "name"),
        ({"name": "a\nb", "arguments": {}}, "name"),
        ({"name": "x" * 300, "arguments": {}}, "name"),
    ],
)
async def test_odd_parameters_are_refused(tmp_path: Path, params: Any, sentence: str) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        answer = await rig.request(1, "tools/call", params)
        assert answer["error"]["code"] == wire.INVALID_PARAMS
        assert sentence in answer["error"]["message"]
        await rig.settle()
        assert rig.calls_served() == []


async def test_an_id_is_used_once(tmp_path: Path) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        assert "result" in await rig.call(1, "read")
        assert (await rig.call(1, "read"))["error"]["code"] == wire.INVALID_REQUEST
        assert "result" in await rig.call("1", "read")
        await rig.settle()
        assert len(rig.calls_served()) == 2


async def test_hostile_lines_are_answered_and_the_stream_goes_on(tmp_path: Path) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        inner = b'{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"read"}}'
        for line in (
            b"nonsense",
            b'[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"}}]',
            b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
            b'{"jsonrpc":"2.0","id":1,"method":"ping","params":\r' + inner + b"\r}",
            b"\xff\xfe",
            b"[" * 10_000,
        ):
            rig.send(line)
            assert "error" in await rig.receive(), line
        assert "result" in await rig.request(1, "ping")
        assert [f["method"] for f in rig.served()] == ["ping"]


async def test_an_oversize_frame_ends_the_connection(tmp_path: Path) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        rig.send(b"x" * (wire.FRAME_BYTES + 2))
        assert (await rig.receive())["error"]["code"] == wire.INVALID_REQUEST
        assert await rig.line() == b""


async def test_arguments_that_could_not_be_read_back_are_refused(tmp_path: Path) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        answer = await rig.call(1, "read", {"x": "a" * (4 * 1024 * 1024)})
        assert "at most" in answer["error"]["message"]


async def test_an_outcome_says_whether_the_tool_failed(tmp_path: Path) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        await rig.call(1, "fails")
        await rig.call(2, "read")
        assert [o["ok"] for o in stage.ledger.records("outcome")] == [False, True]


async def test_a_result_without_its_record_is_withheld(tmp_path: Path) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        append = stage.ledger.append

        def failing(record: Any) -> int:
            if record["type"] == "outcome":
                stage.ledger.broken = True
            return append(record)

        stage.ledger.append = failing  # type: ignore[method-assign]
        answer = await rig.call(1, "read")
        assert answer["result"]["_meta"]["nucleus/refusal"]["code"] == "outcome.unrecorded"
        answer = await rig.call(2, "read")
        assert answer["result"]["_meta"]["nucleus/refusal"]["code"] == "store.full"
        await rig.settle()
        assert len(rig.calls_served()) == 1


async def test_a_server_that_dies_leaves_an_error_and_a_decision_that_ran(tmp_path: Path) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        answer = await rig.call(1, "die")
        assert "may have run" in answer["error"]["message"]
        assert await rig.line() == b""
        assert len(stage.ledger.records("decision")) == 1
        assert stage.ledger.records("outcome") == []


async def test_too_many_open_requests_are_refused(tmp_path: Path) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        for i in range(MOST_OPEN + 1):
            rig.send({"jsonrpc": "2.0", "id": i, "method": "tools/call",
                      "params": {"name": "silent", "arguments": {}}})  # fmt: skip
        assert (await rig.receive())["error"]["code"] == wire.WORLD_FAILED


async def test_a_servers_environment_is_what_it_was_given(tmp_path: Path) -> None:
    stage, held = _stage()
    os.environ["NUCLEUS_TEST_SECRET"] = "leak"
    try:
        async with rigged(tmp_path, stage, held=held, env={"ONLY": "this"}) as rig:
            await rig.request(1, "ping")
            assert rig.server_env().keys() - {"LC_CTYPE"} == {"ONLY"}
    finally:
        del os.environ["NUCLEUS_TEST_SECRET"]


async def test_annotations_are_asked_for_before_the_first_call(tmp_path: Path) -> None:
    """A client that never lists must not meet laxer rules."""
    stage, held = _stage()
    tools = [{"name": "read", "annotations": {"destructiveHint": True}}, {"name": "big"}]
    async with rigged(tmp_path, stage, held=held, tools=tools) as rig:
        await rig.call(1, "big")
        for i, tool in enumerate(("read", "write")):  # admits to it; is not listed at all
            rig.send({"jsonrpc": "2.0", "id": 10 + i, "method": "tools/call",
                      "params": {"name": tool, "arguments": {}}})  # fmt: skip
            request = await stage.asked()
            assert [name for name, _ in request.obligations] == ["op:read_files"]
            stage.ledger.withdraw(request.id)
            assert (await rig.receive())["result"]["isError"] is True
        assert len([f for f in rig.served() if f["method"] == "tools/list"]) == 1
    assert set(TOOLS) > {"read", "big"}


async def test_a_stranger_does_not_make_the_server_work(tmp_path: Path) -> None:
    """A refused credential is refused before the server is asked anything about the tool."""
    stage, _ = _stage()
    async with rigged(tmp_path, stage, held=None) as rig:
        for meta in ({}, {"_meta": {"nucleus/credential": "nuc1_nonsense"}}):
            params = {"name": "read", "arguments": {}, **meta}
            answer = await rig.request(len(meta) + 1, "tools/call", params)
            assert answer["result"]["isError"] is True
        await rig.settle()
        assert [f for f in rig.served() if f["method"] == "tools/list"] == []


async def test_a_line_that_cannot_be_read_is_said_to_who_waits_and_is_on_record(
    tmp_path: Path,
) -> None:
    stage, held = _stage()
    async with rigged(tmp_path, stage, held=held) as rig:
        await rig.request(0, "tools/list")
        answer = await rig.call(1, "endless")
        assert "wire.too_large" in answer["error"]["message"]
        assert [o["ok"] for o in stage.ledger.records("outcome")] == [False]

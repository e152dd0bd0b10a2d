"""The model route: what passes, what is sent, what it costs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.egress.fake_provider import provider
from tests.egress.model_stage import CHAT, ModelStage, code
from tests.egress.out_stage import KEY
from tests.proxy.stage import until
from tests.support import world

BUDGET = (world.all_levels(), ["budget", "tokens", 5000], ["budget", "micro_usd", 100_000])


async def test_a_whole_answer_passes_with_the_proxys_key(tmp_path: Path) -> None:
    async with provider(KEY) as far:
        stage = ModelStage(tmp_path, far, ceil=BUDGET)
        async with stage.open():
            chat = await stage.chat("Authorization: Bearer agents-own", "OpenAI-Organization: x")
            message = await stage.messages("x-api-key: agents-own", "anthropic-beta: files-api")
    assert json.loads(chat.body)["choices"][0]["message"]["content"] == "one two three"
    assert json.loads(message.body)["content"][0]["text"] == "one two three"
    one, two = far.asked
    assert (one["path"], one["body"]) == ("/v1/chat/completions", CHAT)
    assert one["headers"]["authorization"] == f"Bearer {KEY}"
    assert two["path"] == "/v1/messages"
    assert two["headers"]["x-api-key"] == KEY
    sent = {name for asked in far.asked for name in asked["headers"]}
    assert sent == {
        "host", "accept", "accept-encoding", "user-agent", "authorization", "content-type",
        "connection", "content-length", "x-api-key", "anthropic-version",
    }  # fmt: skip
    tools = [each["call"]["tool"] for each in stage.ledger.records("decision")]
    assert tools == ["model/openai", "model/anthropic"]
    stage.verified()


async def test_what_was_used_is_paid_in_tokens_and_money(tmp_path: Path) -> None:
    told = {"prompt_tokens": 20, "completion_tokens": 7}
    async with provider(KEY, usage=told) as far:
        stage = ModelStage(tmp_path, far, ceil=BUDGET)
        async with stage.open():
            await stage.chat()
    assert stage.spent("tokens") == 27
    assert stage.spent("micro_usd") == 20 * 2 + 7 * 10
    assert stage.outside.meter.held == {}
    (charge,) = stage.ledger.records("charge")
    assert charge["charge"] == {"tokens": 27, "micro_usd": 110}


async def test_a_stream_passes_piece_by_piece(tmp_path: Path) -> None:
    hold = asyncio.Event()
    async with provider(KEY, hold=hold) as far:
        stage = ModelStage(tmp_path, far, ceil=BUDGET)
        async with stage.open():
            reader, writer = await stage.connection()
            body = json.dumps({**CHAT, "stream": True}).encode()
            writer.write(
                b"POST /model/openai/v1/chat/completions HTTP/1.1\r\nHost: localhost:8080\r\n"
                + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
            )  # fmt: skip
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"text/event-stream" in head
            assert b"one" in await reader.readuntil(b"\n\n")  # while the provider still waits
            hold.set()
            rest = await reader.readuntil(b"0\r\n\r\n")
            assert b"three" in rest
            assert b"[DONE]" in rest
            await until(stage.outcomes)
    assert far.asked[0]["body"]["stream_options"] == {"include_usage": True}
    words = len(json.dumps(far.asked[0]["body"]).split())
    assert stage.spent("tokens") == words + 3


async def test_an_anthropic_stream_is_paid_from_its_two_numbers(tmp_path: Path) -> None:
    async with provider(KEY, usage={"input_tokens": 11, "output_tokens": 5}) as far:
        stage = ModelStage(tmp_path, far, ceil=BUDGET)
        async with stage.open():
            got = await stage.messages(stream=True)
            await until(stage.outcomes)
    assert b"message_stop" in got.body
    assert stage.spent("tokens") == 16


async def test_lists_counts_and_embeddings(tmp_path: Path) -> None:
    async with provider(KEY) as far:
        stage = ModelStage(tmp_path, far, ceil=BUDGET)
        async with stage.open():
            models = await stage.post("/model/openai/v1/models", b"", method="GET")
            assert json.loads(models.body)["data"][0]["id"] == "m"
            count = await stage.post(
                "/model/anthropic/v1/messages/count_tokens?beta=true", json.dumps(CHAT).encode()
            )
            assert json.loads(count.body) == {"input_tokens": 7}
            assert stage.spent("tokens") == 0
            vectors = await stage.post(
                "/model/openai/v1/embeddings", json.dumps({"model": "m", "input": "hi"}).encode()
            )
            assert json.loads(vectors.body)["data"][0]["embedding"] == [0.5, 0.25]
            assert stage.spent("tokens") == 3
            answer = await stage.post(
                "/model/openai/v1/responses", json.dumps({"model": "m", "input": "hi"}).encode()
            )
            assert json.loads(answer.body)["output"][0]["type"] == "message"
    assert far.asked[-1]["body"]["store"] is False


async def test_a_budget_that_cannot_hold_the_worst_case_lets_nothing_start(tmp_path: Path) -> None:
    async with provider(KEY) as far:
        ceil = (world.all_levels(), ["budget", "tokens", 900])
        stage = ModelStage(tmp_path, far, ceil=ceil)
        async with stage.open():
            refused = await stage.chat()
            assert (refused.status, code(refused)) == (403, "budget.exhausted")
            assert far.asked == []
            allowed = await stage.chat(max_tokens=500)
            assert allowed.status == 200
    assert stage.outside.meter.held == {}


async def test_two_at_once_are_not_promised_the_same(tmp_path: Path) -> None:
    hold = asyncio.Event()
    async with provider(KEY, hold=hold) as far:
        ceil = (world.all_levels(), ["budget", "tokens", 1500])
        stage = ModelStage(tmp_path, far, ceil=ceil)
        async with stage.open():
            first = asyncio.ensure_future(stage.chat(stream=True, max_tokens=1000))
            await until(lambda: len(far.asked) == 1)
            second = await stage.chat(max_tokens=1000)
            assert code(second) == "budget.exhausted"
            hold.set()
            assert b"[DONE]" in (await first).body
            third = await stage.chat(max_tokens=1000)
            assert third.status == 200


async def test_a_budget_that_ends_in_mid_stream_cuts(tmp_path: Path) -> None:
    """Another road spends meanwhile what this stream was promised."""
    hold = asyncio.Event()
    async with provider(KEY, hold=hold, endless=True) as far:
        ceil = (world.all_levels(), ["budget", "tokens", 1500])
        stage = ModelStage(tmp_path, far, ceil=ceil)
        async with stage.open():
            going = asyncio.ensure_future(stage.chat(stream=True, max_tokens=1000))
            await until(lambda: len(far.asked) == 1)
            (counter,) = [c.id for c in stage.opened_held().authority.counters]
            stage.ledger.spent[counter] = 1400
            hold.set()
            got = await going
            await until(stage.outcomes)
    assert b"budget.exhausted" in got.body
    assert stage.spent("tokens") == 1500
    assert stage.outcomes()[-1]["ok"] is False


async def test_a_client_that_leaves_pays_for_what_was_made(tmp_path: Path) -> None:
    hold = asyncio.Event()
    async with provider(KEY, hold=hold) as far:
        far.words = ["word " * 600, *["more " * 2000] * 200]
        stage = ModelStage(tmp_path, far, ceil=BUDGET)
        async with stage.open():
            reader, writer = await stage.connection()
            body = json.dumps({**CHAT, "stream": True}).encode()
            writer.write(
                b"POST /model/openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
            )  # fmt: skip
            await reader.readuntil(b"word")
            writer.close()
            hold.set()
            await until(stage.outcomes)
    assert stage.spent("tokens") >= 1000 // 2
    assert stage.outside.meter.held == {}


async def test_a_stream_of_a_revoked_token_is_cut(tmp_path: Path) -> None:
    hold = asyncio.Event()
    async with provider(KEY, hold=hold) as far:
        stage = ModelStage(tmp_path, far, poll=0.01)
        async with stage.open():
            going = asyncio.ensure_future(stage.messages(stream=True))
            await until(lambda: len(far.asked) == 1)
            stage.ledger.revoked.add(stage.opened_held().rids[0])
            got = await going
            await until(stage.outcomes)
            hold.set()
    assert b"token.revoked" in got.body
    assert b"event: error" in got.body
    assert b"message_stop" not in got.body


async def test_what_a_model_says_is_nothing_new_to_the_session(tmp_path: Path) -> None:
    async with provider(KEY) as far:
        stage = ModelStage(tmp_path, far, operation="web_fetch")
        async with stage.open():
            for _ in range(3):
                assert (await stage.chat()).status == 200
    assert stage.ledger.cells["wall:test"].bits == 0


async def test_a_route_counts_as_the_operation_the_operator_says(tmp_path: Path) -> None:
    async with provider(KEY) as far:
        reads = (world.levels(read_files="always"),)
        stage = ModelStage(tmp_path, far, ceil=reads)
        async with stage.open():
            assert (await stage.chat()).status == 200
        folder = tmp_path / "b"
        folder.mkdir()
        other = ModelStage(folder, far, operation="web_fetch", ceil=reads)
        async with other.open():
            assert code(await other.chat()) == "level.never"


async def test_scopes_hold_on_a_route(tmp_path: Path) -> None:
    async with provider(KEY) as far:
        ceil = (world.all_levels(), ["host", "in", ["other.test"]])
        stage = ModelStage(tmp_path, far, ceil=ceil)
        async with stage.open():
            assert code(await stage.chat()) == "scope.outside"
        folder = tmp_path / "b"
        folder.mkdir()
        narrow = (world.all_levels(), ["tool", "in", ["model/anthropic"]])
        other = ModelStage(folder, far, ceil=narrow)
        async with other.open():
            assert code(await other.chat()) == "scope.outside"
            assert (await other.messages()).status == 200


@pytest.mark.parametrize("status", [400, 429, 500, 529])
async def test_an_error_of_the_provider_is_passed_on_and_costs_nothing(
    tmp_path: Path, status: int
) -> None:
    async with provider(KEY, status=status, headers={"Retry-After": "7"}) as far:
        stage = ModelStage(tmp_path, far, ceil=BUDGET)
        async with stage.open():
            got: Any = await stage.chat()
    assert (got.status, got.headers["retry-after"]) == (status, "7")
    assert stage.spent("tokens") == 0

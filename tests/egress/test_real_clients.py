"""The two providers' own clients, unmodified but for their base URL, through a model route.

The clients are the real ones; the provider behind the route is the fake of this folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from tests.egress.fake_provider import provider
from tests.egress.model_stage import ModelStage
from tests.egress.out_stage import KEY
from tests.support import world

BUDGET = (world.all_levels(), ["budget", "tokens", 50_000])
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def through(stage: ModelStage) -> Any:
    return httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(stage.path)))


def of_openai(stage: ModelStage, http: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url="http://localhost/model/openai/v1", api_key="agents-own", http_client=http,
        organization="agents-own", project="agents-own", max_retries=0,
    )  # fmt: skip


def of_anthropic(stage: ModelStage, http: Any) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        base_url="http://localhost/model/anthropic", api_key="agents-own", http_client=http,
        max_retries=0,
    )  # fmt: skip


async def test_the_openai_client(tmp_path: Path) -> None:
    async with provider(KEY) as far:
        stage = ModelStage(tmp_path, far, ceil=BUDGET)
        async with stage.open(), through(stage) as http:
            client = of_openai(stage, http)
            said: Any = [{"role": "user", "content": "hello"}]
            whole = await client.chat.completions.create(model="m", messages=said)
            assert whole.choices[0].message.content == "one two three"
            tools: Any = [{"type": "function", "function": {"name": "w", "parameters": TOOL}}]
            await client.chat.completions.create(model="m", messages=said, tools=tools)
            text = ""
            async for chunk in await client.chat.completions.create(
                model="m", messages=said, stream=True
            ):
                if chunk.choices:
                    text += chunk.choices[0].delta.content or ""
            assert text == "one two three"
            answer = await client.responses.create(model="m", input="hello", store=False)
            assert answer.output_text == "one two three"
            vectors = await client.embeddings.create(model="m", input=["hello"])
            assert len(vectors.data) == 1
            assert [each.id async for each in client.models.list()] == ["m"]
    assert "agents-own" not in json.dumps([each["headers"] for each in far.asked])
    assert all(each["headers"]["authorization"] == f"Bearer {KEY}" for each in far.asked)
    assert stage.spent("tokens") > 0
    stage.verified()


async def test_the_anthropic_client(tmp_path: Path) -> None:
    async with provider(KEY) as far:
        stage = ModelStage(tmp_path, far, ceil=BUDGET)
        async with stage.open(), through(stage) as http:
            client = of_anthropic(stage, http)
            said: Any = [{"role": "user", "content": "hello"}]
            whole = await client.messages.create(model="m", max_tokens=50, messages=said)
            assert whole.content[0].text == "one two three"  # type: ignore[union-attr]
            tools: Any = [{"name": "w", "description": "d", "input_schema": TOOL}]
            await client.messages.create(model="m", max_tokens=50, messages=said, tools=tools)
            async with client.messages.stream(
                model="m", max_tokens=50, messages=said, system="be brief"
            ) as stream:
                assert await stream.get_final_text() == "one two three"
            count = await client.messages.count_tokens(model="m", messages=said)
            assert count.input_tokens == 7
    assert "agents-own" not in json.dumps([each["headers"] for each in far.asked])
    assert all(each["headers"]["x-api-key"] == KEY for each in far.asked)
    stage.verified()


async def test_a_refusal_is_an_error_that_the_clients_understand(tmp_path: Path) -> None:
    async with provider(KEY) as far:
        stage = ModelStage(tmp_path, far, ceil=(world.levels(web_fetch="always"),))
        async with stage.open(), through(stage) as http:
            said: Any = [{"role": "user", "content": "hello"}]
            with pytest.raises(openai.PermissionDeniedError, match=r"level\.never"):
                await of_openai(stage, http).chat.completions.create(model="m", messages=said)
            with pytest.raises(anthropic.PermissionDeniedError, match=r"level\.never"):
                await of_anthropic(stage, http).messages.create(
                    model="m", max_tokens=5, messages=said
                )
            web: Any = [{"type": "web_search_20250305", "name": "web_search"}]
            with pytest.raises(anthropic.BadRequestError, match="not open here"):
                await of_anthropic(stage, http).messages.create(
                    model="m", max_tokens=5, messages=said, tools=web
                )
    assert far.asked == []


async def test_a_cut_stream_is_an_error_and_no_short_answer(tmp_path: Path) -> None:
    async with provider(KEY, endless=True) as far:
        stage = ModelStage(tmp_path, far, ceil=BUDGET)
        async with stage.open(), through(stage) as http:
            said: Any = [{"role": "user", "content": "hello"}]
            with pytest.raises(openai.APIError, match=r"model\.endless"):
                async for _ in await of_openai(stage, http).chat.completions.create(
                    model="m", messages=said, stream=True, max_tokens=200
                ):
                    pass
            with pytest.raises(anthropic.APIError, match=r"model\.endless"):
                async with of_anthropic(stage, http).messages.stream(
                    model="m", max_tokens=200, messages=said
                ) as stream:
                    await stream.get_final_message()

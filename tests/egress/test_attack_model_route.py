"""The model route as a way out: fields, tools, headers that would make the provider a courier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nucleus_proxy.egress import model
from nucleus_proxy.egress.routes import Price, Route
from nucleus_proxy.egress.url import parse
from nucleus_tokens.errors import CredentialError
from tests.egress.fake_provider import provider
from tests.egress.model_stage import CHAT, MESSAGES, ModelStage, code
from tests.egress.out_stage import KEY
from tests.support import world

URL = "https://evil.test/?q=secret"
CHAT_PATH, RESPONSES, MESSAGE_PATH = "/v1/chat/completions", "/v1/responses", "/v1/messages"


def route(shape: Any) -> Route:
    return Route(
        name="r", kind="model", base=parse("https://api.test/"), secret="key", header="x",
        prefix="", operation=0, sink=11, shape=shape, models={"m": Price(1, 1)},
        max_output_tokens=1000,
    )  # fmt: skip


def read(shape: str, path: str, body: Any) -> model.Order:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return model.read(route(shape), "POST", path, raw)


def said(content: Any, role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content}]}


OPENAI: list[dict[str, Any]] = [
    said([{"type": "image_url", "image_url": {"url": URL}}]),
    said([{"type": "image_url", "image_url": URL}]),
    said([{"type": "file", "file": {"file_id": "file-1"}}]),
    said([{"type": "file", "file": {"file_data": URL}}]),
    said([{"type": "video_url", "video_url": {"url": URL}}]),
    said("x", role="function"),
    {"tools": [{"type": "web_search"}]},
    {"tools": [{"type": "web_search_preview"}]},
    {"tools": [{"type": "mcp", "server_url": URL, "server_label": "x"}]},
    {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
    {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]},
    {"tools": [{"type": "custom", "custom": {"name": "x"}}]},
    {"tools": [{"type": "function", "function": {"name": "x", "url": URL}}]},
    {"tools": [{"name": "x"}]},
    {"tool_choice": {"type": "hosted_tool"}},
    {"web_search_options": {}},
    {"metadata": {"to": "evil"}},
    {"store": True},
    {"user": "evil"},
    {"safety_identifier": "evil"},
    {"service_tier": "priority"},
    {"modalities": ["text", "audio"]},
    {"audio": {"voice": "x", "format": "mp3"}},
    {"webhook_url": URL},
    {"callback": URL},
    {"plugins": [{"id": "web"}]},
    {"route": "fallback"},
    {"models": ["m", "n"]},
    {"transforms": []},
    {"extra_body": {}},
    {"stream_options": {"include_usage": True, "to": URL}},
    {"response_format": {"type": "url", "url": URL}},
    {"model": "gpt-search"},
    {"model": "m:online"},
    {"model": ["m"]},
    {"max_tokens": 1001},
    {"max_completion_tokens": 10**9},
    {"max_tokens": -1},
    {"max_tokens": 1.5},
    {"max_tokens": True},
    {"n": 17},
    {"n": 0},
]
ANTHROPIC: list[dict[str, Any]] = [
    said([{"type": "image", "source": {"type": "url", "url": URL}}]),
    said([{"type": "image", "source": {"type": "file", "file_id": "f"}}]),
    said([{"type": "image", "source": {"type": "base64", "data": "", "url": URL}}]),
    said([{"type": "document", "source": {"type": "url", "url": URL}}]),
    said([{"type": "container_upload", "file_id": "f"}]),
    said([{"type": "server_tool_use", "id": "1", "name": "web_search", "input": {}}]),
    said([{"type": "web_search_tool_result", "tool_use_id": "1", "content": []}]),
    said([{"type": "mcp_tool_use", "id": "1", "name": "x", "server_name": "y", "input": {}}]),
    said([{"type": "tool_result", "tool_use_id": "1",
           "content": [{"type": "image", "source": {"type": "url", "url": URL}}]}]),
    said([{"type": "document", "source": {"type": "content", "content": [
        {"type": "image", "source": {"type": "url", "url": URL}}]}}]),
    {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    {"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]},
    {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
    {"tools": [{"type": "bash_20250124", "name": "bash"}]},
    {"mcp_servers": [{"type": "url", "url": URL, "name": "x"}]},
    {"container": "c"},
    {"metadata": {"user_id": "evil"}},
    {"service_tier": "auto"},
    {"context_management": {}},
    {"tool_choice": {"type": "tool", "name": "x", "to": URL}},
    {"thinking": {"type": "enabled", "budget_tokens": 10, "to": URL}},
    {"system": [{"type": "image", "source": {"type": "base64", "data": ""}}]},
    {"model": "other"},
    {"max_tokens": 5000},
]  # fmt: skip


@pytest.mark.parametrize("extra", OPENAI)
def test_a_chat_with_more_than_is_listed_is_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(CredentialError):
        read("openai", CHAT_PATH, {**CHAT, **extra})


@pytest.mark.parametrize("extra", ANTHROPIC)
def test_a_message_with_more_than_is_listed_is_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(CredentialError):
        read("anthropic", MESSAGE_PATH, {**MESSAGES, **extra})


@pytest.mark.parametrize(
    "extra",
    [
        {"previous_response_id": "r"}, {"conversation": "c"}, {"background": True},
        {"store": True}, {"prompt": {"id": "p"}}, {"metadata": {}},
        {"tools": [{"type": "mcp", "server_label": "x", "server_url": URL}]},
        {"tools": [{"type": "web_search"}]}, {"tools": [{"type": "computer_use_preview"}]},
        {"tools": [{"type": "image_generation"}]}, {"tools": [{"type": "local_shell"}]},
        {"tools": [{"type": "file_search", "vector_store_ids": []}]},
        {"include": ["web_search_call.action.sources"]},
        {"input": [{"type": "item_reference", "id": "i"}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": URL}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": URL}]}]},
        {"input": [{"type": "function_call_output", "call_id": "1",
                    "output": [{"type": "input_image", "image_url": URL}]}]},
        {"input": [{"type": "mcp_approval_response", "approve": True}]},
    ],
)  # fmt: skip
def test_a_response_with_more_than_is_listed_is_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(CredentialError):
        read("openai", RESPONSES, {"model": "m", "input": "hi", **extra})


GOOD: list[tuple[str, str, dict[str, Any]]] = [
    ("openai", CHAT_PATH, said([
        {"type": "text", "text": "x"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
    ])),
    ("openai", CHAT_PATH, {"messages": [
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "x"},
    ]}),
    ("openai", CHAT_PATH, {"tools": [{"type": "function", "function": {
        "name": "f", "description": "d", "parameters": {"type": "object", "url": URL}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}}, "n": 2,
        "temperature": 0.5, "stop": ["x"], "response_format": {"type": "json_object"}}),
    ("openai", RESPONSES, {"input": [
        {"role": "user", "content": "x"},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "y"},
        {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "z"},
    ], "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": True}],
        "store": False, "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "low"}}),
    ("anthropic", MESSAGE_PATH, {"max_tokens": 9, "system": [{"type": "text", "text": "s",
        "cache_control": {"type": "ephemeral"}}], "thinking": {"type": "disabled"},
        "tools": [{"name": "f", "input_schema": {"type": "object"}, "type": "custom"}],
        "tool_choice": {"type": "auto"}, "temperature": 1, "top_k": 5}),
    ("anthropic", MESSAGE_PATH, {"max_tokens": 9, "messages": [
        {"role": "user", "content": [{"type": "image", "source": {
            "type": "base64", "media_type": "image/png", "data": "AA=="}}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "tool_use", "id": "1", "name": "f", "input": {"any": [URL]}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1",
                                      "content": [{"type": "text", "text": "x"}]}]},
    ]}),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "path", "body"), GOOD)
def test_inline_content_and_the_clients_own_tools_pass(
    shape: str, path: str, body: dict[str, Any]
) -> None:
    whole = {**({} if path == RESPONSES else CHAT), "model": "m", **body}
    order = read(shape, path, whole)
    sent = json.loads(order.sent)
    for key, value in whole.items():
        assert sent[key] == value


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"m","messages":[],"messages":[{"role":"user","content":"x"}]}',
        b'{"model":"m","messages":[],"model":"other"}', b"[]", b"null", b"", b"{", b"\xff",
        b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"model":"m","messages":[],"temperature":NaN}',
        b'{"model":"m","messages":[],"seed":123456789012345678901234567890}',
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_json_with_two_readings_is_refused(raw: bytes) -> None:
    with pytest.raises(CredentialError):
        read("openai", CHAT_PATH, raw)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/files"), ("GET", "/v1/files"), ("POST", "/v1/batches"),
        ("POST", "/v1/uploads"),
        ("POST", "/v1/assistants"), ("POST", "/v1/threads"), ("POST", "/v1/vector_stores"),
        ("GET", "/v1/responses/r1"), ("DELETE", "/v1/models/m"), ("POST", "/v1/fine_tuning/jobs"),
        ("POST", "/v1/images/generations"), ("POST", "/v1/chat/completions/"),
        ("POST", "/v1/chat/completions?x=1"), ("POST", "/v1//chat/completions"),
        ("POST", "/v1/x/../chat/completions"), ("POST", "/v1/chat%2Fcompletions"),
        ("GET", "/v1/chat/completions"), ("POST", "/v1/messages"), ("POST", "/v1/webhooks"),
        ("GET", "/v1/organization/usage"), ("POST", "/v1/realtime/sessions"), ("POST", "/"),
    ],
)  # fmt: skip
async def test_only_listed_endpoints_pass(tmp_path: Path, method: str, path: str) -> None:
    async with provider(KEY) as far:
        stage = ModelStage(tmp_path, far)
        async with stage.open():
            got = await stage.post(f"/model/openai{path}", json.dumps(CHAT).encode(), method=method)
        assert got.status == 400
        assert far.asked == []
    assert stage.ledger.records("decision") == []


@pytest.mark.parametrize(
    "target",
    [
        "/model/none/v1/models", "/sink/openai/v1/models", "/model/tickets/tickets", "/", "/model",
        "/model/", "/models/openai/v1/models", "//model/openai/v1/models", "/model//v1/models",
    ],
)  # fmt: skip
async def test_only_named_routes_exist(tmp_path: Path, target: str) -> None:
    async with provider(KEY) as far:
        stage = ModelStage(tmp_path, far)
        async with stage.open():
            assert code(await stage.post(target, b"", method="GET")) == "route.unknown"
        assert far.asked == []


@pytest.mark.parametrize("host", ["evil.test", "localhost.evil.test", "localhost:80@evil.test"])
async def test_a_route_is_not_answered_under_another_name(tmp_path: Path, host: str) -> None:
    """Whoever thinks that he speaks with another server shall hear so."""
    async with provider(KEY) as far:
        stage = ModelStage(tmp_path, far)
        async with stage.open():
            got = await stage.say(
                f"GET /model/openai/v1/models HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
            )
        assert (code(got), far.asked) == ("http.host", [])


async def test_no_header_of_the_agents_reaches_the_provider(tmp_path: Path) -> None:
    own = [
        "Authorization: Bearer mine", "X-Api-Key: mine", "OpenAI-Organization: mine",
        "OpenAI-Project: mine", "Cookie: a=mine", "anthropic-beta: mine", "X-Forwarded-For: mine",
        "OpenAI-Beta: mine", "Idempotency-Key: mine", "X-Custom: mine", "User-Agent: mine",
        "Accept: mine", "Referer: mine", "Nucleus-Credential: mine", "Proxy-Authorization: mine",
    ]  # fmt: skip
    async with provider(KEY) as far:
        stage = ModelStage(tmp_path, far)
        async with stage.open():
            assert (await stage.chat(*own)).status == 200
            assert (await stage.messages(*own)).status == 200
    for asked in far.asked:
        assert "mine" not in json.dumps(asked["headers"])


async def test_no_header_of_the_account_reaches_the_agent(tmp_path: Path) -> None:
    headers = {"openai-organization": "the-operator", "set-cookie": "x", "x-request-id": "r",
               "anthropic-organization-id": "the-operator"}  # fmt: skip
    async with provider(KEY, headers=headers) as far:
        stage = ModelStage(tmp_path, far)
        async with stage.open():
            got = await stage.chat()
    assert got.headers["x-request-id"] == "r"
    assert "the-operator" not in str(got.headers)
    assert "set-cookie" not in got.headers


async def test_a_redirect_of_the_provider_is_not_followed(tmp_path: Path) -> None:
    async with provider(KEY, status=302, headers={"Location": "http://evil.test/"}) as far:
        stage = ModelStage(tmp_path, far)
        async with stage.open():
            got = await stage.chat()
    assert (got.status, code(got)) == (502, "net.redirect")
    assert b"evil" not in got.raw


# Numbers that lie --------------------------------------------------------------------------------

LIMITED = (world.all_levels(), ["budget", "tokens", 100_000])


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": -5, "completion_tokens": -9},
        {"prompt_tokens": "0", "completion_tokens": None}, {"prompt_tokens": 0.0}, {},
        {"prompt_tokens": True, "completion_tokens": True},
    ],
)  # fmt: skip
async def test_a_provider_that_says_nothing_was_used(tmp_path: Path, usage: dict[str, Any]) -> None:
    async with provider(KEY, usage=usage, words=["x" * 3200]) as far:
        stage = ModelStage(tmp_path, far, ceil=LIMITED)
        async with stage.open():
            await stage.chat()
    assert stage.spent("tokens") >= 200  # a token has so many bytes at most


@pytest.mark.parametrize("number", [10**6, 2**40, 2**63, 10**30])
async def test_a_provider_that_says_everything_was_used(tmp_path: Path, number: int) -> None:
    usage = {"prompt_tokens": number, "completion_tokens": number}
    async with provider(KEY, usage=usage) as far:
        stage = ModelStage(tmp_path, far, ceil=LIMITED)
        async with stage.open():
            await stage.chat(max_tokens=10)
    # What was sent, what a provider may put around it, and what was asked for.
    assert stage.spent("tokens") <= 300 + model.OVERHEAD_TOKENS + 10


async def test_an_answer_longer_than_was_asked_for_is_cut(tmp_path: Path) -> None:
    async with provider(KEY, endless=True) as far:
        stage = ModelStage(tmp_path, far, ceil=LIMITED)
        async with stage.open():
            got = await stage.chat(stream=True, max_tokens=500)
    assert b"model.endless" in got.body
    assert stage.spent("tokens") <= 500 + 300 + model.OVERHEAD_TOKENS

"""Arguments that a header repeats (`Mcp-Param-*`): what a gateway went by is what is judged."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from nucleus_proxy.egress.httpd import Asked
from nucleus_proxy.http import repeated
from nucleus_proxy.wire import parse, spell
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.header import Holder
from tests.proxy import modern_server
from tests.proxy.http_served import Served
from tests.proxy.http_stage import META
from tests.proxy.matrix_servers import run_at
from tests.proxy.stage import PATIENCE
from tests.proxy.test_many_servers import HEAD, text
from tests.support import world
from tests.support.ports import free_port

SCHEMA = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "fast": {"type": "boolean", "x-mcp-header": "Fast"},
        "at": {"type": "object", "properties": {
            "zone": {"type": "string", "x-mcp-header": "Zone"}}},
        "rest": {"type": "string"},
    },
}  # fmt: skip
KNOWN = {"travel": repeated.declared(SCHEMA)}


def call(tool: str = "travel", new: bool = True, **arguments: Any) -> Any:
    params: dict[str, Any] = {"name": tool, "arguments": arguments}
    params |= {"_meta": META} if new else {}
    return parse(spell({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}))


def agrees(frame: Any, *headers: tuple[str, str]) -> bool:
    try:
        repeated.agree(Asked("POST", "/mcp", headers), KNOWN, frame)
    except CredentialError as error:
        return error.code != "http.mismatch"
    return True


def test_a_header_says_what_its_argument_says() -> None:
    region = ("mcp-param-region", "eu")
    assert agrees(call(region="eu"), region)
    assert agrees(call(region="eu", count=2), region, ("mcp-param-count", "2"))
    assert agrees(call(count=2), ("mcp-param-count", "2.0"))
    assert agrees(call(fast=True), ("mcp-param-fast", "true"))
    assert agrees(call(at={"zone": "z"}), ("mcp-param-zone", "z"))
    assert agrees(call(region="h\u00e9"), ("mcp-param-region", "=?base64?aMOp?="))
    assert agrees(call(rest="x", region=None))


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"region": "eu"}, [("region", "us")]),
        ({"region": "eu"}, []),
        ({}, [("region", "eu")]),
        ({"region": None}, [("region", "")]),
        ({"region": "eu"}, [("region", "eu"), ("region", "us")]),
        ({"region": "eu"}, [("region", "eu"), ("region", "eu")]),
        ({"region": "eu"}, [("region", "eu"), ("rest", "x")]),
        ({"region": "eu", "rest": "x"}, [("region", "eu"), ("rest", "x")]),
        ({"region": "eu"}, [("region", "EU")]),
        ({"region": "h\u00e9"}, [("region", "=?base64?aMOp!?=")]),
        ({"region": "=?base64?eA==?="}, [("region", "=?base64?eA==?=")]),
        ({"count": 1}, [("count", "true")]),
        ({"count": True}, [("count", "1")]),
        ({"count": 1}, [("count", "NaN")]),
        ({"count": 1}, [("count", "0x1")]),
        ({"fast": True}, [("fast", "True")]),
        ({"at": {"zone": "z"}}, [("zone", "y")]),
        ({"at": {"zone": "z"}}, []),
        ({"region": ["eu"]}, [("region", "eu")]),
    ],
)
def test_a_header_that_says_something_else_is_refused(
    arguments: dict[str, Any], headers: list[tuple[str, str]]
) -> None:
    given = [(f"mcp-param-{name}", value) for name, value in headers]
    assert not agrees(call(**arguments), *given)


def test_what_nobody_was_shown_repeats_nothing() -> None:
    assert not agrees(call("other", region="eu"), ("mcp-param-region", "eu"))
    assert agrees(call("other", region="eu"))
    listing = parse(spell({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))
    assert not agrees(listing, ("mcp-param-region", "eu"))


def test_before_that_revision_a_header_is_not_asked_for_and_holds() -> None:
    assert agrees(call(new=False, region="eu"))
    assert not agrees(call(new=False, region="eu"), ("mcp-param-region", "us"))


@pytest.mark.parametrize(
    "mark",
    [
        {"type": "string", "x-mcp-header": "a b"}, {"type": "string", "x-mcp-header": "a\r\nb: c"},
        {"type": "string", "x-mcp-header": ""}, {"type": "string", "x-mcp-header": 1},
        {"type": "number", "x-mcp-header": "N"}, {"type": ["string"], "x-mcp-header": "N"},
        {"x-mcp-header": "N"}, {"type": "string", "x-mcp-header": "REGION"},
        {"type": "string", "x-mcp-header": "x" * 129},
    ],
)  # fmt: skip
def test_a_schema_that_marks_one_wrongly_marks_none(mark: Any) -> None:
    schema = {"properties": {**SCHEMA["properties"], "n": mark}}  # type: ignore[dict-item]  # a table
    assert repeated.declared(schema) == {}


def test_a_value_breaks_no_header() -> None:
    made = repeated.said(KNOWN, call(region="a\r\nx: y", count=3, fast=False, rest="r"))
    assert dict(made) == {
        b"mcp-param-region": b"=?base64?YQ0KeDogeQ==?=", b"mcp-param-count": b"3",
        b"mcp-param-fast": b"false",
    }  # fmt: skip


def test_what_is_remembered_of_tools_is_bounded() -> None:
    known: dict[str, repeated.Declared] = {}
    for start in range(0, 3 * repeated.MOST_TOOLS, 512):
        tools = [{"name": f"t{start + n}", "inputSchema": SCHEMA} for n in range(512)]
        repeated.learn(known, {"tools": tools})
    assert len(known) == repeated.MOST_TOOLS
    repeated.learn(known, {"tools": [{"name": next(iter(known)), "inputSchema": {}}]})
    assert len(known) == repeated.MOST_TOOLS - 1


# The whole road -----------------------------------------------------------------------------------

Change = Callable[[Any], None]


@asynccontextmanager
async def travelling(change: Change) -> AsyncIterator[tuple[Served, Client]]:
    """The official client before the mediator before a server of the official library, both over
    HTTP; `change` sees each request that the client sends."""

    async def hook(request: Any) -> None:
        change(request.headers)

    port = free_port()
    policy = (
        f'{HEAD}[servers.new]\nurl = "http://127.0.0.1:{port}/mcp"\n'
        '[tools.new__travel]\noperation = "read_files"\npayload = ["/region", "/count", "/fast"]\n'
    )
    served = Served(policy, [port])
    command = [sys.executable, modern_server.__file__, str(port)]
    async with run_at(port, command), served.serving():
        token = world.text(served.stage.token(holder=Holder(None, None)))
        headers = {"authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(
            headers=headers, timeout=PATIENCE, event_hooks={"request": [hook]}
        ) as web:
            road = streamable_http_client(f"http://127.0.0.1:{served.port}/mcp", http_client=web)
            async with Client(road, mode="auto", read_timeout_seconds=PATIENCE) as client:
                yield served, client


async def test_headers_travel_from_the_client_and_to_the_server() -> None:
    seen: list[str] = []

    def look(headers: Any) -> None:
        seen.extend(name.lower() for name in headers if name.lower().startswith("mcp-param-"))

    async with travelling(look) as (served, client):
        await client.list_tools()
        done = await client.call_tool("new__travel", {"region": "h\u00e9", "count": 2})
        assert text(done) == "2 to h\u00e9"
    assert sorted(seen) == ["mcp-param-count", "mcp-param-region"]
    served.stage.verified()


async def test_a_call_that_says_two_things_is_neither_judged_nor_made() -> None:
    def lie(headers: Any) -> None:
        if "mcp-param-region" in headers:
            headers["mcp-param-region"] = "us"

    async with travelling(lie) as (served, client):
        await client.list_tools()
        with pytest.raises(MCPError) as refused:
            await client.call_tool("new__travel", {"region": "eu"})
        assert refused.value.code == -32020
    assert served.stage.ledger.records("decision") == []

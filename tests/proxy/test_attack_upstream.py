"""A server behind HTTP that is hostile, or is not who it should be: what it gets, and what it can
make of an answer. The server is a raw one of our own, on a real port."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nucleus_proxy.egress.dial import SYSTEM_ROOTS, Connection, Dialer, Private, client_tls
from nucleus_proxy.egress.resolving import PinnedResolver
from nucleus_proxy.egress.secrets import Credential, Secret
from nucleus_proxy.http.upstream import Upstream
from nucleus_proxy.servers import ServerSpec
from nucleus_tokens.errors import CredentialError
from tests.proxy.stage import until, within

SECRET = "the-proxys-own-secret"
NEW = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Far:
    """What came in, and what goes back: a function from (method, headers, body) to bytes."""

    def __init__(self, answer: Callable[[str, dict[str, str], Any], bytes]) -> None:
        self.answer = answer
        self.got: list[tuple[str, dict[str, str], Any]] = []
        self.port = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            fields = {
                k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(fields.get("content-length", 0)))
            asked = (head[0].split()[0], fields, json.loads(body) if body else None)
            self.got.append(asked)
            writer.write(self.answer(*asked))
            await writer.drain()
        finally:
            writer.close()


def whole(value: Any, status: str = "200 OK", *more: str) -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    lines = [f"HTTP/1.1 {status}", "content-type: application/json",
             f"content-length: {len(body)}", "connection: close", *more, "", ""]  # fmt: skip
    return "\r\n".join(lines).encode() + body


def stream(*events: str, cut: bool = False) -> bytes:
    body = "".join(events).encode()
    lines = ["HTTP/1.1 200 OK", "content-type: text/event-stream", "connection: close"]
    if cut:  # it says that more comes
        lines.append(f"content-length: {len(body) + 100}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def answered(number: Any, result: Any) -> Any:
    return {"jsonrpc": "2.0", "id": number, "result": result}


@asynccontextmanager
async def facing(
    answer: Callable[[str, dict[str, str], Any], bytes], *, known: bool = True
) -> AsyncIterator[tuple[Far, Upstream, list[str]]]:
    far = Far(answer)
    server = await asyncio.start_server(far.connected, "127.0.0.1", 0)
    far.port = server.sockets[0].getsockname()[1]
    private = [Private("127.0.0.1", far.port, "127.0.0.1")] if known else []
    dialer = Dialer(resolver=PinnedResolver({}), tls=client_tls(SYSTEM_ROOTS), private=private)
    credential = Credential("authorization", "Bearer ", Secret("s", SECRET.encode()))
    spec = ServerSpec(
        url=f"http://127.0.0.1:{far.port}/mcp",
        headers={"x-team": "ours"},
        credentials=(credential,),
    )
    log: list[str] = []
    near = Upstream(spec, dialer, log.append)
    try:
        yield far, near, log
    finally:
        await near.stop()
        server.close()


def send(near: Upstream, number: Any, method: str, params: Any) -> None:
    value = {"jsonrpc": "2.0", "method": method, "params": params}
    if number is not None:
        value["id"] = number
    near.write(json.dumps(value).encode() + b"\n")


async def hear(near: Upstream) -> Any:
    return json.loads(await within(near.reader.readline()))


async def test_it_is_sent_its_own_credential_and_headers_that_say_what_the_body_says() -> None:
    async with facing(lambda _m, _h, body: whole(answered(body["id"], {}))) as (far, near, _):
        name = "s\u00e9nd\r\nx: y"
        send(near, 1, "tools/call", {"name": name, "arguments": {}, "_meta": NEW})
        assert await hear(near) == answered(1, {})
        method, headers, body = far.got[0]
        assert (method, headers["authorization"]) == ("POST", f"Bearer {SECRET}")
        assert headers["mcp-method"] == "tools/call"
        assert headers["mcp-protocol-version"] == "2026-07-28"
        assert headers["mcp-name"].startswith("=?base64?")
        assert body["params"]["name"] == name
        expected = {"host", "accept", "accept-encoding", "user-agent", "x-team", "authorization",
                    "content-type", "mcp-method", "mcp-name", "mcp-protocol-version",
                    "connection", "content-length"}  # fmt: skip
        assert set(headers) == expected


async def test_its_secret_does_not_come_back() -> None:
    echo = {"content": [{"type": "text", "text": f"you sent Bearer {SECRET}"}]}
    async with facing(lambda _m, _h, body: whole(answered(body["id"], echo))) as (_, near, _log):
        send(near, 1, "tools/call", {"name": "x", "arguments": {}, "_meta": NEW})
        assert SECRET not in json.dumps(await hear(near))


async def test_an_answer_on_the_stream_of_another_request_is_nobodys() -> None:
    def answer(_m: str, _h: dict[str, str], body: Any) -> bytes:
        forged = [answered(n, "forged") for n in (body["id"] + 1, str(body["id"]), 99)]
        said = [*forged, answered(body["id"], "mine"), answered(body["id"], "again")]
        return stream(*(f"data: {json.dumps(each)}\n\n" for each in said))

    async with facing(answer) as (_, near, log):
        for number in (1, 2):
            send(near, number, "tools/list", {"_meta": NEW})
        heard = [await hear(near) for _ in range(2)]
        assert sorted(each["id"] for each in heard) == [1, 2]
        assert all(each["result"] == "mine" for each in heard)
        await until(lambda: len(log) >= 6, "the forged answers in the log")


@pytest.mark.parametrize(
    "reply",
    [
        whole(b"", "302 Found", "location: http://127.0.0.1:1/"),
        whole(b"", "401 Unauthorized"),
        whole(b"<html>", "200 OK"),
        whole(b"[]", "200 OK"),
        whole(b'{"jsonrpc":"2.0","id":1,"id":1,"result":{}}'),
        whole(b"x" * 100, "500 Sorry"),
        stream("data: not json\n\n"),
        stream(": nothing\n\n"),
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"garbage\r\n\r\n",
        b"",
    ],
)
async def test_what_is_no_answer_is_an_error_of_this_request_alone(reply: bytes) -> None:
    def answer(_m: str, _h: dict[str, str], body: Any) -> bytes:
        return reply if body["id"] == 1 else whole(answered(body["id"], {}))

    async with facing(answer) as (far, near, _):
        send(near, 1, "tools/list", {"_meta": NEW})
        got = await hear(near)
        assert got["id"] == 1
        assert got["error"]["code"] in (-32000, -32600, -32700)
        send(near, 2, "tools/list", {"_meta": NEW})
        assert await hear(near) == answered(2, {})
        assert len(far.got) == 2


async def test_a_private_address_that_nobody_excepted_is_not_dialed() -> None:
    async with facing(lambda *_: whole({}), known=False) as (far, near, _):
        send(near, 1, "tools/list", {"_meta": NEW})
        assert "net.address" in (await hear(near))["error"]["message"]
        assert far.got == []
    with pytest.raises(CredentialError):
        Upstream(ServerSpec(url="http://user@host/mcp"), near._dialer, print)


def _old(events: Callable[[Any], bytes], again: bytes) -> Callable[..., bytes]:
    """A server of the old era with a session."""

    def answer(method: str, headers: dict[str, str], body: Any) -> bytes:
        if method == "DELETE":
            return whole(b"")
        if method == "GET":
            return again if "last-event-id" in headers else whole(b"", "405 No")
        if body["method"] == "initialize":
            result = {"protocolVersion": "2025-11-25", "capabilities": {}}
            return whole(answered(body["id"], result), "200 OK", "mcp-session-id: s1")
        return events(body) if "id" in body else whole(b"", "202 Accepted")

    return answer


async def test_a_session_is_named_taken_up_where_it_broke_and_ended() -> None:
    def events(body: Any) -> bytes:
        told = {
            "jsonrpc": "2.0",
            "method": "notifications/progress",
            "params": {"progressToken": 1},
        }
        return stream(f"retry: 1\nid: e7\ndata: {json.dumps(told)}\n\n", cut=True)

    again = stream(f"id: e8\ndata: {json.dumps(answered(2, 'late'))}\n\n")
    async with facing(_old(events, again)) as (far, near, _):
        send(near, 1, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}})
        assert (await hear(near))["id"] == 1
        send(near, None, "notifications/initialized", {})
        send(near, 2, "tools/call", {"name": "x", "arguments": {}})
        assert (await hear(near))["method"] == "notifications/progress"
        assert await hear(near) == answered(2, "late")
    for method, headers, body in far.got[1:]:
        assert headers["mcp-session-id"] == "s1", (method, body)
        assert headers["mcp-protocol-version"] == "2025-11-25"
    resumed = [h["last-event-id"] for m, h, _ in far.got if m == "GET" and "last-event-id" in h]
    assert resumed == ["e7"]
    assert far.got[-1][0] == "DELETE"


async def test_nothing_is_asked_before_somebody_hears_what_the_server_wants_to_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A question that a server has while there is no stream is lost, and its call waits for it."""
    dialled: list[str] = []
    numbers = itertools.count()
    dial = Dialer.dial

    async def slow(self: Dialer, *where: Any, **how: Any) -> Connection:
        number = next(numbers)
        dialled.append(f"{number} begins")
        for _ in range(100):
            await asyncio.sleep(0)  # whoever may go on does
        dialled.append(f"{number} ends")
        return await dial(self, *where, **how)

    monkeypatch.setattr(Dialer, "dial", slow)
    answer = _old(lambda body: whole(answered(body["id"], {})), b"")
    async with facing(answer) as (far, near, _):
        send(near, 1, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}})
        send(near, None, "notifications/initialized", {})
        send(near, 2, "tools/call", {"name": "x", "arguments": {}})
        assert [(await hear(near))["id"] for _ in range(2)] == [1, 2]
        assert [method for method, _, _ in far.got] == ["POST", "POST", "GET", "POST"]
    assert dialled[:8] == [f"{n} {what}" for n in range(4) for what in ("begins", "ends")]


async def test_in_the_new_era_a_request_is_taken_back_by_ending_its_connection() -> None:
    gone, begun = asyncio.Event(), asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        begun.set()
        while await reader.read(65536):
            pass
        gone.set()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    private = [Private("127.0.0.1", port, "127.0.0.1")]
    dialer = Dialer(resolver=PinnedResolver({}), tls=client_tls(SYSTEM_ROOTS), private=private)
    near = Upstream(ServerSpec(url=f"http://127.0.0.1:{port}/mcp"), dialer, print)
    try:
        send(near, 1, "tools/call", {"name": "x", "arguments": {}, "_meta": NEW})
        await within(begun.wait())
        send(near, None, "notifications/cancelled", {"requestId": 1})
        await within(gone.wait())
    finally:
        await near.stop()
        server.close()

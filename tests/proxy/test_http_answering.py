"""What goes to one request over HTTP: all that was said to it, whenever it came."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nucleus_proxy import wire
from nucleus_proxy.egress.httpd import HEAD_BYTES, Client
from nucleus_proxy.http import answering
from nucleus_proxy.http.sessions import Session
from nucleus_proxy.http.streams import Streams
from tests.proxy.stage import within

TOLD = wire.notification("notifications/message", {"level": "info", "data": "nearly done"})
ANSWER = wire.result(7, {"content": []})


async def given(*lines: bytes) -> tuple[str, list[Any]]:
    """The type and the messages of an answer, of which all is there before somebody looks."""
    session = Session("s", b"", Streams(print, renamed=False))
    request = wire.request(7, "tools/call", {"name": "x", "arguments": {}})
    stream, _ = session.streams.opened(wire.parse(request))
    stream.readers += 1
    for line in lines:
        session.streams.write(line)
    stream.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(reader, writer)
        await client.next()
        await client.body(0)
        await answering.give(client, session, stream, 0, ())
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0, limit=HEAD_BYTES) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n")
        head, _, body = (await within(reader.read())).decode().partition("\r\n\r\n")
        writer.close()
    said = (line.removeprefix("data: ") for line in body.splitlines())
    kind = head.lower().partition("content-type: ")[2].splitlines()[0]
    return kind, [json.loads(line) for line in said if line.startswith("{")]


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ((ANSWER,), "application/json"),
        # A server behind HTTP says one on the stream of its session, and the other on the call's.
        ((TOLD, ANSWER), "text/event-stream"),
        # The session ended first: what was said is no answer.
        ((TOLD,), "text/event-stream"),
    ],
)
async def test_an_answer_is_one_value_only_where_nothing_else_was_said(
    lines: tuple[bytes, ...], kind: str
) -> None:
    assert await given(*lines) == (kind, [json.loads(line) for line in lines])

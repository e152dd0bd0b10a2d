"""A server answers hugely, or in characters that grow when they are spelled anew: its client hears
that it did, the trace says what came of the call, and nobody else is ended or left waiting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nucleus_proxy import wire
from nucleus_proxy.http.streams import Streams
from nucleus_proxy.live import Live
from nucleus_proxy.pinning import Origin
from nucleus_proxy.relay import Relay
from nucleus_proxy.switchboard import Switchboard
from nucleus_proxy.wire import FRAME_BYTES
from tests.proxy.stage import Stage, counted, until, within
from tests.proxy.test_attack_many_servers import HELLO, Played
from tests.proxy.test_attack_upstream import _old as old
from tests.proxy.test_attack_upstream import answered, facing, hear, send, stream, whole
from tests.support import world

POLICY = """
version = 1
[wall]
id = "test"
shows = []
[methods]
open = ["resources/list"]
[tools.good__x]
operation = "read_files"
[tools.bad__x]
operation = "read_files"
"""
LATIN = "\u4e2d" * (FRAME_BYTES // 6)  # 4 MiB; three bytes of a character became six of ASCII
GROWS = "\x85" * (FRAME_BYTES // 4)  # 4 MiB that no reader of lines may meet: it is 12 MiB escaped


def text(said: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": said}]}


class Joined:
    """A relay before a switchboard with the servers `good` and `bad`; `client` is its client."""

    def __init__(self) -> None:
        self.stage = Stage(POLICY)
        self.token = world.text(self.stage.token(world.levels(read_files="always")))
        self.log: list[str] = []
        self.said: list[bytes] = []
        self.good, self.bad = Played(), Played()
        self.input = asyncio.StreamReader(limit=FRAME_BYTES + 1)

    # A starter, and the client's end of the line.
    needs_authority = False
    key = cwd = lambda self, *_: "/"

    def origin(self, tool: str) -> tuple[Origin, str]:
        return Origin(""), tool

    @asynccontextmanager
    async def started(self, _: Any) -> AsyncIterator[Switchboard]:
        board = Switchboard(self.log.append, counted())
        board.add("good", self.good)
        board.add("bad", self.bad)
        yield board
        await board.stop()

    def write(self, data: bytes) -> None:
        self.said.append(data)

    async def drain(self) -> None: ...

    def close(self) -> None: ...

    def ask(self, number: int, method: str, params: Any) -> None:
        value = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self.input.feed_data(json.dumps(value, ensure_ascii=False).encode() + b"\n")

    async def answer(self, number: int) -> Any:
        def found() -> Any:
            said = [json.loads(line) for line in self.said]
            return next((m for m in said if m.get("id") == number and "method" not in m), None)

        got = await until(found, f"the answer to {number}")
        assert all(len(line) <= FRAME_BYTES + 1 for line in self.said)
        return got

    async def call(self, number: int, server: Played, result: Any, **args: Any) -> Any:
        """Call a server's tool, that answers this."""
        name = "good__x" if server is self.good else "bad__x"
        before = len(server.got)
        self.ask(number, "tools/call", {"name": name, "arguments": args})
        asked = await until(
            lambda: next((m for m in server.got[before:] if m["method"] == "tools/call"), None)
        )
        server.say(line(asked["id"], result))
        return await self.answer(number)


def line(number: Any, result: Any) -> bytes:
    value = answered(number, result)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@asynccontextmanager
async def joined() -> AsyncIterator[Joined]:
    at = Joined()
    live = Live(poll_seconds=0.01)
    relay = Relay(
        reader=at.input, writer=at, starter=at, live=live, mediator=at.stage.mediator,
        held=at.token, draw=at.stage.draw, log=at.log.append, grace=0.5,
    )  # fmt: skip
    running = asyncio.create_task(relay.run())
    async with live.watching():
        at.ask(0, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}})
        for server in (at.good, at.bad):
            server.answer(await server.asked("initialize"), HELLO)
        await at.answer(0)
        at.ask(-1, "tools/list", {})
        for server in (at.good, at.bad):
            server.answer(await server.asked("tools/list"), {"tools": [{"name": "x"}]})
        assert len((await at.answer(-1))["result"]["tools"]) == 2
        yield at
        at.input.feed_eof()
        await within(running)


async def test_a_text_of_any_script_passes_and_takes_no_more_than_it_is() -> None:
    async with joined() as at:
        got = await at.call(1, at.bad, text(LATIN))
        assert got["result"]["content"] == text(LATIN)["content"]
        assert at.stage.ledger.records("outcome")[-1]["ok"] is True


async def test_an_answer_that_grows_too_large_is_an_error_of_its_call_alone() -> None:
    async with joined() as at:
        waiting = asyncio.create_task(at.call(1, at.good, text("mine")))
        got = await at.call(2, at.bad, text(GROWS))
        assert got["result"]["isError"] is True
        assert got["result"]["_meta"]["nucleus/refusal"]["code"] == "answer.too_large"
        # The tool had done it: that is what is on record.
        assert [r["ok"] for r in at.stage.ledger.records("outcome")] == [True, True]
        assert (await waiting)["result"]["content"] == text("mine")["content"]
        for number, server in enumerate((at.good, at.bad), 3):
            assert "result" in await at.call(number, server, text("again"))
        assert not at.good.killed
        assert not at.bad.killed
    at.stage.verified()


@pytest.mark.parametrize("method", ["tools/list", "resources/list"])
async def test_a_list_that_is_too_large_is_an_error_and_ends_nobody(method: str) -> None:
    kind = method.partition("/")[0]
    async with joined() as at:
        at.good.got.clear()
        at.bad.got.clear()
        at.ask(1, method, {})
        for server in (at.good, at.bad):
            item = {"name": "x", "uri": "x:y", "description": "d" * (FRAME_BYTES - 1000)}
            server.answer(await server.asked(method), {kind: [item]})
        assert "answer.too_large" in (await at.answer(1))["error"]["message"]
        assert "result" in await at.call(2, at.good, text("again"))


async def test_a_line_that_cannot_be_read_ends_its_server_alone() -> None:
    async with joined() as at:
        got = await at.call(1, at.bad, text("x" * FRAME_BYTES))
        assert "wire.too_large" in got["error"]["message"]
        assert at.stage.ledger.records("outcome")[-1]["ok"] is False
        assert at.bad.killed
        assert not at.good.killed
        at.good.got.clear()
        again = asyncio.create_task(at.call(2, at.good, text("again")))
        # What was one list is another one now.
        at.good.answer(await at.good.asked("tools/list"), {"tools": [{"name": "x"}]})
        assert "result" in await again


@pytest.mark.parametrize("over", [0, 1])
async def test_an_answer_of_just_the_most_bytes_is_not_lost(over: int) -> None:
    async with joined() as at:
        at.ask(1, "tools/call", {"name": "bad__x", "arguments": {}})
        asked = await at.bad.asked("tools/call")
        rest = FRAME_BYTES + over - len(line(asked["id"], text("")))
        at.bad.say(line(asked["id"], text("x" * rest)))
        got = (await at.answer(1))["result"]
        if over:
            assert got["_meta"]["nucleus/refusal"]["code"] == "answer.too_large"
        else:
            assert got == text("x" * rest)


async def test_what_grows_on_the_way_to_a_server_is_not_lost() -> None:
    async with joined() as at:
        args = {"x": GROWS[:-100]}
        at.ask(1, "tools/call", {"name": "bad__x", "arguments": args, "_meta": {"not": "for it"}})
        asked = await at.bad.asked("tools/call")
        assert asked["params"] == {"name": "x", "arguments": args}
        at.bad.answer(asked, text("done"))
        assert "result" in await at.answer(1)


@pytest.mark.parametrize("renamed", [False, True])
def test_over_http_no_answer_is_dropped_for_its_size(renamed: bool) -> None:
    log: list[str] = []
    streams = Streams(log.append, renamed=renamed)
    asked = wire.parse(wire.request(7, "tools/call", {"name": "x", "arguments": {}}))
    opened, raw = streams.opened(asked)
    number = json.loads(raw)["id"]
    streams.write(line(number, text(GROWS + GROWS + "x")) + b"\n")
    assert log == []
    assert opened.answer is not None
    assert json.loads(opened.answer) == answered(7, text(GROWS + GROWS + "x"))


@pytest.mark.parametrize("times", [1, 3])
async def test_an_event_that_is_too_large_is_an_error_of_its_request_at_once(times: int) -> None:
    """Its server would be asked for it again, as for what a broken stream had still to say."""
    told = f"retry: 1\nid: e1\ndata: {{}}\n\nid: e2\ndata: {'x' * (times * FRAME_BYTES + 1)}\n\n"
    answer = old(lambda _: stream(told, cut=True), stream(told))
    async with facing(answer) as (far, near, _):
        send(near, 1, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}})
        assert (await hear(near))["id"] == 1
        send(near, 2, "tools/call", {"name": "x", "arguments": {}})
        got = await hear(near)
        assert got["id"] == 2
        assert "net.too_large" in got["error"]["message"]
        assert [method for method, _, _ in far.got] == ["POST", "POST"]


async def test_what_grows_on_the_way_to_a_server_behind_http_is_not_lost() -> None:
    async with facing(lambda _m, _h, body: whole(answered(body["id"], {}))) as (far, near, _):
        params = {"name": "x", "arguments": {"x": GROWS}}
        send(near, 1, "tools/call", params)  # it is spelled in ASCII there
        assert await hear(near) == answered(1, {})
        assert far.got[0][2]["params"] == params

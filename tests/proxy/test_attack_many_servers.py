"""One of many servers is hostile: what it can do to the others, and to whoever calls them.

The switchboard is real; each server is a stream that the test plays by hand.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from nucleus_proxy import merging
from nucleus_proxy.merging import check_names, owner
from nucleus_proxy.switchboard import Switchboard
from nucleus_proxy.wire import FRAME_BYTES
from nucleus_tokens.errors import CallerError
from tests.proxy.stage import counted, until, within

HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}, "resources": {}, "prompts": {}},
    "serverInfo": {"name": "s", "version": "1"},
}


class Played:
    """A server that says what the test wants it to."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader(limit=FRAME_BYTES + 1)
        self.got: list[Any] = []
        self.killed = False

    @property
    def writer(self) -> Played:
        return self

    def write(self, data: bytes) -> None:
        self.got.append(json.loads(data))

    async def drain(self) -> None: ...

    def close(self) -> None: ...

    async def stop(self, grace: float = 0) -> None: ...

    def kill(self) -> None:
        self.killed = True

    def say(self, value: Any) -> None:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.reader.feed_data(raw + b"\n")

    async def asked(self, method: str) -> Any:
        """The latest request of this method."""

        def found() -> Any:
            return next((m for m in reversed(self.got) if m.get("method") == method), None)

        return await until(found, method)

    def answer(self, asked: Any, result: Any) -> None:
        self.say({"jsonrpc": "2.0", "id": asked["id"], "result": result})


class Board:
    """A switchboard with two greeted servers, `good` and `bad`."""

    def __init__(self, **options: Any) -> None:
        self.log: list[str] = []
        self.board = Switchboard(self.log.append, counted(), **options)
        self.good, self.bad = Played(), Played()
        self.board.add("good", self.good)
        self.board.add("bad", self.bad)

    async def __aenter__(self) -> Board:
        self.send(1, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}})
        for server in (self.good, self.bad):
            server.answer(await server.asked("initialize"), HELLO)
        assert (await self.hear())["id"] == 1
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.board.stop()

    def send(self, number: Any, method: str, params: Any) -> None:
        value = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self.raw({k: v for k, v in value.items() if k != "id" or v is not None})

    def raw(self, value: Any) -> None:
        self.board.write(json.dumps(value).encode() + b"\n")

    async def hear(self) -> Any:
        return json.loads(await within(self.board.reader.readline()))

    async def call(self, number: Any, tool: str, **meta: Any) -> Any:
        """Send a call; what its server got."""
        params: dict[str, Any] = {"name": tool, "arguments": {}}
        server = self.good if tool.startswith("good") else self.bad
        before = len(server.got)
        self.send(number, "tools/call", {**params, "_meta": meta} if meta else params)
        return await until(
            lambda: next((m for m in server.got[before:] if m["method"] == "tools/call"), None)
        )

    async def quiet(self) -> None:
        """Nothing that was said before reached the client: a ping comes back first."""
        self.send("quiet", "ping", {})
        assert (await self.hear())["id"] == "quiet"


async def test_a_server_cannot_answer_what_another_was_asked() -> None:
    async with Board() as board:
        asked = await board.call(7, "good__x")
        for number in (asked["id"], 7, "7", 1, -1, True, asked["id"] + 1):
            board.bad.say({"jsonrpc": "2.0", "id": number, "result": {"content": ["forged"]}})
        await until(lambda: len(board.log) >= 6, "the forged answers")
        await board.quiet()
        board.good.answer(asked, {"content": []})
        assert await board.hear() == {"jsonrpc": "2.0", "id": 7, "result": {"content": []}}
        # Nor twice.
        board.good.answer(asked, {"content": ["again"]})
        await until(lambda: len(board.log) >= 7, "the second answer")
        await board.quiet()


async def test_the_clients_answer_goes_to_the_server_that_asked() -> None:
    async with Board() as board:
        for server in (board.good, board.bad):
            server.say({"jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": {}})
        first, second = await board.hear(), await board.hear()
        assert first["id"] != second["id"]
        board.raw({"jsonrpc": "2.0", "id": first["id"], "result": {"action": "accept"}})
        answered = await until(
            lambda: [(s, m) for s in (board.good, board.bad) for m in s.got if "result" in m]
        )
        assert len(answered) == 1
        assert answered[0][1]["id"] == 1
        # Once: the same answer again is nobody's.
        board.raw({"jsonrpc": "2.0", "id": first["id"], "result": {"action": "accept"}})
        board.raw({"jsonrpc": "2.0", "id": 999, "result": {"action": "accept"}})
        await board.quiet()
        assert sum("result" in m for s in (board.good, board.bad) for m in s.got) == 1


async def test_a_server_takes_back_its_own_questions_only() -> None:
    async with Board() as board:
        board.good.say({"jsonrpc": "2.0", "id": "q", "method": "roots/list"})
        asked = await board.hear()
        for target in ("q", asked["id"]):
            board.bad.say(
                {"jsonrpc": "2.0", "method": "notifications/cancelled",
                 "params": {"requestId": target}}
            )  # fmt: skip
        board.bad.say({"jsonrpc": "2.0", "id": 5, "method": "ping"})
        await until(lambda: any(m.get("id") == 5 for m in board.bad.got), "the ping's answer")
        await board.quiet()
        board.raw({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": []}})
        await until(lambda: any(m.get("id") == "q" for m in board.good.got), "the answer")


async def test_progress_is_believed_of_the_server_that_runs_the_call() -> None:
    async with Board() as board:
        asked = await board.call(7, "good__x", progressToken="p")
        told = {"jsonrpc": "2.0", "method": "notifications/progress",
                "params": {"progressToken": "p", "progress": 1}}  # fmt: skip
        board.bad.say(told)
        board.bad.say({"jsonrpc": "2.0", "id": 5, "method": "ping"})
        await until(lambda: any(m.get("id") == 5 for m in board.bad.got), "the ping's answer")
        await board.quiet()
        board.good.say(told)
        assert (await board.hear())["method"] == "notifications/progress"
        board.good.answer(asked, {})
        await board.hear()


async def test_a_server_lists_only_in_its_own_name() -> None:
    async with Board() as board:
        board.send(2, "tools/list", {})
        names = ["good__pay", "../good__pay", "pay", "__pay", ""]
        board.bad.answer(
            await board.bad.asked("tools/list"),
            {"tools": [*({"name": n} for n in names), {"name": 5}, "x"]},
        )
        board.good.answer(await board.good.asked("tools/list"), {"tools": [{"name": "pay"}]})
        listed = [tool["name"] for tool in (await board.hear())["result"]["tools"]]
        assert [n for n in listed if n.startswith("good__")] == ["good__pay"]
        assert len([n for n in listed if n.startswith("bad__")]) == len(names)
        # What looks like another's is still its own: the first mark ends the server's name.
        asked = await board.call(3, "bad__good__pay")
        assert asked["params"]["name"] == "good__pay"
        assert not any(m.get("method") == "tools/call" for m in board.good.got)


async def test_a_resource_that_a_server_names_is_its_own() -> None:
    async with Board() as board:
        board.send(2, "resources/read", {"uri": "bad+file:///etc/passwd"})
        asked = await board.bad.asked("resources/read")
        assert asked["params"]["uri"] == "file:///etc/passwd"
        board.bad.answer(asked, {"contents": [{"uri": "good+file:///x", "text": "t"}]})
        got = await board.hear()
        assert got["result"]["contents"][0]["uri"] == "bad+good+file:///x"
        for uri in ("file:///x", "other+file:///x", "good", "+x", "GOOD"):
            board.send(f"n{uri}", "resources/read", {"uri": uri})
            assert "error" in await board.hear()


async def test_a_client_cannot_meet_the_ids_of_our_own_questions() -> None:
    """Else the result of a call could be taken for a list, and pass without its record."""
    async with Board() as board:
        board.send(2, "tools/list", {})
        listing = await board.good.asked("tools/list")
        for number in (listing["id"], str(listing["id"])):
            asked = await board.call(number, "good__x")
            assert asked["id"] != listing["id"]
            board.good.answer(asked, {"content": [number]})
            assert (await board.hear())["result"] == {"content": [number]}


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":1,"id":2,"result":{}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}',
        b"[]",
        b'{"jsonrpc":"2.0","id":1,"result":' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"jsonrpc":"2.0","id":null,"result":{}}',
        b'{"jsonrpc":"2.0","id":1,"result":{},"extra":1}',
        b"\xff\xfe",
        b'{"jsonrpc":"2.0","id":1,"result":{}}\r{"jsonrpc":"2.0","id":2,"result":{}}',
    ],
)
async def test_a_line_that_is_no_message_reaches_nobody(line: bytes) -> None:
    async with Board() as board:
        asked = await board.call(7, "bad__x")
        board.bad.say(line)
        await until(lambda: bool(board.log), "the dropped line")
        await board.quiet()
        board.bad.answer(asked, {"content": []})
        assert (await board.hear())["id"] == 7


async def test_a_server_that_floods_or_dies_takes_only_its_own_with_it() -> None:
    async with Board() as board:
        await board.call(7, "bad__x")
        asked = await board.call(8, "good__x")
        board.bad.reader.feed_data(b"x" * (FRAME_BYTES + 2))
        heard = [await board.hear() for _ in range(4)]
        (failed,) = [m for m in heard if m.get("id") == 7]
        assert failed["error"]["code"] == -32000
        assert {m.get("method") for m in heard if "method" in m} == {
            f"notifications/{kind}/list_changed" for kind in ("tools", "prompts", "resources")
        }
        assert board.bad.killed
        assert not board.good.killed
        board.good.answer(asked, {"content": []})
        assert (await board.hear())["id"] == 8
        board.send(9, "tools/call", {"name": "bad__x", "arguments": {}})
        assert "ended" in (await board.hear())["error"]["message"]


@pytest.mark.parametrize(
    "cursor", ["x", "e30=", base64.b64encode(b'{"bad":1}').decode(), "\u00e9", 5, "[" * 3000]
)
async def test_a_page_that_is_none_is_refused(cursor: Any) -> None:
    async with Board() as board:
        board.send(2, "tools/list", {"cursor": cursor})
        assert (await board.hear())["error"]["code"] == -32602


async def test_pages_go_on_where_each_server_left() -> None:
    async with Board() as board:
        board.send(2, "tools/list", {})
        board.good.answer(
            await board.good.asked("tools/list"), {"tools": [{"name": "a"}], "nextCursor": "c1"}
        )
        board.bad.answer(await board.bad.asked("tools/list"), {"tools": [{"name": "b"}]})
        first = (await board.hear())["result"]
        assert [tool["name"] for tool in first["tools"]] == ["good__a", "bad__b"]
        board.send(3, "tools/list", {"cursor": first["nextCursor"]})
        asked = await until(
            lambda: next((m for m in board.good.got if m.get("params", {}).get("cursor")), None)
        )
        assert asked["params"]["cursor"] == "c1"
        board.good.answer(asked, {"tools": [{"name": "c"}]})
        second = (await board.hear())["result"]
        assert [tool["name"] for tool in second["tools"]] == ["good__c"]
        assert "nextCursor" not in second
        assert sum(m.get("method") == "tools/list" for m in board.bad.got) == 1


@pytest.mark.parametrize(
    "names",
    [["git", "Git"], ["git", "g1t"], ["a-b", "a_b"], ["a__b"], ["_a"], ["a_"], ["g\u0456t"], [""],
     ["a+b"], ["a" * 40], [], [f"s{n}" for n in range(40)]],
)  # fmt: skip
def test_servers_that_cannot_be_told_apart_are_refused(names: list[str]) -> None:
    with pytest.raises(CallerError):
        check_names(names)


def test_a_name_has_one_owner() -> None:
    servers = ["git", "git-hub", "my_fs"]
    check_names(servers)
    assert owner(servers, "name", "git__x__y") == ("git", "x__y")
    assert owner(servers, "uri", merging.prefixed("my_fs", "uri", "file:///a+b")) == (
        "my_fs", "file:///a+b"
    )  # fmt: skip
    for name in ("gitx", "x__git", "git__", "GIT__x", 5, None):
        assert owner(servers, "name", name) is None

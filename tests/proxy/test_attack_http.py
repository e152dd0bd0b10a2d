"""Red team: MCP over HTTP. Pages of a browser, headers that lie, sessions of somebody else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from nucleus_proxy import wire
from nucleus_proxy.connect import Hello, Signer
from nucleus_proxy.http.sessions import MOST_OF_ONE
from nucleus_tokens.header import Holder
from tests.proxy.http_stage import META, NEW, Web, head, request, said
from tests.proxy.stage import until, within
from tests.support import world

LIST = request(7, "tools/list", {})


async def test_a_page_of_a_browser_reaches_nothing(tmp_path: Path) -> None:
    """By its Origin, and by a name of its own that leads to us (DNS rebinding)."""
    web = Web(tmp_path)
    web.options = {"origins": ("https://console.example.org",), "hosts": ("tools.example.org",)}
    token = web.token()
    async with web.serving():
        for origin in ("https://evil.example.org", "null", "", "https://console.example.org:1"):
            answer = await web.ask(token, LIST, origin=origin)
            assert answer.status == 403, origin
            assert "access-control-allow-origin" not in answer.headers
        assert (await web.ask(token, LIST, "OPTIONS", origin="https://a.example.org")).status == 403
        for host in ("evil.example.org", "127.0.0.1", "127.0.0.1:1", f"x@127.0.0.1:{web.port}"):
            assert (await web.ask(token, LIST, host=host)).status == 421, host
        assert web.host.servers() == 0
        params = {"protocolVersion": "2025-11-25", "capabilities": {}}
        for kind in ("text/plain", "application/x-www-form-urlencoded", None):
            hello = request(1, "initialize", params)
            assert (await web.ask(token, hello, content_type=kind)).status == 415
        # What the operator named may ask.
        named = {"origin": "https://console.example.org", "host": "tools.example.org"}
        assert (await web.ask(token, request(1, "initialize", params), **named)).status == 200


async def test_without_a_token_nothing_is_read_and_where_to_get_one_is_said(
    tmp_path: Path,
) -> None:
    web = Web(tmp_path)
    web.options = {"issuers": ("https://issuer.example.org",)}
    token = web.token()
    async with web.serving():
        for given in (None, "", "nonsense", token[:-2] + "AA"):
            answer = await web.ask(given, b"{not even json")
            assert answer.status == 401
            place = answer.headers["www-authenticate"].split('resource_metadata="')[1][:-1]
            assert place.startswith(f"http://127.0.0.1:{web.port}/.well-known/")
        assert (await web.ask(token, LIST, authorization=f"Basic {token}")).status == 401
        target = place.partition(str(web.port))[2]
        said_ = (await web.ask(None, b"", "GET", target=target)).last
        assert said_ == {
            "resource": f"http://127.0.0.1:{web.port}/mcp",
            "authorization_servers": ["https://issuer.example.org"],
            "bearer_methods_supported": ["header"],
        }
        assert web.host.servers() == 0


async def test_a_token_with_a_holder_is_worth_nothing_without_its_proof(tmp_path: Path) -> None:
    web = Web(tmp_path)
    stolen = world.text(web.host.token())
    async with web.serving():
        message, headers = web.modern(1, "look")
        answer = await web.ask(stolen, message, **headers)
        assert said(answer) == "credential.refused"
        assert web.host.servers() == 0


async def test_a_session_belongs_to_its_token(tmp_path: Path) -> None:
    web = Web(tmp_path)
    mine, other = web.bearer(), web.bearer(["path", "in", [str(web.host.workspace / "docs")]])
    async with web.serving():
        session = await web.hello(world.text(mine))
        call = web.call(2, "remember")
        for token in (other, world.narrow(mine, ["exp", world.NOW + 60])):
            for method in ("POST", "GET", "DELETE"):
                answer = await web.ask(world.text(token), call, method, mcp_session_id=session)
                assert answer.status == 404
        guessed = await web.ask(world.text(mine), call, mcp_session_id="0" * 64)
        assert guessed.status == 404
        assert (await web.ask(world.text(mine), call)).status == 400
        assert len(said(await web.ask(world.text(mine), call, mcp_session_id=session))["kept"]) == 1
        assert (
            await web.ask(world.text(mine), b"", "DELETE", mcp_session_id=session)
        ).status == 200
        assert (await web.ask(world.text(mine), call, mcp_session_id=session)).status == 404
        await until(lambda: web.host.servers() == 0, "the server's end")


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, 200),
        ({"mcp_method": "tools/list"}, 400),
        ({"mcp_method": None}, 400),
        ({"mcp_name": "read_other"}, 400),
        ({"mcp_name": None}, 400),
        ({"mcp_name": "=?base64?bG9vaw==?="}, 200),
        ({"mcp_name": "=?base64?bG9vaw?="}, 400),
        ({"mcp_protocol_version": "2025-11-25"}, 400),
        ({"mcp_protocol_version": None}, 400),
        ({"mcp_name": "look\r\nmcp-name: other"}, 400),
        ({"mcp_method": "tools/call\r\nMcp-Method: tools/list"}, 400),
        ({"mcp_session_id": "0" * 64}, 400),
        ({"content_length": "3\r\ncontent-length: 4"}, 400),
        ({"transfer_encoding": "chunked"}, 400),
    ],
    ids=lambda value: None,
)
async def test_a_header_says_what_the_body_says(
    tmp_path: Path, changed: dict[str, str | None], status: int
) -> None:
    web = Web(tmp_path)
    token = web.token()
    async with web.serving():
        await web.discover(token)
        message, headers = web.modern(1, "look")
        answer = await web.ask(token, message, **{**headers, **changed})
        assert answer.status == status, answer
        begun = [r["call"]["tool"] for r in web.host.stage.ledger.records("decision")]
        assert ("look" in begun) is (status == 200)


async def test_old_messages_do_not_pass_as_new_ones(tmp_path: Path) -> None:
    web = Web(tmp_path)
    token = web.token()
    async with web.serving():
        session = await web.hello(token)
        old = web.call(3, "look")
        for headers in (
            {"mcp_protocol_version": NEW},
            {"mcp_protocol_version": "2024-11-05"},
            {"mcp_method": "tools/list"},
            {"mcp_name": "recall"},
        ):
            answer = await web.ask(token, old, mcp_session_id=session, **headers)
            assert answer.status == 400, headers


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n{"jsonrpc":"2.0","id":2,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"x\ry"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + b"[" * 999 + b"]" * 999 + b"}}",
        b"\xff\xfe",
        b"",
    ],
    ids=range(9),
)
async def test_a_body_is_one_message_or_nothing(tmp_path: Path, body: bytes) -> None:
    web = Web(tmp_path)
    async with web.serving():
        answer = await web.ask(web.token(), body)
        assert answer.status == 400
        assert web.host.servers() == 0


async def test_a_line_break_in_a_body_makes_no_second_line(tmp_path: Path) -> None:
    web = Web(tmp_path)
    token = web.token()
    async with web.serving():
        session = await web.hello(token)
        pretty = json.dumps(web.call(2, "look"), indent=1).encode()
        assert said(await web.ask(token, pretty, mcp_session_id=session))["outside"] != "the secret"
        large = request(3, "tools/list", {"cursor": "\x85" * 1_500_000})  # 2 bytes become 6
        body = json.dumps(large, ensure_ascii=False).encode()
        assert (await web.ask(token, body, mcp_session_id=session)).status == 413
        assert (await web.ask(token, LIST, mcp_session_id=session)).status == 200


async def test_nothing_of_the_token_reaches_the_server(tmp_path: Path) -> None:
    web = Web(tmp_path)
    token = web.token()
    async with web.serving():
        await web.discover(token)
        message, headers = web.modern(1, "look")
        looked = said(await web.ask(token, message, cookie="a=b", **headers))
        assert not [name for name in looked["env"] if "TOKEN" in name or "AUTH" in name]
        trace = json.dumps(web.host.stage.ledger.records("decision"))
        assert token not in trace
        assert token not in "".join(web.host.log)


async def test_two_clients_of_one_token_share_no_answer(tmp_path: Path) -> None:
    """In the new era ids are chosen by each client for itself."""
    web = Web(tmp_path)
    token = web.token()
    async with web.serving():
        await web.discover(token)
        message, headers = web.modern(1, "remember", progressToken=1)
        answers = await asyncio.gather(*(web.ask(token, message, **headers) for _ in range(4)))
        assert [answer.last["id"] for answer in answers] == [1] * 4
        assert sorted(len(said(answer)["kept"]) for answer in answers) == [1, 2, 3, 4]
        lies, headers = web.modern("hang-1", "lies")
        assert said(await web.ask(token, lies, **headers)) == {}


async def test_who_goes_away_takes_back_what_waits_for_a_person(tmp_path: Path) -> None:
    """In the new era that is how a request is cancelled; before, a broken connection is none."""
    web = Web(tmp_path)
    ledger = web.host.stage.ledger
    token = world.text(
        web.host.stage.token(world.levels(read_files="low_risk"), holder=Holder(None, None))
    )
    async with web.serving():
        await web.discover(token)
        message, headers = web.modern(1, "look")
        _, writer = await web.begin(token, message, **headers)
        pending = await web.host.stage.asked()
        writer.close()
        await until(lambda: ledger.desk[pending.id].status == "withdrawn", "its end")


async def test_a_revoked_token_ends_a_call_that_is_streamed(tmp_path: Path) -> None:
    web = Web(tmp_path)
    token = web.bearer()
    async with web.serving():
        session = await web.hello(world.text(token))
        reader, writer = await web.begin(
            world.text(token), web.call(2, "hang"), mcp_session_id=session
        )
        await until(lambda: len(web.host.live) == 1, "the call")
        assert (await head(reader))[1]["content-type"] == "text/event-stream"
        web.host.stage.ledger.revoked.add(world.opened(token).prefix.rids[0])
        while not (line := await within(reader.readline())).startswith(b"data: "):
            pass
        assert json.loads(line[6:])["result"]["_meta"]["nucleus/refusal"]["code"] == "token.revoked"
        writer.close()
        await until(lambda: web.host.servers() == 0, "the server's end")


async def test_a_broken_stream_is_taken_up_where_it_broke_and_by_nobody_else(
    tmp_path: Path,
) -> None:
    web = Web(tmp_path)
    token = web.token()
    async with web.serving():
        session = await web.hello(token)
        reader, writer = await web.begin(
            token, web.call(5, "hang", progressToken="p"), mcp_session_id=session
        )
        await until(lambda: len(web.host.live) == 1, "the call")
        assert (await head(reader))[0] == 200
        writer.close()
        # Nobody takes it back. It is the second stream of this session.
        assert len(web.host.live) == 1
        for last in ("x", "99-0", "2-x", "-1-0"):
            answer = await web.ask(token, b"", "GET", mcp_session_id=session, last_event_id=last)
            assert answer.status == 400, last
        other = web.token(["path", "in", ["/"]])
        answer = await web.ask(other, b"", "GET", mcp_session_id=session, last_event_id="2-0")
        assert answer.status == 404
        again, writer = await web.begin(
            token, b"", "GET", mcp_session_id=session, last_event_id="2-0"
        )
        assert (await head(again))[0] == 200
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled",
                     "params": {"requestId": 5}}  # fmt: skip
        assert (await web.ask(token, cancelled, mcp_session_id=session)).status == 202
        writer.close()


async def test_nobody_crowds_out_the_sessions_of_others(tmp_path: Path) -> None:
    web = Web(tmp_path)
    mine, flood = web.token(), web.token(["path", "in", ["/"]])
    async with web.serving():
        session = await web.hello(mine)
        first = await web.hello(flood)
        for _ in range(MOST_OF_ONE):
            last = await web.hello(flood)
        assert (await web.ask(flood, LIST, mcp_session_id=first)).status == 404
        assert (await web.ask(flood, LIST, mcp_session_id=last)).status == 200
        assert (await web.ask(mine, LIST, mcp_session_id=session)).status == 200


async def test_a_stolen_token_does_not_ride_on_what_its_holder_started(tmp_path: Path) -> None:
    """Also not where no tool is called: requests of the new era with one token share a server."""
    web = Web(tmp_path, '[methods]\nopen = ["resources/list"]\n')
    token = web.host.token()
    text = world.text(token)
    signer = Signer(
        token, world.secret("agent"), Hello(world.INSTANCE, "proxy:test"), web.host.stage.clock,
        web.host.nonces,
    )  # fmt: skip
    async with web.serving():
        asked = wire.parse(json.dumps(request(1, "server/discover", {"_meta": META})).encode())
        said_ = {"mcp_protocol_version": NEW, "mcp_method": "server/discover"}
        mine = await web.ask(text, signer.sign(asked).raw, **said_)
        assert "result" in mine.last
        assert web.host.servers() == 1
        for method in ("server/discover", "resources/list"):
            stolen = request(2, method, {"_meta": META})
            answer = await web.ask(text, stolen, mcp_protocol_version=NEW, mcp_method=method)
            assert "credential.refused" in answer.last["error"]["message"], method


async def test_a_session_dies_with_its_token_for_every_method(tmp_path: Path) -> None:
    web = Web(tmp_path, '[methods]\nopen = ["resources/list"]\n')
    token = web.bearer()
    text = world.text(token)
    async with web.serving():
        session = await web.hello(text)
        resources = request(2, "resources/list", {})
        assert "result" in (await web.ask(text, resources, mcp_session_id=session)).last
        web.host.stage.ledger.revoked.add(world.opened(token).prefix.rids[0])
        again = request(3, "resources/list", {})
        answer = await web.ask(text, again, mcp_session_id=session)
        assert "token.revoked" in answer.last["error"]["message"]

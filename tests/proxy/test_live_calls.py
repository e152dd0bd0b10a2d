"""A call at a server is decided again while it runs, and cut when it would no longer be allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nucleus_proxy.underway import MOST_FORSAKEN
from nucleus_tokens.chain import UnverifiedToken
from tests.proxy.malicious_server import Client, Host, said
from tests.proxy.rig import POLICY, rigged
from tests.proxy.stage import Stage, until
from tests.support import world

UNREAD = 400_000  # more than a pipe and what stands before it hold


def _begun(host: Host) -> list[Any]:
    return [
        r for r in host.stage.ledger.records("decision")
        if r["call"]["tool"] == "hang" and r["decision"]["verdict"] == "allow"
    ]  # fmt: skip


async def _hanging(host: Host, client: Client, token: UnverifiedToken, name: str = "slow") -> None:
    """A call that its server never answers, under way."""
    before = len(host.live)
    client.send(name, "tools/call", client.params("hang"), token)
    await until(lambda: len(host.live) > before, "the call that hangs")


async def test_a_revocation_cuts_a_slow_call_and_the_trace_says_so(tmp_path: Path) -> None:
    host = Host(tmp_path)
    token = host.token()
    async with host.serving(), host.client(token) as client:
        await _hanging(host, client, token)
        host.stage.ledger.revoked.add(world.opened(token).prefix.rids[0])
        assert said(await client.answer("slow")) == "token.revoked"
        # What it was doing ends with it, whatever it thinks of that.
        await until(lambda: host.servers() == 0, "the server's end")
        answer = await client.ask(2, "ping", {}, None)
        assert "credential" in answer["error"]["message"]
    (decision,) = _begun(host)
    (outcome,) = host.stage.ledger.records("outcome")
    assert outcome["decision"] == decision["seq"]
    assert (outcome["ok"], outcome["cut"]) == (False, "token.revoked")
    assert len(host.live) == 0
    host.stage.verified()


async def test_expiry_cuts_and_another_token_goes_on_at_a_new_server(tmp_path: Path) -> None:
    host = Host(tmp_path)
    token = host.token()
    short = world.narrow(token, ["exp", world.NOW + 60])
    async with host.serving(), host.client(short) as client:
        assert len((await client.call(1, "remember", token))["kept"]) == 1
        await _hanging(host, client, short)
        host.stage.clock.now += 61
        assert said(await client.answer("slow")) == "token.expired"
        # The client's next call meets a server that was told who the client is.
        assert (await client.call(2, "recall", token))["kept"] == []
        assert host.servers() == 1


async def test_a_revoked_sub_agent_does_not_end_the_server_of_others(tmp_path: Path) -> None:
    host = Host(tmp_path)
    token = host.token()
    sub = world.narrow(token, ["tool", "in", ["hang"]])
    async with host.serving(), host.client(token) as client:
        await client.call(1, "remember", token)
        await _hanging(host, client, token, "others")
        await _hanging(host, client, sub)
        host.stage.ledger.revoked.add(world.opened(sub).prefix.rids[-1])
        assert said(await client.answer("slow")) == "token.revoked"
        assert len((await client.call(2, "recall", token))["kept"]) == 1
        assert len(host.live) == 1


async def test_the_third_leg_cuts_a_call_that_began_without_it(tmp_path: Path) -> None:
    text = POLICY.replace('[tools.silent]\noperation = "read_files"\npayload = ["/x"]\n', "")
    text += '[tools.silent]\noperation = "web_fetch"\npayload = ["/x"]\n'
    stage = Stage(text)
    token = stage.token(world.levels(read_files="always", web_fetch="always"))
    async with rigged(tmp_path, stage, held=world.text(token)) as rig:
        call = {"name": "silent", "arguments": {"x": 1}}
        rig.send({"jsonrpc": "2.0", "id": "slow", "method": "tools/call", "params": call})
        await until(rig.calls_served, "the call at its server")
        # At the same server, so that it goes on; the cut call is taken back from it.
        other = await rig.call("read", "read", {"x": 1})
        assert other["result"]["content"][0]["text"] == "done"
        cut = rig.unasked.pop() if rig.unasked else await rig.receive()
        assert cut["id"] == "slow"
        refusal = cut["result"]["_meta"]["nucleus/refusal"]
        assert refusal["code"] == "effect.cut"
        assert "gate:exposure" in refusal["sentence"]
    outcomes = stage.ledger.records("outcome")
    assert [o.get("cut") for o in outcomes if not o["ok"]] == ["effect.cut"]


async def test_a_cut_call_of_a_held_token_does_not_end_its_client(tmp_path: Path) -> None:
    stage = Stage(POLICY)
    token = stage.token(world.levels(read_files="always"))
    async with rigged(tmp_path, stage, held=world.text(token)) as rig:
        assert "result" in await rig.request(0, "initialize", {"protocolVersion": "2025-11-25"})
        rig.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        rid = world.opened(token).prefix.rids[0]
        call = {"name": "silent", "arguments": {"x": 1}}
        rig.send({"jsonrpc": "2.0", "id": "slow", "method": "tools/call", "params": call})
        await until(rig.calls_served, "the call at its server")
        stage.ledger.revoked.add(rid)
        cut = await rig.receive()
        assert cut["result"]["_meta"]["nucleus/refusal"]["code"] == "token.revoked"
        answer = await rig.request(1, "ping")
        assert "token.revoked" in answer["error"]["message"]
        stage.ledger.revoked.clear()
        assert "result" in await rig.request(2, "ping")
        assert (await rig.call(3, "read", {"x": 1}))["result"]["content"][0]["text"] == "done"


async def test_a_late_answer_to_a_cut_call_reaches_nobody(tmp_path: Path) -> None:
    host = Host(tmp_path)
    token = host.token()
    sub = world.narrow(token, ["tool", "in", ["hang"]])
    async with host.serving(), host.client(token) as client:
        await _hanging(host, client, token, "others")
        client.send("hang-1", "tools/call", client.params("hang"), sub)
        await until(lambda: len(host.live) == 2, "the second call")
        host.stage.ledger.revoked.add(world.opened(sub).prefix.rids[-1])
        assert said(await client.answer("hang-1")) == "token.revoked"
        # The server answers it now, with a lie.
        assert await client.call(3, "lies", token) == {}
        assert client.unasked == []


async def test_a_call_is_cut_while_its_server_does_not_even_read_it(tmp_path: Path) -> None:
    host = Host(tmp_path)
    token = host.token()
    async with host.serving(), host.client(token) as client:
        for name, more in (("deaf", {"deaf": 1}), ("unread", {"text": "x" * UNREAD})):
            params = client.params("hang")
            params["arguments"] |= more
            client.send(name, "tools/call", params, token)
        await until(lambda: len(host.live) == 2, "both calls")
        host.stage.ledger.revoked.add(world.opened(token).prefix.rids[0])
        assert said(await client.answer("deaf")) == "token.revoked"
        assert said(await client.answer("unread")) == "token.revoked"
        await until(lambda: host.servers() == 0, "the server's end")
    host.stage.verified()


async def test_calls_that_are_cut_together_leave_no_server(tmp_path: Path) -> None:
    host = Host(tmp_path)
    token = host.token()
    async with host.serving(), host.client(token) as client:
        await _hanging(host, client, token, "slow")
        await _hanging(host, client, token, "too")
        host.stage.ledger.revoked.add(world.opened(token).prefix.rids[0])
        assert said(await client.answer("slow")) == "token.revoked"
        await until(lambda: host.servers() == 0, "the server's end")


async def test_a_server_with_a_cut_call_ends_when_others_have_none_there(tmp_path: Path) -> None:
    host = Host(tmp_path)
    token = host.token()
    sub = world.narrow(token, ["tool", "in", ["hang"]])
    async with host.serving(), host.client(token) as client:
        await _hanging(host, client, token, "others")
        await _hanging(host, client, sub)
        host.stage.ledger.revoked.add(world.opened(sub).prefix.rids[-1])
        assert said(await client.answer("slow")) == "token.revoked"
        assert host.servers() == 1
        assert await client.call(2, "recall", token) != "token.revoked"
        assert host.servers() == 1
        _give_up(client, "others")
        await until(lambda: host.servers() == 0, "the server's end")
        assert (await client.call(3, "recall", token))["kept"] == []


def _give_up(client: Client, name: str) -> None:
    client.send(None, "notifications/cancelled", {"requestId": name}, None)


async def test_giving_a_call_up_does_not_hide_it(tmp_path: Path) -> None:
    """The server goes on, and so does the watch."""
    host = Host(tmp_path)
    token = host.token()
    async with host.serving(), host.client(token) as client:
        await _hanging(host, client, token)
        _give_up(client, "slow")
        assert "kept" in await client.call(2, "recall", token)
        assert (host.servers(), len(host.live)) == (1, 1)
        host.stage.ledger.revoked.add(world.opened(token).prefix.rids[0])
        await until(lambda: host.servers() == 0, "the server's end")
        await until(lambda: len(host.stage.ledger.records("outcome")) == 2, "its record")
    assert [r.get("cut") for r in host.stage.ledger.records("outcome")] == [None, "token.revoked"]


async def test_a_call_that_was_given_up_and_answered_late_is_over(tmp_path: Path) -> None:
    host = Host(tmp_path)
    token = host.token()
    async with host.serving(), host.client(token) as client:
        client.send("hang-1", "tools/call", client.params("hang"), token)
        await until(lambda: len(host.live) == 1, "the call that hangs")
        _give_up(client, "hang-1")
        assert await client.call(3, "lies", token) == {}
        await until(lambda: len(host.live) == 0, "the end of the watch")
        assert (host.servers(), client.unasked) == (1, [])


async def test_more_calls_given_up_than_a_server_may_leave_open_end_it(tmp_path: Path) -> None:
    host = Host(tmp_path)
    token = host.token()
    async with host.serving(), host.client(token) as client:
        for number in range(MOST_FORSAKEN + 1):
            await _hanging(host, client, token, f"n{number}")
            _give_up(client, f"n{number}")
        await until(lambda: host.servers() == 0, "the server's end")
        await until(lambda: len(host.live) == 0, "the end of the watch")

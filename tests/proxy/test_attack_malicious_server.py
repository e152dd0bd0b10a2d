"""Red team: an MCP server that wants more than its calls were allowed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nucleus.composing import Cells
from nucleus_proxy.behind import MOST_SERVERS
from nucleus_proxy.held import run_held
from nucleus_proxy.wire import FRAME_BYTES
from nucleus_tokens.errors import CallerError
from nucleus_vmhost.bubblewrap import Bubblewrap
from tests.proxy.malicious_server import Client, Host
from tests.proxy.stage import until, within
from tests.support import world

GONE = {"FileNotFoundError", "PermissionError", "OSError", "NotADirectoryError"}


async def test_it_reads_writes_and_sends_nothing_but_what_its_token_admits(tmp_path: Path) -> None:
    host = Host(tmp_path)
    token = host.token(["path", "not", ["**/.env"]])
    async with host.serving(), host.client(token) as client:
        seen = await client.call(1, "look", token)
        assert seen["inside"] == "inside"
        assert seen["docs"] == "a page"
        for what in ("outside", "hook", "config", "unix"):
            assert seen[what] in GONE, what
        assert "KEY" not in seen["blocked"]
        for what in ("network", "loopback"):
            assert "Error" in seen[what] or "Timeout" in seen[what], what
        assert not {"USER", "NUCLEUS_HOME", "SSH_AUTH_SOCK"} & set(seen["env"])
    await until(lambda: host.servers() == 0, "the server's end")
    assert host.outside.read_text() == "the secret"


async def test_what_it_leaves_where_it_would_run_later_is_set_aside(tmp_path: Path) -> None:
    host = Host(tmp_path, "writes_git = true")
    token = host.token()
    async with host.serving(), host.client(token) as client:
        seen = await client.call(1, "look", token)
        assert seen["hook"] in GONE
        assert seen["config"] in GONE
        assert seen["plain"] == "1"
    ws = host.workspace
    await until(lambda: list(ws.glob(".envrc.set-aside-*")), "what was set aside")
    await until(lambda: list((ws / ".git").glob("commondir.set-aside-*")), "what git was told")
    assert not (ws / ".envrc").exists()
    assert not (ws / ".git" / "commondir").exists()
    assert (ws / ".git" / "config").read_text() == "[core]\n"
    assert (ws / "b.txt").read_text() == "b"


async def test_a_narrower_call_gets_a_server_that_knows_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path)
    token = host.token()
    narrow = host.below(token, "docs")
    async with host.serving(), host.client(token) as client:
        assert client.said["result"]["serverInfo"]["name"] == "inside"
        assert (await client.call(1, "remember", token))["kept"] == ["inside"]
        seen = await client.call(2, "recall", narrow)
        assert seen["kept"] == []
        assert set(seen["files"]) <= GONE
        look = await client.call(3, "look", narrow)
        assert look["inside"] in GONE
        assert look["docs"] == "a page"
        # Each goes on as it was: a server outlives a call, and serves whoever may see the same.
        assert (await client.call(4, "recall", token))["kept"] == ["inside"]
        again = world.narrow(token, ["tool", "in", ["recall"]])
        assert (await client.call(5, "recall", again))["kept"] == ["inside"]
        assert host.servers() == 2
        listed = await client.ask(6, "tools/list", {}, narrow)
        assert [t["name"] for t in listed["result"]["tools"]][:2] == ["look", "remember"]
    await until(lambda: host.servers() == 0, "the servers' end")


async def test_without_files_in_its_token_it_sees_none(tmp_path: Path) -> None:
    host = Host(tmp_path)
    token = host.token()
    blind = world.narrow(token, ["approve", ["read_files"]])
    async with host.serving(), host.client(blind) as client:
        assert client.said["result"]["serverInfo"]["name"] in GONE


async def test_a_scope_that_no_cell_can_show_is_refused(tmp_path: Path) -> None:
    host = Host(tmp_path)
    token = host.token()
    odd = world.narrow(token, ["path", "in", [f"{host.workspace}/**/*.txt"]])
    async with host.serving(), host.client(token) as client:
        assert await client.call(1, "look", odd) == "cell.nothing"
        assert host.servers() == 1
    last = host.stage.ledger.records("outcome")[-1]
    assert last["ok"] is False
    host.stage.verified()


async def test_servers_are_few_and_the_oldest_idle_one_makes_room(tmp_path: Path) -> None:
    host = Host(tmp_path)
    names = [f"docs{n}" for n in range(MOST_SERVERS)]
    for name in names:
        (host.workspace / name).mkdir()
    token = host.token()
    below = [host.below(token, "docs", name) for name in names]
    async with host.serving(), host.client(token) as client:
        for number, narrow in enumerate(below[:-1]):
            await client.call(f"r{number}", "remember", narrow)
        assert host.servers() == MOST_SERVERS
        await client.call("first", "recall", token)
        await client.call("one more", "remember", below[-1])
        assert host.servers() == MOST_SERVERS
        # The oldest made room, and forgot; the client's first server never does.
        assert (await client.call("again", "recall", below[0]))["kept"] == []
        assert len((await client.call("kept", "recall", below[-1]))["kept"]) == 1
        busy = [token, *below[-2:], below[0]]
        for number, narrow in enumerate(busy):
            client.send(f"hang-{number}", "tools/call", client.params("hang"), narrow)
        await until(lambda: len(_allowed(host, "hang")) == len(busy), "the hanging calls")
        assert await client.call("full", "look", below[1]) == "server.busy"


def _allowed(host: Host, tool: str) -> list[Any]:
    return [
        r for r in host.stage.ledger.records("decision")
        if r["call"]["tool"] == tool and r["decision"]["verdict"] == "allow"
    ]  # fmt: skip


async def test_it_answers_nobody_but_who_asked_and_once(tmp_path: Path) -> None:
    host = Host(tmp_path)
    token = host.token()
    narrow = host.below(token, "docs")
    async with host.serving(), host.client(token) as client:
        client.send("hang-1", "tools/call", client.params("hang"), token)
        await until(lambda: _allowed(host, "hang"), "the hanging call")
        # Another server answers the call that hangs at the first.
        assert await client.call(1, "lies", narrow) == {}
        assert await client.call(2, "recall", token) is not None
        assert await client.call(3, "recall", narrow) is not None
        assert client.unasked == []
    assert sum("nobody asked for" in line for line in host.log) == 3


async def test_what_it_says_of_its_tools_later_makes_nothing_easier(tmp_path: Path) -> None:
    host = Host(tmp_path, ask_seconds=0)
    token = host.token()
    async with host.serving(), host.client(token) as client:
        listed = await client.ask(1, "tools/list", {}, token)
        assert [t["name"] for t in listed["result"]["tools"]][-1] == "changes"
        assert "kept" in await client.call(2, "changes", token)
        # Its list is another one now: it says that the tool is no read, and offers one more.
        listed = await client.ask(3, "tools/list", {}, token)
        assert "later" not in [t["name"] for t in listed["result"]["tools"]]
        assert await client.call(4, "later", token) == "tool.unclassified"
        assert await client.call(5, "changes", token) == "approval.expired"
        # It takes that back. What it once admitted is not forgotten.
        await client.ask(6, "tools/list", {}, token)
        assert await client.call(7, "changes", token) == "approval.expired"


async def test_for_a_stranger_no_server_starts(tmp_path: Path) -> None:
    host = Host(tmp_path)
    token = host.token()
    async with host.serving(), host.client(None, hello=False) as client:
        params = {"protocolVersion": "2025-11-25", "capabilities": {}}
        for number, method in enumerate(("initialize", "ping", "tools/list")):
            answer = await client.ask(number, method, params if not number else {}, None)
            assert "error" in answer, method
        client.holder = "thief"
        answer = await client.ask("wrong", "initialize", params, token)
        client.holder = "agent"
        assert "credential.refused" in answer["error"]["message"]
        host.stage.ledger.revoked.add(world.opened(token).prefix.rids[0])
        answer = await client.ask("revoked", "initialize", params, token)
        assert "token.revoked" in answer["error"]["message"]
        client.send(None, "notifications/initialized", {}, None)
        assert (await client.ask("after", "ping", {}, None))["error"]
        assert host.servers() == 0


async def test_a_held_token_is_the_cells_authority_from_the_start(tmp_path: Path) -> None:
    host = Host(tmp_path)
    narrow = host.below(host.token(), "docs")
    accepted: asyncio.Queue[Any] = asyncio.Queue()
    listener = await asyncio.start_unix_server(
        lambda *pair: accepted.put_nowait(pair), tmp_path / "s", limit=FRAME_BYTES + 1
    )
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s", limit=FRAME_BYTES + 1)
    far = await within(accepted.get())
    running = asyncio.create_task(
        run_held(
            world.text(narrow), reader=far[0], writer=far[1], mediator=host.stage.mediator,
            live=host.live, draw=host.stage.draw, log=host.log.append, runner=Cells(Bubblewrap()),
        )
    )  # fmt: skip
    client = Client(host, reader, writer)
    client.send(1, "tools/call", client.params("look"), None)
    seen = await client.answer(1)
    assert '"docs": "a page"' in seen["result"]["content"][0]["text"]
    assert '"inside": "inside"' not in seen["result"]["content"][0]["text"]
    writer.close()
    await within(running)
    listener.close()
    assert host.servers() == 0


async def test_without_a_wall_no_server_starts_unless_that_is_called_a_danger(
    tmp_path: Path,
) -> None:
    host = Host(tmp_path)
    with pytest.raises(CallerError) as caught:
        await run_held(
            world.text(host.token()), reader=asyncio.StreamReader(),
            writer=None,  # type: ignore[arg-type]  # not reached
            mediator=host.stage.mediator, live=host.live, draw=host.stage.draw, log=host.log.append,
        )  # fmt: skip
    assert caught.value.code == "server.cell"
    assert "danger_outside_cell" in caught.value.hint

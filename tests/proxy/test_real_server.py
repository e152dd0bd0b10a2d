"""A real server (mcp-server-git), the official client in both eras, and processes in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from nucleus_issuer.store import Store
from nucleus_proxy import tracefile
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.exposure import PRIVATE_DATA
from nucleus_verifier import record, trace
from nucleus_verifier.ports import PendingRequest
from tests.proxy import run_proxy
from tests.proxy.stage import PATIENCE, approval, until, within
from tests.support import world

ERAS = ("auto", "legacy")
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org",
    "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org",
}  # fmt: skip


class House:
    """One host: a repository, a state file, a policy, and whatever runs on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repo = root / "repo"
        self.env = {"PATH": os.environ["PATH"], **GIT}
        self.repo.mkdir()
        self.git("init", "-q", "-b", "main")
        (self.repo / "a.txt").write_text("a\n")
        self.git("add", "a.txt")
        self.git("commit", "-q", "-m", "first")
        self.store = Store.open(root / "state.sqlite", create=True)
        self.policy = root / "policy.toml"
        server = Path(sys.executable).with_name("mcp-server-git")
        self.policy.write_text(
            f"""
version = 1
[wall]
id = "box"
shows = []
[workspace]
root = {json.dumps(str(self.repo))}
[server]
writes_git = true
command = [{json.dumps(str(server))}]
cwd = {json.dumps(str(self.repo))}
env = {{ {", ".join(f"{k} = {json.dumps(v)}" for k, v in self.env.items())} }}
[tools.git_status]
operation = "read_files"
selectors = {{ "/repo_path" = "path" }}
[tools.git_log]
operation = "read_files"
selectors = {{ "/repo_path" = "path" }}
payload = ["/max_count"]
[tools.git_add]
operation = "write_files"
selectors."/repo_path" = "path"
selectors."/files" = {{ kind = "path", base = "/repo_path" }}
[tools.git_commit]
operation = "git_commit"
selectors = {{ "/repo_path" = "path" }}
payload = ["/message"]
"""
        )

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.repo), *words],
            env=self.env, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout

    def token(self, *ceil: list[Any], **rest: Any) -> UnverifiedToken:
        now = int(time.time())
        token = world.mint(
            *(ceil or (self.levels(), ["path", "in", [str(self.repo)]])),
            iat=now - 60, exp=now + 3600, **rest,
        )  # fmt: skip
        self.store.open_cell(f"tree:{world.opened(token).prefix.rids[0]}", 0)
        return token

    @staticmethod
    def levels(**more: str) -> list[Any]:
        return world.levels(
            **{
                "read_files": "always",
                "write_files": "low_risk",
                "edit_files": "low_risk",
                "git_commit": "always",
                **more,
            }
        )

    def config(self, name: str, **more: Any) -> StdioServerParameters:
        """How the client starts this process."""
        path = self.root / f"{name}-{len(list(self.root.iterdir()))}.json"
        fields = {
            "state": str(self.root / "state.sqlite"),
            "reveals": str(self.root / "reveals.jsonl"),
            "policy": str(self.policy),
            "socket": str(self.root / "run" / "s"),
            "instance": "verifier:real",
            **more,
        }
        path.write_text(json.dumps(fields))
        env = {"PATH": self.env["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        return StdioServerParameters(
            command=sys.executable, args=[run_proxy.__file__, name, str(path)], env=env
        )

    def held(self, token: UnverifiedToken) -> StdioServerParameters:
        return self.config("held", token=world.text(token))

    def connect(self, token: UnverifiedToken, holder: str = "agent") -> StdioServerParameters:
        return self.config("connect", token=world.text(token), holder=holder)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[asyncio.subprocess.Process]:
        how = self.config("serve")
        process = await asyncio.create_subprocess_exec(
            how.command, *how.args, env=how.env, stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            assert await within(process.stdout.readline()) == b"ready\n"
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    async def asked(self) -> PendingRequest:
        def one() -> PendingRequest | None:
            found = self.store.requests()
            return found[0] if found else None

        return await until(one, "a request at the desk")

    def approve(self, request: PendingRequest) -> None:
        self.store.settle(request.id, approval=approval(request, int(time.time())))

    def records(self) -> list[dict[str, Any]]:
        entries, broken = trace.read([line for _, line in self.store.trace_lines()])
        assert broken is None
        return [{**e.record, "seq": e.seq} for e in entries]

    def verified(self) -> None:
        """Every decision follows from its record and its reveal, on the real files."""
        lines = (self.root / "reveals.jsonl").read_bytes().splitlines()
        reveals = {record.reveal_digest(r): r for r in map(json.loads, lines)}
        decisions = [r for r in self.records() if r["type"] == "decision"]
        assert decisions
        for entry in decisions:
            reveal = reveals[entry["call"]["digest"]]
            assert record.recompute(entry, reveal, world.KEYS) == entry["decision"]


@pytest.fixture
def house(tmp_path: Path) -> Any:
    made = House(tmp_path.resolve())
    yield made
    made.store.close()


@asynccontextmanager
async def agent(how: StdioServerParameters, era: str = "auto") -> AsyncIterator[Callable[..., Any]]:
    """An agent with the official client; gives a function that calls a tool."""
    async with Client(how, mode=era, read_timeout_seconds=PATIENCE) as client:

        async def call(tool: str, /, **args: Any) -> tuple[bool, str]:
            if tool == "tools/list":
                return True, " ".join(sorted(t.name for t in (await client.list_tools()).tools))
            done = await client.call_tool(tool, args)
            return not done.is_error, getattr(done.content[0], "text", "")

        yield call


@pytest.mark.parametrize("era", ERAS)
async def test_allowed_filtered_denied_asked_done_once_and_asked_again(
    house: House, era: str
) -> None:
    repo = str(house.repo)
    (house.repo / "b.txt").write_text("b\n")
    token = house.token(obligations=["git_commit"])
    async with agent(house.held(token), era) as call:
        assert await call("tools/list") == (True, "git_add git_commit git_log git_status")
        ok, said = await call("git_status", repo_path=repo)
        assert ok, said
        assert "b.txt" in said
        ok, said = await call("git_add", repo_path=repo, files=["b.txt"])
        assert ok, said
        for tool, args, code in (
            ("git_reset", {"repo_path": repo}, "tool.unclassified"),
            ("git_status", {"repo_path": "/etc"}, "scope.outside"),
            ("git_add", {"repo_path": repo, "files": ["../state.sqlite"]}, "scope.outside"),
        ):
            ok, said = await call(tool, **args)
            assert not ok
            assert code in said
        assert house.git("log", "--format=%s").split() == ["first"]
        commit = {"repo_path": repo, "message": "second"}
        task = asyncio.ensure_future(call("git_commit", **commit))
        house.approve(await house.asked())
        ok, said = await task
        assert ok, said
        assert house.git("log", "--format=%s").split() == ["second", "first"]
        task = asyncio.ensure_future(call("git_commit", **commit))
        request = await house.asked()
        house.store.settle(request.id, approval=None, reason="once was enough")
        ok, said = await task
        assert not ok
        assert "once was enough" in said
    allowed = [
        r for r in house.records()
        if r["type"] == "decision" and r["decision"]["verdict"] == "allow"
    ]  # fmt: skip
    outcomes = [r for r in house.records() if r["type"] == "outcome"]
    assert [o["decision"] for o in outcomes] == [r["seq"] for r in allowed]
    assert len(allowed) == 3
    house.verified()
    target = house.root / "trace.jsonl"
    assert tracefile.export(house.store, target) == len(house.records())
    assert trace.read(target.read_bytes().splitlines())[1] is None


async def test_carried_two_sub_agents_a_shared_budget_and_a_revoked_parent(house: House) -> None:
    repo = str(house.repo)
    token = house.token(depth=3)
    shared = world.narrow(token, ["budget", "calls", 3])
    left, right = world.hand(shared, taker="left"), world.hand(shared, taker="right")
    narrowed = world.narrow(right, ["tool", "in", ["git_status"]])
    async with (
        house.serving(),
        agent(house.connect(left, "left")) as as_left,
        agent(house.connect(narrowed, "right"), "legacy") as as_right,
    ):
        assert (await as_left("tools/list"))[1] == "git_add git_commit git_log git_status"
        assert (await as_right("tools/list"))[1] == "git_status"
        assert (await as_left("git_status", repo_path=repo))[0]
        assert (await as_right("git_status", repo_path=repo))[0]
        ok, said = await as_right("git_log", repo_path=repo)
        assert "scope.outside" in said
        # With another's token nobody comes in: no server starts for a stranger.
        with pytest.raises(ExceptionGroup) as caught:
            async with agent(house.connect(left, "right")):
                pass
        assert "credential.refused" in "".join(traceback.format_exception(caught.value))
        assert (await as_left("git_log", repo_path=repo, max_count=1))[0]
        ok, said = await as_right("git_status", repo_path=repo)
        assert "budget.exhausted" in said
        own = world.hand(token, taker="left")
        async with agent(house.connect(own, "left")) as again:
            assert (await again("git_status", repo_path=repo))[0]
        _revoke(house, token)
        for call in (as_left, as_right):
            ok, said = await call("git_status", repo_path=repo)
            assert not ok
            assert "token.revoked" in said
    cells = [r["facts"]["wall"][2] for r in house.records() if r["type"] == "decision"]
    assert cells[0] == 0
    assert cells[-1] == PRIVATE_DATA
    house.verified()


def _revoke(house: House, token: UnverifiedToken) -> None:
    from nucleus_issuer.ports import Issued, Link

    rid, tid = world.opened(token).prefix.rids[0], world.hex16("tid")
    now = int(time.time())
    house.store.record(Issued(tid, rid, "agent", "proxy:test", now, now + 60, "{}", "{}"))
    house.store.note_links([Link(rid, tid, None, "agent")])
    house.store.revoke(rid, by="test", reason="test")


async def test_exposure_survives_kill_9_and_follows_into_a_new_connection(house: House) -> None:
    repo = str(house.repo)
    token = house.token(house.levels(web_fetch="always"))
    tree = f"tree:{world.opened(token).prefix.rids[0]}"
    async with house.serving() as process, agent(house.connect(token)) as call:
        assert (await call("git_status", repo_path=repo))[0]
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with house.serving(), agent(house.connect(token)) as call:
        assert (await call("git_log", repo_path=repo))[0]
    last = [r for r in house.records() if r["type"] == "decision"][-1]
    assert last["facts"]["wall"][2] == PRIVATE_DATA
    assert last["facts"]["tree"] == [tree, last["facts"]["tree"][1], PRIVATE_DATA]
    house.verified()


@pytest.mark.parametrize("era", ERAS)
async def test_a_cancelled_wait_leaves_nothing_to_approve(house: House, era: str) -> None:
    token = house.token(obligations=["read_files"])
    async with agent(house.held(token), era) as call:
        task = asyncio.ensure_future(call("git_status", repo_path=str(house.repo)))
        request = await house.asked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: house.store.status(request.id).status == "withdrawn")
        ok, said = await call("git_reset")
        assert "tool.unclassified" in said
        assert not ok


async def test_a_client_that_is_gone_leaves_nothing_to_approve(house: House) -> None:
    token = house.token(obligations=["read_files"])
    how = house.held(token)
    process = await asyncio.create_subprocess_exec(
        how.command, *how.args, env=how.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    call = {"name": "git_status", "arguments": {"repo_path": str(house.repo)}}
    for frame in (
        {"jsonrpc": "2.0", "id": 1, "method": "initialize",
         "params": {"protocolVersion": "2025-11-25", "capabilities": {},
                    "clientInfo": {"name": "t", "version": "1"}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call},
    ):  # fmt: skip
        process.stdin.write(json.dumps(frame).encode() + b"\n")
    request = await house.asked()
    process.stdin.close()
    await asyncio.wait_for(process.wait(), PATIENCE)
    assert house.store.status(request.id).status == "withdrawn"

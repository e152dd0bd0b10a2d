"""As a new user: three servers, one command, and the client goes on, now behind the proxy."""

# ruff: noqa: E501
from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from nucleus.audit import jsonc
from tests.audit.stage import CREDENTIALS, audit, found
from tests.cli.command import ROOMS, Desk
from tests.house.source import ROOT

SECRET = CREDENTIALS["@@GITHUB@@"]
NPM = ROOT / ".npm" / "node_modules"

# Answers MCP, and tells what it was given.
TELLER = """
import json, os, sys
for line in sys.stdin:
    ask = json.loads(line)
    if ask.get("method") == "initialize":
        result = {"protocolVersion": ask["params"]["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": "teller", "version": "1"}}
    elif ask.get("method") == "tools/list":
        names = ["read_note", "frobnicate"]
        takes = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
        result = {"tools": [{"name": n, "inputSchema": takes} for n in names]}
    elif ask.get("method") == "tools/call":
        told = {k: os.environ.get(k, "") for k in ("API_TOKEN", "MODE", "FROM_CLIENT", "HOME")}
        result = {"content": [{"type": "text", "text": json.dumps(told)}]}
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": ask["id"], "result": result}), flush=True)
"""


class Shop:
    """A repository with three servers, beside a home with a token."""

    def __init__(self, root: Path) -> None:
        self.desk = Desk(root)
        self.desk.init()
        self.repo = root / "repo"
        (self.repo / "notes").mkdir(parents=True)
        (self.repo / "notes" / "a.txt").write_text("written before\n")
        subprocess.run(["git", "init", "-q", self.repo], check=True)
        (root / "teller.py").write_text(TELLER)
        self.config = self.repo / ".cursor" / "mcp.json"
        self.config.parent.mkdir()
        git = shutil.which("mcp-server-git", path=str(Path(sys.executable).parent))
        files = NPM / "@modelcontextprotocol" / "server-filesystem" / "dist" / "index.js"
        assert git is not None
        if not files.exists():
            pytest.fail("server-filesystem is missing; install it with: ./dev test, or "
                        "npm ci --prefix .npm with requirements/npm in it")  # fmt: skip
        node = shutil.which("node")
        assert node is not None
        self.before = (
            "{\n  // what the team uses\n  \"mcpServers\": {\n"
            f"    \"git\": {{\"command\": {json.dumps(git)}, \"args\": [\"--repository\", {json.dumps(str(self.repo))}]}},\n"
            f"    \"files\": {{\"command\": {json.dumps(node)}, \"args\": [{json.dumps(str(files))}, {json.dumps(str(self.repo))}]}},\n"
            f"    \"teller\": {{\n      \"command\": {json.dumps(sys.executable)},\n"
            f"      \"args\": [{json.dumps(str(root / 'teller.py'))}],\n"
            f"      \"env\": {{\"API_TOKEN\": \"{SECRET}\", \"MODE\": \"quiet\", \"FROM_CLIENT\": \"${{USER}}\"}}\n    }},\n"
            "  },\n  \"other\": [1, 2], /* kept */\n}\n"
        )  # fmt: skip
        self.config.write_text(self.before)
        self.token = self.desk.issue("agent", "--bearer", "--path", self.repo, "--ttl", "1h")

    def fix(self) -> Any:
        return self.desk.run("audit", self.repo, "--fix", "--token", self.token)

    def servers(self) -> dict[str, Any]:
        servers: dict[str, Any] = jsonc.parse(self.config.read_text()).value["mcpServers"]
        return servers

    async def client(self, name: str, tool: str, arguments: dict[str, Any]) -> Any:
        """What a client gets who starts the server as its configuration says, by the SDK's own."""
        entry = self.servers()[name]
        env = {**self.desk.environ(), **entry.get("env", {})}
        started = StdioServerParameters(command=entry["command"], args=entry["args"], env=env)
        async with (
            asyncio.timeout(60),
            stdio_client(started) as (reader, writer),
            ClientSession(reader, writer) as session,
        ):
            await session.initialize()
            listed = {each.name for each in (await session.list_tools()).tools}
            answer = await session.call_tool(tool, arguments)
            return listed, "".join(getattr(each, "text", "") for each in answer.content)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


def test_servers_that_are_asked_are_known(shop: Shop) -> None:
    shown = shop.desk.run("audit", shop.repo, "--live").out
    assert "teller: frobnicate" in shown
    assert "UNINHABITABLE" not in shown
    assert "may be uninhabitable" in shown


def test_a_new_users_three_servers_go_on_behind_the_proxy(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", ROOMS)
    assert ("plaintext-credential", ".cursor/mcp.json", 9) in found(audit(shop.repo))
    done = shop.fix().ok(0)
    assert done.out.count("is behind nucleus mcp") == 3, done.out + done.err
    assert "frobnicate is denied" in done.err

    after = shop.config.read_text()
    assert SECRET not in after
    assert "// what the team uses" in after
    assert "/* kept */" in after
    clear = [
        p for p in shop.desk.home.rglob("*") if p.is_file() and SECRET.encode() in p.read_bytes()
    ]
    assert clear == []

    again = shop.fix().ok(0)
    assert "behind the proxy already" in again.err
    assert shop.config.read_text() == after

    listed, text = asyncio.run(shop.client("git", "git_status", {"repo_path": str(shop.repo)}))
    assert "git_status" in listed
    assert "No commits yet" in text or "On branch" in text, text
    note = str(shop.repo / "notes" / "a.txt")
    _, text = asyncio.run(shop.client("files", "read_text_file", {"path": note}))
    assert "written before" in text
    _, text = asyncio.run(shop.client("files", "read_text_file", {"path": "/etc/passwd"}))
    assert "root:" not in text
    listed, text = asyncio.run(shop.client("teller", "read_note", {"path": note}))
    assert listed == {"read_note"}
    told = json.loads(text)
    assert told["API_TOKEN"] == SECRET
    assert told["MODE"] == "quiet"
    assert told["FROM_CLIENT"] == "${USER}"
    trace = shop.desk.run("trace", "show").ok(0).out
    assert "read_text_file" in trace
    assert SECRET not in trace

    back = shop.desk.run("audit", shop.repo, "--unfix").ok(0)
    assert back.out.count("is as it was") == 3
    assert shop.config.read_text() == shop.before
    assert list((shop.desk.home / "data" / "secrets").glob("*")) == []


def test_what_was_edited_since_stays(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ROOMS)
    shop.config.write_text(shop.before)
    shop.fix().ok(0)
    edited = shop.config.read_text().replace('"other": [1, 2]', '"other": [1, 2, 3]')
    shop.config.write_text(edited.replace('"--token"', '"--ask-for", "5m", "--token"', 1))
    shop.desk.run("audit", shop.repo, "--unfix").ok(1)
    text = shop.config.read_text()
    assert "[1, 2, 3]" in text
    assert text.count('"--ask-for"') == 1
    assert SECRET in text, "the others are back"
    shop.config.write_text(shop.before)


def test_a_fix_needs_a_token_that_this_host_believes(shop: Shop) -> None:
    shop.config.write_text(shop.before)
    assert "[audit.token]" in shop.desk.run("audit", shop.repo, "--fix").ok(2).err
    other = shop.desk.file("other.token", "nuc1_AAAA")
    shop.desk.run("audit", shop.repo, "--fix", "--token", other).ok(1)
    assert shop.config.read_text() == shop.before


def test_what_is_suggested_can_be_used(shop: Shop) -> None:
    shop.config.write_text(shop.before)
    text = shop.desk.run("audit", shop.repo, "--live", "--suggest").ok(0).out
    profile = text.split("```toml\n")[1].split("```")[0]
    path = shop.desk.file("profile.toml", profile)
    assert "audited" in shop.desk.run("profiles", "show", "--file", path).ok(0).out
    assert '"Mcp(git:git_status)"' in text
    assert "nucleus mcp --token agent.token --policy files.toml -- " in text
    assert SECRET not in text

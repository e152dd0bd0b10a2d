"""Real servers, the official clients of two languages, both roads and both eras: what passes direct
passes mediated, the same but for what policy changed. The table of docs/mcp.md is its cells."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from nucleus_issuer.store import Store
from nucleus_proxy.methods import OPENABLE
from nucleus_tokens.header import Holder
from tests.house.source import ROOT
from tests.proxy import run_proxy
from tests.proxy.stage import PATIENCE, within
from tests.proxy.test_many_servers import Served
from tests.support import world

NPM = ROOT / ".npm"
CLIENTS = ("Python", "TypeScript")
ERAS = ("legacy", "auto")  # 2025-11-25; 2026-07-28 where the server speaks it
ROADS = ("stdio", "HTTP")


@dataclass(frozen=True)
class Server:
    """One real server, and what is asked of it."""

    name: str
    command: list[str]
    calls: list[tuple[str, dict[str, Any]]]
    reads: list[str] = field(default_factory=list)
    prompts: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)


def servers(folder: Path) -> dict[str, Server]:
    (folder / "a.txt").write_text("what it says\n")
    node = str(Path(os.path.realpath("/usr/bin/node")))

    def npm(name: str) -> list[str]:
        return [node, str(NPM / "node_modules/@modelcontextprotocol" / name / "dist/index.js")]

    repo = folder / "repo"
    made = [
        Server(
            "everything", npm("server-everything"),
            [("echo", {"message": "h\u00e9"}), ("get-sum", {"a": 2, "b": 3}),
             ("get-annotated-message", {"messageType": "error", "includeImage": True}),
             ("get-resource-links", {"count": 2}),
             ("get-structured-content", {"location": "Chicago"}),
             ("get-resource-reference", {"resourceType": "Text", "resourceId": 1}),
             ("get-sum", {"a": "x"}), ("none", {})],
            ["demo://resource/static/document/features.md", "demo://none"],
            [("simple-prompt", {}), ("args-prompt", {"city": "Rome"}), ("none", {})],
        ),
        Server(
            "filesystem", [*npm("server-filesystem"), str(folder)],
            [("read_text_file", {"path": f"{folder}/a.txt"}),
             ("read_file", {"path": "/etc/passwd"}),
             ("list_allowed_directories", {}), ("get_file_info", {})],
        ),
        Server(
            "memory", npm("server-memory"),
            [("create_entities",
              {"entities": [{"name": "n", "entityType": "t", "observations": ["o"]}]}),
             ("read_graph", {}), ("search_nodes", {"query": "zz"}),
             ("delete_entities", {"entityNames": ["n"]})],
        ),
        Server(
            "sequential-thinking", npm("server-sequential-thinking"),
            [("sequentialthinking", {"thought": "a", "nextThoughtNeeded": True,
                                     "thoughtNumber": 1, "totalThoughts": 2})],
            env={"DISABLE_THOUGHT_LOGGING": "true"},
        ),
        Server(
            "git", [str(Path(sys.executable).with_name("mcp-server-git"))],
            [("git_status", {"repo_path": str(repo)}), ("git_status", {"repo_path": "/none"}),
             ("git_branch", {"repo_path": str(repo), "branch_type": "local"})],
        ),
    ]  # fmt: skip
    return {server.name: server for server in made}


NAMES = ("everything", "filesystem", "memory", "sequential-thinking", "git")
Job = dict[str, Any]


class Bench:
    """One server on its three roads: direct, and mediated on a pipe and over HTTP."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        self.server = server
        self.made = 0
        self.served: Served | None = None
        self.token = ""
        self.policy = ""

    def env(self) -> dict[str, str]:
        """A fresh memory for each run."""
        self.made += 1
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), **self.server.env,
            "MEMORY_FILE_PATH": str(self.folder / f"memory-{self.made}.jsonl"),
        }  # fmt: skip

    def job(self, road: str, mode: str) -> Job:
        """How a client is to come."""
        job: Job = {
            "name": f"{road} {mode}", "mode": mode, "calls": self.server.calls,
            "reads": self.server.reads, "prompts": self.server.prompts,
        }  # fmt: skip
        if road == "HTTP":
            assert self.served is not None
            return {**job, "url": f"http://127.0.0.1:{self.served.port}/mcp", "token": self.token}
        command, *args = self.server.command
        if road == "direct":
            return {**job, "command": command, "args": args, "env": self.env()}
        config = self.folder / f"held-{self.made}.json"
        policy = self.folder / f"policy-{self.made}.toml"
        policy.write_text(self.text())
        fields = {
            "state": str(self.folder / "state.sqlite"), "policy": str(policy),
            "reveals": str(self.folder / "reveals.jsonl"), "instance": "verifier:matrix",
            "token": self.token,
        }  # fmt: skip
        config.write_text(json.dumps(fields))
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        args = [run_proxy.__file__, "held", str(config)]
        return {**job, "command": sys.executable, "args": args, "env": env}

    def text(self) -> str:
        env = ", ".join(f"{k} = {json.dumps(v)}" for k, v in self.env().items())
        head = (
            f"version = 1\n[wall]\nid = 'matrix'\nshows = []\n"
            f"[methods]\nopen = {json.dumps(sorted(OPENABLE))}\n"
            f"[server]\ndanger_outside_cell = true\nenv = {{ {env} }}\n"
            f"command = {json.dumps(self.server.command)}\n"
        )
        return head + self.policy

    @asynccontextmanager
    async def mediated(self, tools: list[dict[str, Any]]) -> AsyncIterator[None]:
        """A token for all of it, and the server behind HTTP."""
        for tool in tools:
            # What admits to changing something is asked about where it is bound as a read.
            reads = (tool.get("annotations") or {}).get("readOnlyHint") is not False
            operation = "read_files" if reads else "write_files"
            self.policy += f'[tools.{json.dumps(tool["name"])}]\noperation = "{operation}"\n'
        now = int(time.time())
        token = world.mint(world.all_levels(), iat=now - 60, exp=now + 3600,
                           holder=Holder(None, None))  # fmt: skip
        self.token = world.text(token)
        store = Store.open(self.folder / "state.sqlite", create=True)
        store.open_cell(f"tree:{world.opened(token).prefix.rids[0]}", 0)
        store.close()
        self.served = Served(self.text())
        self.served.stage.clock.now = now
        self.served.stage.ledger.open_cell(f"tree:{world.opened(token).prefix.rids[0]}", 0)
        async with self.served.serving():
            yield


async def heard(work: Awaitable[Any]) -> Any:
    try:
        found = await work
    except MCPError as error:
        return {"failed": error.code}
    return found.model_dump(mode="json", by_alias=True, exclude_none=True)


async def in_python(job: Job) -> Any:
    """The same as matrix_client.mjs does."""
    how = (
        {"authorization": f"Bearer {job['token']}"} if "url" in job
        else StdioServerParameters(command=job["command"], args=job["args"], env=job["env"])
    )  # fmt: skip
    if isinstance(how, StdioServerParameters):
        return await _asked(how, job)
    async with httpx2.AsyncClient(headers=how, timeout=PATIENCE) as web:
        return await _asked(streamable_http_client(job["url"], http_client=web), job)


async def _asked(road: Any, job: Job) -> Any:
    async with Client(road, mode=job["mode"], read_timeout_seconds=PATIENCE) as client:
        can = client.server_capabilities
        found = {"tools": await heard(client.list_tools())}
        if can.resources:
            found["resources"] = await heard(client.list_resources())
            found["templates"] = await heard(client.list_resource_templates())
        if can.prompts:
            found["prompts"] = await heard(client.list_prompts())
        found["calls"] = [await heard(client.call_tool(n, args)) for n, args in job["calls"]]
        for uri in job["reads"]:
            found[uri] = await heard(client.read_resource(uri))
        for name, args in job["prompts"]:
            found[name] = await heard(client.get_prompt(name, args))
        return found


async def in_typescript(folder: Path, jobs: list[Job]) -> dict[str, Any]:
    path = folder / "jobs.json"
    heard_there = folder / "heard.json"
    path.write_text(json.dumps({"npm": str(NPM), "out": str(heard_there), "jobs": jobs}))
    script = Path(__file__).with_name("matrix_client.mjs")
    process = await asyncio.create_subprocess_exec(
        "node", str(script), str(path), stderr=subprocess.PIPE
    )
    _, err = await within(process.communicate())
    assert process.returncode == 0, err.decode()
    found: dict[str, Any] = json.loads(heard_there.read_bytes())
    return found


def unchanged(value: Any) -> Any:
    """What a client heard, without what policy changes: whose cache it may stay in, what we say in
    `_meta`, and the refusal of a tool that nobody named in place of the server's own."""
    if isinstance(value, list):
        return [unchanged(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "failed" in value:
        return "failed"
    meta = value.get("_meta")
    if isinstance(meta, dict) and "nucleus/refusal" in meta:
        return "failed"
    if value.get("isError") is True and "none not found" in json.dumps(value):
        return "failed"
    made = {k: unchanged(v) for k, v in value.items() if k not in ("cacheScope", "_meta")}
    if isinstance(meta, dict):
        kept = {k: v for k, v in meta.items() if not k.startswith("nucleus/")}
        made |= {"_meta": kept} if kept else {}
    return made


@pytest.mark.parametrize("name", NAMES)
async def test_what_passes_direct_passes_mediated(tmp_path: Path, name: str) -> None:
    assert (NPM / "node_modules").is_dir(), "npm ci --prefix .npm with requirements/npm in it"
    folder = tmp_path.resolve()
    for words in (["init", "-q", "-b", "main", "repo"],
                  ["-C", "repo", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit",
                   "-q", "--allow-empty", "-m", "first"]):  # fmt: skip
        subprocess.run(["git", *words], cwd=folder, check=True)
    bench = Bench(folder, servers(folder)[name])
    direct = {("Python", era): await in_python(bench.job("direct", era)) for era in ERAS}
    async with bench.mediated(direct["Python", "legacy"]["tools"]["tools"]):
        jobs = [bench.job(road, era) for road in ("direct", *ROADS) for era in ERAS]
        spoken = await in_typescript(folder, jobs)
        for era in ERAS:
            direct["TypeScript", era] = spoken[f"direct {era}"]
            for road in ROADS:
                for client in CLIENTS:
                    found = (
                        await in_python(bench.job(road, era))
                        if client == "Python"
                        else spoken[f"{road} {era}"]
                    )
                    cell = f"{client}, {road}, {era}"
                    assert unchanged(found) == unchanged(direct[client, era]), cell
                    assert any(unchanged(each) != "failed" for each in found["calls"]), cell


def test_the_page_shows_the_cells() -> None:
    text = (ROOT / "docs" / "mcp.md").read_text()
    shown = text.partition("<!-- matrix -->\n")[2].partition("<!-- /matrix -->")[0]
    assert shown == table()


def table() -> str:
    """The cells, as docs/mcp.md has them."""
    heads = [f"{client}, {road}" for client in CLIENTS for road in ROADS]
    lines = ["| server | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    lines += [f"| {name} | " + " | ".join(["both eras"] * len(heads)) + " |" for name in NAMES]
    return "\n".join(lines) + "\n"

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
from tests.proxy.http_served import Served
from tests.proxy.matrix_servers import NAMES, OF_NPM, Server, there
from tests.proxy.stage import PATIENCE
from tests.support import world
from tests.support.servers import NPM

CLIENTS = ("Python", "TypeScript")
ERAS = ("legacy", "auto")  # 2025-11-25; 2026-07-28 where the server speaks it
ROADS = ("stdio", "HTTP")


Job = dict[str, Any]


class Bench:
    """One server on its three roads: direct, and mediated on a pipe and over HTTP."""

    def __init__(self, folder: Path, server: Server, port: int = 0) -> None:
        """`port` is where the server is met that somebody else runs."""
        self.folder = folder
        self.server = server
        self.port = port
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
        if road == "direct" and self.port:
            return {**job, "url": f"http://127.0.0.1:{self.port}/mcp", "token": ""}
        if road == "direct":
            env = self.env()
            command, *args = self.command()
            return {**job, "command": command, "args": args, "env": env}
        config = self.folder / f"held-{self.made}.json"
        policy = self.folder / f"policy-{self.made}.toml"
        policy.write_text(self.text())
        fields = {
            "state": str(self.folder / "state.sqlite"), "policy": str(policy),
            "reveals": str(self.folder / "reveals.jsonl"), "instance": "verifier:matrix",
            "token": self.token, "port": self.port,
        }  # fmt: skip
        config.write_text(json.dumps(fields))
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        args = [run_proxy.__file__, "held", str(config)]
        return {**job, "command": sys.executable, "args": args, "env": env}

    def command(self) -> list[str]:
        return [word.replace("MADE", str(self.made)) for word in self.server.command]

    def text(self) -> str:
        env = ", ".join(f"{k} = {json.dumps(v)}" for k, v in self.env().items())
        how = (
            f'url = "http://127.0.0.1:{self.port}/mcp"\n' if self.port
            else f"danger_outside_cell = true\nenv = {{ {env} }}\n"
            f"command = {json.dumps(self.command())}\n"
        )  # fmt: skip
        head = (
            f"version = 1\n[wall]\nid = 'matrix'\nshows = []\n"
            f"[methods]\nopen = {json.dumps(sorted(OPENABLE))}\n"
        )
        return f"{head}[server]\n{how}{self.policy}"

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
        self.served = Served(self.text(), [self.port] if self.port else [])
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
        ({"authorization": f"Bearer {job['token']}"} if job["token"] else {}) if "url" in job
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
    try:
        _, err = await asyncio.wait_for(process.communicate(), PATIENCE * len(jobs))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
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


@pytest.mark.parametrize("name", OF_NPM)
async def test_what_passes_direct_passes_mediated(tmp_path: Path, name: str) -> None:
    await compared(tmp_path.resolve(), name)


async def compared(folder: Path, name: str) -> None:
    """Each client of a server hears the same on each road."""
    async with there(folder, name) as (server, port):
        await _compared(Bench(folder, server, port))


async def _compared(bench: Bench) -> None:
    direct = {("Python", era): await in_python(bench.job("direct", era)) for era in ERAS}
    async with bench.mediated(direct["Python", "legacy"]["tools"]["tools"]):
        jobs = [bench.job(road, era) for road in ("direct", *ROADS) for era in ERAS]
        spoken = await in_typescript(bench.folder, jobs)
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

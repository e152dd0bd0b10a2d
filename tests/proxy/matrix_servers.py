"""The real servers of the matrix, what is asked of each, and what they need around them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.proxy.stage import until
from tests.support.ports import free_port
from tests.support.servers import npm, pypi

OVER_HTTP = "everything over HTTP"  # its own transport: somebody else runs it
OF_NPM = ("everything", "filesystem", "memory", "sequential-thinking", OVER_HTTP)
OF_PYPI = ("git", "fetch", "sqlite")  # in a file of tests of their own: they start slowly
NAMES = (*OF_NPM, *OF_PYPI)
PAGE = b"<html><body><h1>Page</h1><p>what it says</p></body></html>"


@dataclass(frozen=True)
class Server:
    """One real server, and what is asked of it."""

    name: str
    command: list[str]
    calls: list[tuple[str, dict[str, Any]]]
    reads: list[str] = field(default_factory=list)
    prompts: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)


def servers(folder: Path, port: int) -> dict[str, Server]:
    """All of them. `port` is where a page and a server of HTTP may be."""
    repo, page = folder / "repo", f"http://127.0.0.1:{port}/a.txt"
    made = [
        Server(
            "everything", npm("server-everything"),
            [("echo", {"message": "h\u00e9"}), ("get-sum", {"a": 2, "b": 3}),
             ("get-annotated-message", {"messageType": "error", "includeImage": True}),
             ("get-resource-links", {"count": 2}),
             ("get-structured-content", {"location": "Chicago"}),
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
            "git", [pypi("git")],
            [("git_status", {"repo_path": str(repo)}), ("git_status", {"repo_path": "/none"}),
             ("git_branch", {"repo_path": str(repo), "branch_type": "local"})],
        ),
        Server(
            "fetch", [pypi("fetch"), "--allow-private-ips", "--ignore-robots-txt"],
            [("fetch", {"url": page}), ("fetch", {"url": page, "raw": True, "max_length": 4}),
             ("fetch", {"url": page + "x"}), ("fetch", {"url": 1}), ("fetch", {})],
            prompts=[("fetch", {"url": page}), ("fetch", {})],
            # Where it finds Node.js, a library of it installs what nobody pinned.
            env={"PATH": "/nonexistent"},
        ),
        Server(
            "sqlite", [pypi("sqlite"), "--db-path", str(folder / "MADE.db")],
            [("create_table", {"query": "CREATE TABLE t (a TEXT)"}), ("list_tables", {}),
             ("write_query", {"query": "INSERT INTO t VALUES ('h\u00e9')"}),
             ("read_query", {"query": "SELECT a FROM t"}), ("read_query", {"query": "DROP"}),
             ("describe_table", {"table_name": "t"}), ("describe_table", {}),
             ("write_query", {"query": "DROP TABLE t"})],
            ["memo://insights"], [("mcp-demo", {"topic": "shops"}), ("none", {})],
        ),
    ]  # fmt: skip
    made.append(replace(made[0], name=OVER_HTTP, command=[*made[0].command, "streamableHttp"]))
    return {server.name: server for server in made}


@asynccontextmanager
async def there(folder: Path, name: str) -> AsyncIterator[tuple[Server, int]]:
    """One of them with what it works on; and the port where it is met, 0 for a pipe."""
    (folder / "a.txt").write_text("what it says\n")
    for words in (["init", "-q", "-b", "main", "repo"],
                  ["-C", "repo", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit",
                   "-q", "--allow-empty", "-m", "first"]):  # fmt: skip
        subprocess.run(["git", *words], cwd=folder, check=True)
    port = free_port()
    server = servers(folder, port)[name]
    if name == "fetch":
        async with await asyncio.start_server(_page, "127.0.0.1", port):
            yield server, 0
    elif name == OVER_HTTP:
        async with run_at(port, server.command):
            yield server, port
    else:
        yield server, 0


@asynccontextmanager
async def run_at(port: int, command: list[str]) -> AsyncIterator[None]:
    """A server of HTTP while the block runs."""
    env = {"PATH": os.environ["PATH"], "PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def listens() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    try:
        await until(listens, "a server at its port")
        yield
    finally:
        process.kill()
        await process.wait()


async def _page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The one page that fetch reads; any other is not there."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = b"200 OK" if head.startswith(b"GET /a.txt ") else b"404 Not Found"
    writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-type: text/html\r\nconnection: close"
                 b"\r\ncontent-length: %d\r\n\r\n" % len(PAGE) + PAGE)  # fmt: skip
    await writer.drain()
    writer.close()

"""Law: a server is asked for its tools in a cell without network, and given no secret.

Somebody else's program runs here, so it runs where the proxy's own servers run. What is fetched at
each start (`npx`, `uvx`) is looked for where it is installed; what is not installed is not asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from nucleus.audit import credentials, packages, scrubbing
from nucleus.audit.facts import Server, Tool
from nucleus.audit.rules_servers import behind
from nucleus.audit.scrubbing import Scrub
from nucleus.shapes import items, table, text
from nucleus_proxy.server import installation
from nucleus_proxy.work import Runner, Work
from nucleus_tokens.errors import NucleusError

SECONDS: Final = 20.0
_LINE: Final = 4 * 1024 * 1024
_MOST_TOOLS: Final = 2000
_PAGES: Final = 20
_MANY: Final = 4  # at once
Answer = tuple[Tool, ...] | str  # or why not


async def ask_all(
    servers: Sequence[Server], runner: Runner, folder: Path
) -> list[tuple[Server, Answer]]:
    """Each server's tools, or why it was not asked."""
    gate = asyncio.Semaphore(_MANY)

    async def one(server: Server) -> tuple[Server, Answer]:
        async with gate:
            return server, await ask(server, runner, folder)

    return list(await asyncio.gather(*(one(each) for each in servers)))


async def ask(server: Server, runner: Runner, folder: Path) -> Answer:
    """The tools of one server, or why it was not asked; neither repeats what it was given."""
    scrub = scrubbing.of(server.env, behind(server).args)
    answer = await _asked(server, runner, folder)
    if isinstance(answer, str):
        return scrub.text(answer)
    return tuple(scrubbed(tool, scrub) for tool in answer)


async def _asked(server: Server, runner: Runner, folder: Path) -> Answer:
    argv = local(behind(server).argv, folder)
    if isinstance(argv, str):
        return argv
    try:
        async with asyncio.timeout(SECONDS):
            async with runner.opened(work(server, argv, folder)) as process:
                if process.stdin is None or process.stdout is None:
                    return "it has no pipes"
                return await listed(process.stdout, process.stdin)
    except TimeoutError:
        return f"it did not answer in {SECONDS:.0f} s"
    except NucleusError as error:
        return error.message
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        return f"it cannot be understood: {type(error).__name__}"


def local(argv: tuple[str, ...], folder: Path) -> tuple[str, ...] | str:
    """The command as it is installed here, or why it cannot be started."""
    if not argv:
        return "it is remote, and nothing is sent anywhere"
    package = packages.of(argv)
    if package is None:
        found = shutil.which(argv[0], path=os.environ.get("PATH"))
        return (found, *argv[1:]) if found else f"there is no command {argv[0]!r}"
    if package.registry == "image":
        return "it is an image"
    rest = _after(argv, package)
    if package.registry == "pypi":
        found = shutil.which(package.name)
        return (found, *rest) if found else f"{package.name} is not installed"
    for place in (folder, *folder.parents):
        start = place / "node_modules" / package.name
        if (start / "package.json").is_file():
            return _node(start, rest)
        hidden = place / ".npm" / "node_modules" / package.name
        if (hidden / "package.json").is_file():
            return _node(hidden, rest)
    return f"{package.name} is not installed"


def _after(argv: tuple[str, ...], package: packages.Package) -> tuple[str, ...]:
    for index, word in enumerate(argv):
        if index and package.name in word.lower():
            return argv[index + 1 :]
    return ()


def _node(folder: Path, rest: tuple[str, ...]) -> tuple[str, ...] | str:
    node = shutil.which("node")
    try:
        about = table(json.loads((folder / "package.json").read_bytes())) or {}
    except ValueError:
        about = {}
    named = about.get("bin")
    entry = named if type(named) is str else next(iter((table(named) or {}).values()), None)
    if node is None or type(entry) is not str:
        return "node is not installed" if node is None else "the package has no program"
    return (node, os.path.realpath(folder / entry), *rest)


def work(server: Server, argv: tuple[str, ...], folder: Path) -> Work:
    """The cell: the program where it is installed, and the folder, read-only."""
    program, shown = installation(argv[0])
    inside = [os.path.realpath(folder)]
    inside += [
        os.path.realpath(word) for word in argv[1:] if word.startswith("/") and _may_show(word)
    ]
    inside += [made_of(word) for word in argv[1:3] if "/node_modules/" in word]
    env = {k: "placeholder" if credentials.is_one(k, v) or credentials.named(k) else v
           for k, v in server.env.items()}  # fmt: skip
    readable = tuple(dict.fromkeys((*shown, *(p for p in inside if p != "/"))))
    return Work(
        argv=(program, *argv[1:]),
        cwd=os.path.realpath(folder),
        env=env,
        readable=readable,
        seconds=SECONDS,
        output_bytes=_LINE,
    )


def made_of(program: str) -> str:
    """What a program's file needs beside it: of a package of npm its whole tree."""
    at = program.find("/node_modules/")
    return os.path.realpath(program if at < 0 else program[:at] + "/node_modules")


def _may_show(path: str) -> bool:
    return os.path.exists(path) and os.path.realpath(path) not in ("/", os.path.expanduser("~"))


async def listed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
    async def request(number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        writer.write(json.dumps(message).encode() + b"\n")
        await writer.drain()
        while line := await reader.readline():
            answer = table(json.loads(line)) or {}
            if answer.get("id") == number and "method" not in answer:
                return table(answer.get("result")) or {}
        return {"ended": True}

    about = {"name": "nucleus-audit", "version": "1"}
    hello = await request(0, "initialize", {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": about,
    })  # fmt: skip
    if "ended" in hello:
        return "it ended before it answered"
    writer.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    found: list[Tool] = []
    cursor: str | None = None
    for page in range(_PAGES):
        result = await request(page + 1, "tools/list", {} if cursor is None else {"cursor": cursor})
        found += [_tool(each) for each in items(result.get("tools")) or () if table(each)]
        cursor = text(result.get("nextCursor"))
        if not cursor or len(found) > _MOST_TOOLS:
            break
    return tuple(each for each in found if each.name)[:_MOST_TOOLS]


def _tool(value: Any) -> Tool:
    each = table(value) or {}
    return Tool(
        text(each.get("name")) or "",
        text(each.get("description")) or "",
        table(each.get("annotations")) or {},
        table(each.get("inputSchema")) or {},
    )


def scrubbed(tool: Tool, scrub: Scrub) -> Tool:
    """A tool as the server says it, without what the server was given."""
    return Tool(
        scrub.text(tool.name),
        scrub.text(tool.description),
        scrub.value(tool.annotations),
        scrub.value(tool.schema),
    )


def with_tools(facts: Sequence[Any], answers: Sequence[tuple[Server, Answer]]) -> list[Any]:
    """The facts, each server with the tools it listed."""
    known = {id(server): answer for server, answer in answers if not isinstance(answer, str)}
    return [
        replace(fact, tools=known[id(fact)])
        if isinstance(fact, Server) and id(fact) in known
        else fact
        for fact in facts
    ]

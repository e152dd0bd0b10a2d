"""Law: whoever calls here is an ordinary MCP client; it knows nothing of tokens or of a proxy.

The official SDK's `Client` starts `nucleus mcp connect` as it would start any server over stdio.
What it sees is what every agent would see. (It takes a second to import: that is done where it is
used, while other things start.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nucleus.demo.differs import Differs
from nucleus.demo.world import PATIENCE, World, environment

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult

Heard = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one call. `code` is empty where the tool ran."""

    text: str
    ok: bool
    code: str = ""
    step: int = 0
    sentence: str = ""
    hint: str = ""
    refusal: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, result: CallToolResult) -> Answer:
        """Read a result; a refusal of nucleus stands in its `_meta` too."""
        from mcp.types import TextContent

        text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
        found = (result.meta or {}).get("nucleus/refusal")
        refusal = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
        return cls(
            text=text,
            ok=not result.is_error,
            code=str(refusal.get("code", "")),
            step=int(refusal.get("step", 0)),
            sentence=str(refusal.get("sentence", "")),
            hint=str(refusal.get("hint", "")),
            refusal=refusal,
        )


class Connection:
    """One MCP client with a server of its own behind the proxy. `open` it, `close` it."""

    def __init__(self, world: World, name: str, token: Path, key: Path, socket: Path) -> None:
        self.name = name
        self._log = world.root / f"{name}.client.log"
        command, *args = world.argv(
            "mcp",
            "connect",
            "--socket",
            str(socket),
            "--holder-key",
            str(key),
            "--token",
            str(token),
        )
        self._command, self._args, self._cwd = command, args, world.root
        self._open = asyncio.Event()
        self._shut = asyncio.Event()
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to connect; `ready` waits for it."""
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        from mcp import Client, StdioServerParameters, stdio_client

        server = StdioServerParameters(
            command=self._command, args=self._args, env=environment(), cwd=self._cwd
        )
        # One task enters and leaves the client: its cancel scopes belong to it.
        with self._log.open("w", encoding="utf-8") as log:
            async with Client(
                stdio_client(server, errlog=log), read_timeout_seconds=PATIENCE
            ) as client:
                self._client = client
                self._open.set()
                await self._shut.wait()

    async def ready(self) -> Client:
        """The client once it is connected. Raises Differs."""
        if self._task is None:
            self.start()
        task = self._task
        if task is None:
            raise Differs(f"{self.name} was not started")
        opened = asyncio.create_task(self._open.wait())
        await asyncio.wait({task, opened}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        if self._client is None or task.done():
            said = self._log.read_text(encoding="utf-8", errors="replace").strip()
            reason = task.exception() if task.done() and not task.cancelled() else None
            raise Differs(f"{self.name} could not connect: {said or reason or 'it took too long'}")
        return self._client

    async def call(
        self, tool: str, arguments: Mapping[str, object], heard: Heard | None = None
    ) -> Answer:
        """Call a tool. `heard` gets each message of progress."""

        from mcp import MCPError

        async def progress(progress: float, total: float | None, message: str | None) -> None:
            if heard is not None and message:
                heard(message)

        client = await self.ready()
        try:
            result = await client.call_tool(
                tool, dict(arguments), progress_callback=None if heard is None else progress
            )
        except MCPError as error:
            raise Differs(f"{self.name} called {tool} and got an error: {error}") from error
        return Answer.of(result)

    async def tools(self) -> list[str]:
        """The names of the tools it is shown."""
        from mcp import MCPError

        client = await self.ready()
        try:
            found = await client.list_tools(cache_mode="bypass")
        except MCPError as error:
            raise Differs(f"{self.name} asked for the tools and got an error: {error}") from error
        return sorted(tool.name for tool in found.tools)

    async def close(self) -> None:
        """Leave; the processes that were started for it end."""
        self._shut.set()
        if self._task is None:
            return
        if self._client is None:
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def connected(*who: Connection) -> None:
    """Start all of them, and wait until every one is there. Raises Differs."""
    for each in who:
        each.start()
    await asyncio.gather(*(each.ready() for each in who))

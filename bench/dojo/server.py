"""Law: the corpus' tools are met as any other: through an MCP server on a pipe.

One server for one task. It answers on a socket pair of this process: what the proxy does with it is
what it does with a server in a process of its own, and two thousand of them start in a minute.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from bench.dojo.corpus import Suite, World
from nucleus_proxy.pinning import Origin

_LINE: Final = 8 * 1024 * 1024


class DojoServer:
    """A running server, as the relay holds it: streams, and a way to end it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def stop(self, grace: float = 0) -> None:
        self.writer.close()

    def kill(self) -> None:
        self.writer.close()


class Starter:
    """Starts the server of one task."""

    needs_authority: Final = False

    def __init__(self, suite: Suite, world: World) -> None:
        self._suite = suite
        self._world = world

    def key(self, authority: Any) -> None:
        return None

    def cwd(self, authority: Any, tool: str = "") -> str:
        return "/"

    def origin(self, tool: str) -> tuple[Origin, str]:
        return Origin(self._suite.name), tool

    @asynccontextmanager
    async def started(self, authority: Any) -> AsyncIterator[Any]:
        near, far = socket.socketpair()
        ours = await asyncio.open_unix_connection(sock=near, limit=_LINE)
        theirs = await asyncio.open_unix_connection(sock=far, limit=_LINE)
        serving = asyncio.create_task(self._serve(*theirs))
        try:
            yield DojoServer(*ours)
        finally:
            ours[1].close()
            await serving

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            message = json.loads(line)
            if "id" not in message:
                continue
            answer = {"jsonrpc": "2.0", "id": message["id"], "result": self._answer(message)}
            writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        match message["method"]:
            case "initialize":
                return {
                    "protocolVersion": message["params"]["protocolVersion"],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": self._suite.name, "version": "1"},
                }
            case "tools/list":
                return {"tools": self._suite.listed}
            case "tools/call":
                params = message["params"]
                value, error = self._world.run(params["name"], params["arguments"])
                text = error or (value if type(value) is str else json.dumps(value))
                return {"content": [{"type": "text", "text": text}], "isError": bool(error)}
            case other:
                raise ValueError(other)

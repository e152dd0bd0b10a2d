"""A hostile server behind HTTP, and clients that speak it byte for byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.header import Holder
from tests.proxy.http_served import over_http
from tests.proxy.malicious_server import Host
from tests.proxy.stage import within
from tests.support import world

OLD, NEW = "2025-11-25", "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": NEW,
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass(frozen=True)
class Answer:
    """One answer of HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    def messages(self) -> list[Any]:
        """Those of a stream, or the one of a JSON answer."""
        if self.headers.get("content-type") == "text/event-stream":
            lines = self.body.decode().split("\n")
            return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
        return [json.loads(self.body)]

    @property
    def last(self) -> Any:
        return self.messages()[-1]


class Web:
    """A host whose server is reached over HTTP."""

    def __init__(self, folder: Path, more: str = "", **options: Any) -> None:
        self.host = Host(folder, more, **options)
        self.options: dict[str, Any] = {}
        self.port = 0

    def token(self, *caveats: list[Any]) -> str:
        return world.text(self.bearer(*caveats))

    def bearer(self, *caveats: list[Any]) -> UnverifiedToken:
        """A token that whoever brings it may use."""
        return self.host.token(*caveats, holder=Holder(None, None))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        host = self.host
        async with over_http(
            host.stage.mediator, host.live, host.log.append, host.stage.draw, **self.options
        ) as self.port:
            yield

    async def ask(
        self, token: str | None, message: Any, method: str = "POST", **headers: str | None
    ) -> Answer:
        """Send one request on a connection of its own, and read its whole answer."""
        reader, writer = await self.begin(token, message, method, **headers)
        try:
            status, fields = await head(reader)
            if fields.get("transfer-encoding") == "chunked":
                body = b""
                while size := int(await within(reader.readline()), 16):
                    body += (await within(reader.readexactly(size + 2)))[:-2]
            else:
                body = await within(reader.readexactly(int(fields["content-length"])))
            return Answer(status, fields, body)
        finally:
            writer.close()

    async def begin(
        self, token: str | None, message: Any, method: str = "POST", **headers: str | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send it, and leave its answer to be read. A header that is None is left out."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        fields: dict[str, str | None] = {
            "host": f"127.0.0.1:{self.port}",
            "accept": "application/json, text/event-stream",
            "content-type": "application/json" if method == "POST" else None,
            "content-length": str(len(body)) if method == "POST" else None,
            "authorization": None if token is None else f"Bearer {token}",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        target = fields.pop("target", None) or "/mcp"
        lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
        text = f"{method} {target} HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)
        writer.write(text.encode() + (body if method == "POST" else b""))
        return reader, writer

    async def hello(self, token: str, version: str = OLD) -> str:
        """A session of the old era."""
        params = {"protocolVersion": version, "capabilities": {}}
        answer = await self.ask(token, request(1, "initialize", params))
        assert answer.status == 200, answer
        assert answer.last["result"]["serverInfo"]["version"] == "1"
        session = answer.headers["mcp-session-id"]
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert (await self.ask(token, ready, mcp_session_id=session)).status == 202
        return session

    async def discover(self, token: str) -> None:
        """What a client of the new era does first."""
        said = {"mcp_protocol_version": NEW, "mcp_method": "server/discover"}
        answer = await self.ask(token, request(0, "server/discover", {"_meta": META}), **said)
        assert answer.status == 200, answer

    def call(self, number: Any, tool: str, **meta: Any) -> Any:
        args = {"path": f"{self.host.workspace}/docs/d.txt"}
        params: dict[str, Any] = {"name": tool, "arguments": args}
        return request(number, "tools/call", {**params, "_meta": meta} if meta else params)

    def modern(self, number: Any, tool: str, **meta: Any) -> tuple[Any, dict[str, str]]:
        """A call of the new era, and its headers."""
        said = {"mcp_protocol_version": NEW, "mcp_method": "tools/call", "mcp_name": tool}
        return self.call(number, tool, **META, **meta), said


def request(number: Any, method: str, params: Any = None) -> dict[str, Any]:
    made = {"jsonrpc": "2.0", "id": number, "method": method}
    return made if params is None else {**made, "params": params}


async def head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    text = (await within(reader.readuntil(b"\r\n\r\n"))).decode()
    first, *lines = text.strip().split("\r\n")
    return int(first.split()[1]), {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }


def said(answer: Answer) -> Any:
    """What a tool says, or the code of a refusal."""
    result = answer.last["result"]
    refusal = result.get("_meta", {}).get("nucleus/refusal")
    return refusal["code"] if refusal else json.loads(result["content"][0]["text"])

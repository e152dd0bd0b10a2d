"""The road outward on a real socket: a door, a mediator, a registry, clients that speak bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nucleus_proxy.egress.door import Door
from nucleus_proxy.egress.fetching import Fetcher
from nucleus_proxy.egress.httpd import HEAD_BYTES
from nucleus_proxy.egress.meter import Meter
from nucleus_proxy.egress.outside import Outside
from nucleus_proxy.egress.secrets import Secret
from nucleus_proxy.egress.tunnel import TunnelLimits
from nucleus_tokens.chain import UnverifiedToken
from tests.egress.far import fetcher
from tests.egress.live_stage import HEARD, LiveStage
from tests.proxy.stage import within
from tests.support import world

BASE = """
version = 1
{gate}
[wall]
id = "test"
shows = []
[tools.read]
operation = "read_files"
selectors = { "/path" = "path" }
[tools.net_fetch]
operation = "web_fetch"
selectors = { "/url" = "url" }
payload = ["/method", "/accept", "/body", "/content_type"]
[egress]
{egress}
"""
KEY = "the-real-key-of-the-proxy"


class Answer:
    """What came back: status, headers (lower case), body."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.rest = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.raw = raw
        self.status = int(lines[0].split(" ")[1]) if lines[0] else 0
        fields = [line.partition(": ") for line in lines[1:]]
        self.headers = {key.lower(): value for key, _, value in fields}
        self.body = self.rest
        if self.headers.get("transfer-encoding") == "chunked":
            self.body = unchunked(self.rest)


def unchunked(data: bytes) -> bytes:
    """The body out of its chunks, as far as it came."""
    body = b""
    while b"\r\n" in data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        body, data = body + data[:length], data[length + 2 :]
        if length == 0:
            break
    return body


class OutStage(LiveStage):
    """One verifier host with a socket outward."""

    def __init__(
        self,
        folder: Path,
        egress: str = "",
        *,
        client: Fetcher | None = None,
        ceil: tuple[list[Any], ...] = (),
        secrets: Mapping[str, str] | None = None,
        gate: str = "ask",
        poll: float = HEARD,
        seen: int = 0,
        tunnels: TunnelLimits | None = None,
        **options: Any,
    ) -> None:
        text = BASE.replace("{egress}", egress).replace("{gate}", f'gate = "{gate}"')
        super().__init__(text, poll=poll, ask_seconds=30, **options)
        self.path = folder / "egress.sock"
        self.held: UnverifiedToken = self.token(*(ceil or (world.all_levels(),)), seen=seen)
        made = fetcher() if client is None else client
        self.log: list[str] = []
        self._clients: list[asyncio.StreamWriter] = []
        rules = self.policy.egress
        self.outside = Outside(
            mediator=self.mediator,
            live=self.live,
            meter=Meter(self.live.watched(self.ledger)),
            fetcher=replace(made, methods={**made.methods, **rules.methods}),
            rules=rules,
            secrets={n: Secret(n, v.encode()) for n, v in (secrets or {"key": KEY}).items()},
            held=world.text(self.held),
            tunnels=tunnels or TunnelLimits(linger_seconds=5),
            log=self.log.append,
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[OutStage]:
        door = Door(self.outside)
        server = await asyncio.start_unix_server(door.connected, self.path, limit=HEAD_BYTES)
        async with self.watching():
            try:
                yield self
            finally:
                for writer in self._clients:
                    writer.close()
                server.close()
                await door.close()

    async def connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        pair = await asyncio.open_unix_connection(self.path)
        self._clients.append(pair[1])
        return pair

    async def say(self, raw: bytes) -> Answer:
        """Send bytes, say no more, and read to the end."""
        reader, writer = await self.connection()
        writer.write(raw)
        data = b""
        try:
            data = await within(self._whole(reader))
        except ConnectionError:
            pass
        writer.close()
        return Answer(data)

    @staticmethod
    async def _whole(reader: asyncio.StreamReader) -> bytes:
        """One answer, by its length, its chunks or the end of the connection."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            return error.partial
        low = head.lower()
        if b"content-length: " in low:
            size = int(low.split(b"content-length: ")[1].split(b"\r\n")[0])
            return head + await reader.readexactly(size)
        if b"transfer-encoding: chunked" in low:
            body = b""
            while not body.endswith(b"0\r\n\r\n"):
                piece = await reader.read(65536)
                if not piece:
                    break
                body += piece
            return head + body
        return head

    async def get(self, url: str, *headers: str, method: str = "GET") -> Answer:
        """A plain request through the proxy, as curl makes it with http_proxy."""
        host = url.split("/")[2]
        lines = [f"{method} {url} HTTP/1.1", f"Host: {host}", *headers, "", ""]
        return await self.say("\r\n".join(lines).encode())

    async def post(self, path: str, body: bytes, *headers: str, method: str = "POST") -> Answer:
        """A request on a route, as an SDK makes it with its base URL here."""
        lines = [
            f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json",
            f"Content-Length: {len(body)}", *headers, "", "",
        ]  # fmt: skip
        return await self.say("\r\n".join(lines).encode("latin-1") + body)

    def outcomes(self) -> list[Any]:
        return self.ledger.records("outcome")

"""Servers on loopback that say exactly what a test wants, and a fetcher that may reach them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from nucleus_proxy.effects import net
from nucleus_proxy.egress.dial import Dialer, Private
from nucleus_proxy.egress.fetching import Fetched, Fetcher, Limits
from nucleus_proxy.egress.resolving import PinnedResolver, Resolver
from tests.proxy.stage import Stage, granted, within

HOST = "site.test"
NOWHERE = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody
POLICY = """
version = 1
[wall]
id = "test"
shows = []
[tools.net_fetch]
operation = "web_fetch"
selectors = { "/url" = "url" }
payload = ["/method", "/accept", "/body", "/content_type"]
[tools.read]
operation = "read_files"
selectors = { "/path" = "path" }
"""
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(
    body: bytes = b"hello", status: str = "200 OK", kind: str = "text/plain", *more: str
) -> bytes:
    """A whole answer in HTTP/1.1."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Far:
    """A listener that remembers what it was sent."""

    def __init__(self, serve: Serve | bytes) -> None:
        self._serve = serve
        self.heads: list[bytes] = []
        self.port = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if isinstance(self._serve, bytes):
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(self._serve)
                await writer.drain()
            else:
                await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def far(serve: Serve | bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[Far]:
    """A server while the block runs: it says `serve`, or does it."""
    made = Far(serve)
    tasks: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(made.connected(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=tls)
    made.port = listener.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def fetcher(
    *ports: int,
    names: Mapping[str, Sequence[str]] | Resolver | None = None,
    tls: ssl.SSLContext = NOWHERE,
    private: Sequence[Private] | None = None,
    **limits: Any,
) -> Fetcher:
    """A fetcher that may reach `site.test` on these ports of loopback."""
    if names is None:
        names = {HOST: ["127.0.0.1"]}
    resolver = PinnedResolver(names) if isinstance(names, Mapping) else names
    if private is None:
        private = [Private(HOST, port, "127.0.0.1") for port in ports]
    dialer = Dialer(resolver=resolver, tls=tls, private=private, seconds=20)
    more = limits.pop("methods", {})
    return Fetcher(dialer, Limits(ports=frozenset((80, 443, *ports)), **limits), more)


async def fetch(client: Fetcher, url: str, stage: Stage | None = None, **args: Any) -> Fetched:
    """One fetch through a decision."""
    stage = stage or Stage(POLICY)
    token = stage.token()
    answered = granted(await stage.call(token, "net_fetch", {"url": url, **args}))
    call = answered.call
    return await within(net.fetch(answered.permit, call, stage.mediator.wall, client, call.args))

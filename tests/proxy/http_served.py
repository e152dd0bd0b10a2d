"""Servers behind one endpoint of HTTP, and the official client in front of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from nucleus.composing import Cells
from nucleus_proxy.http.serving import run_http
from nucleus_proxy.live import Live
from nucleus_proxy.mediator import Mediator
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.header import Holder
from nucleus_vmhost.bubblewrap import Bubblewrap
from tests.proxy import run_proxy
from tests.proxy.stage import PATIENCE, Stage, counted, within
from tests.support import world


@asynccontextmanager
async def over_http(
    mediator: Mediator,
    live: Live,
    log: Callable[[str], None],
    draw: Callable[[int], bytes],
    **options: Any,
) -> AsyncIterator[int]:
    """The mediator is reached while the block runs, with cells for its servers; at which port."""
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(
        run_http(
            0, mediator, live=live, draw=draw, log=log, runner=Cells(Bubblewrap()),
            ready=port.set_result, **options,
        )
    )  # fmt: skip
    try:
        yield await within(port)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class Served:
    """Servers behind one endpoint. `ports` of this machine may be dialled."""

    def __init__(self, policy: str, ports: Sequence[int] = ()) -> None:
        self.stage = Stage(policy)
        self.live = Live(poll_seconds=0.01)
        self.log: list[str] = []
        self.port = 0
        self.token: UnverifiedToken
        self.dialer = run_proxy.dialer(ports)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        async with over_http(
            self.stage.mediator, self.live, self.log.append, counted(70_000), dialer=self.dialer
        ) as self.port:
            yield

    def bearer(self, *ceil: Any) -> str:
        """A token that whoever brings it may use."""
        self.token = self.stage.token(*ceil, holder=Holder(None, None))
        return world.text(self.token)

    @asynccontextmanager
    async def client(self, era: str, token: str = "", **more: Any) -> AsyncIterator[Client]:
        headers = {"authorization": f"Bearer {token or self.bearer()}"}
        async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as web:
            road = streamable_http_client(f"http://127.0.0.1:{self.port}/mcp", http_client=web)
            async with Client(road, mode=era, read_timeout_seconds=PATIENCE, **more) as client:
                yield client

"""A stage whose ledger tells a registry of live effects when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from nucleus_proxy.answers import Granted, Refusal
from nucleus_proxy.live import Live, check
from tests.egress.far import POLICY
from tests.proxy.stage import Stage, within

# Long enough that only what is heard can explain a cut, and short enough to wait for a poll.
HEARD, POLLED = 3600.0, 0.01


class LiveStage(Stage):
    """A stage with a registry; `poll` is how often it looks without being told."""

    def __init__(self, text: str = POLICY, *, poll: float = HEARD, **options: Any) -> None:
        super().__init__(text, **options)
        self.live = Live(poll_seconds=poll)
        self.mediator.judge.ledger = self.live.watched(self.ledger)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.live.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class Running:
    """A live effect that does nothing but wait for its end."""

    def __init__(self, live: Live, granted: Granted) -> None:
        self.ended: asyncio.Future[Refusal] = asyncio.get_running_loop().create_future()
        self._held = live.held(check(granted.permit, granted.standing), self.ended.set_result)

    def __enter__(self) -> Running:
        self._held.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.__exit__(None, None, None)

    async def end(self) -> Refusal:
        return await within(self.ended)

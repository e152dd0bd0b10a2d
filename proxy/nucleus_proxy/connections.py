"""Law: of one socket so many connections are served at once; when it ends none is left, nor one
that was on its way here."""

from __future__ import annotations

import asyncio
from asyncio import StreamWriter
from collections.abc import Callable, Coroutine
from typing import Any

from nucleus_proxy.streams import reads_little


class Connections:
    """Those of one socket. `most` are served at once; `told` hears of each that is sent away."""

    def __init__(self, most: int, told: Callable[[str], None]) -> None:
        self._most, self._told = most, told
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False

    def take(self, writer: StreamWriter, serve: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Serve one, or send it away. It is closed when its service ends."""
        if self._over or len(self._tasks) >= self._most:
            if not self._over:
                self._told(f"refused a connection: {self._most} are open")
            writer.close()
            return
        reads_little(writer.transport)
        task = asyncio.get_running_loop().create_task(serve())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Not by the service alone: one that is cancelled before it began closes nothing.
        task.add_done_callback(lambda _: writer.close())

    async def close(self) -> None:
        """End every connection."""
        self._over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

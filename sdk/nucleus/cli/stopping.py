"""Law: a signal ends the work in order: what was begun is ended before the process is."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any


async def until_stopped(work: Coroutine[Any, Any, int]) -> int:
    """What the work returns; stopped by a signal, 128 and its number, with everything ended."""
    stopped: list[int] = []
    task = asyncio.ensure_future(work)

    def stop(number: int) -> None:
        stopped.append(number)
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        return 128 + stopped[0] if stopped else 1

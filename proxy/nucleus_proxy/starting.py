"""Law: a process that begins is never left half way, and whoever is cancelled leaves nothing of it.

Cancelled between two pipes of a process that starts, asyncio waits for the third for ever, or lets
the process go on. So the start is carried to its end, and then the process is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Coroutine
from typing import Any


async def begun(beginning: Coroutine[Any, Any, Process]) -> Process:
    """The process that `beginning` starts. Raises what it raises."""
    task = asyncio.ensure_future(beginning)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            await end(task.result())
        raise


async def end(process: Process) -> None:
    """Kill it, with its whole group where it leads one, and wait for that."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()

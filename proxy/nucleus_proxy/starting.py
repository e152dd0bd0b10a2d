"""Law: a process that starts is never left half way.

Cancelled between two pipes, asyncio would wait for the third for ever, or leave what runs by then.
So a start is always waited for; whoever was cancelled meanwhile has the process ended, as a group.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Coroutine
from typing import Any


async def started(starting: Coroutine[Any, Any, Process]) -> Process:
    """The process. Raises what starting does."""
    task = asyncio.ensure_future(starting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            await end(task.result())
        raise


async def end(process: Process) -> None:
    """Kill it, with its whole group where it leads one, and wait for it."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()

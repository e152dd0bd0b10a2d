"""A server that is cancelled at any moment of its start leaves no process, and hangs nobody."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from nucleus_proxy.server import ServerProcess
from nucleus_proxy.servers import ServerSpec
from tests.proxy.stage import within
from tests.support.processes import running

STEPS = 40


async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    mark = f"mark-{os.getpid()}-{tmp_path.name}"
    spec = ServerSpec(command=("/bin/sh", "-c", "sleep 1000 & wait", mark))
    ended = 0
    for steps in range(STEPS):
        task = asyncio.create_task(ServerProcess.start(spec, stderr=lambda _: None))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=30)
        assert done, f"it hangs when it is cancelled after {steps} steps"
        if task.cancelled():
            ended += 1
        else:
            await within(task.result().stop(0))
        assert running(mark) == 0
    assert ended

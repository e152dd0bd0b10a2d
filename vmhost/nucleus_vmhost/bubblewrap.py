"""Law: somebody else's code runs here or not at all, and what it was not given is not there.

The Runner: each piece of work gets a cell of its own, with pipes, and ends as a whole.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import Process
from typing import Final

from nucleus_vmhost import cell
from nucleus_vmhost.cell import Extras
from nucleus_vmhost.work import Done, Limits, Work

PROXY_PORT: Final = 3128
_CHUNK: Final = 64 * 1024


class Bubblewrap:
    """Runs work in cells. `limits` hold for each."""

    name = "bubblewrap"

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008  frozen
        self._limits = limits

    async def run(self, work: Work) -> Done:
        """Run it to its end or to its limits; then nothing of it is left.

        Raises CallerError `wall.work`, WorldError `wall.*` when no cell came to be.
        """
        async with cell.opened(work, self._limits, _extras(work)) as process:
            return await to_the_end(process, work)

    def opened(self, work: Work) -> contextlib.AbstractAsyncContextManager[Process]:
        """It runs, with pipes, while the block does; at its end nothing of it is left. It ends
        with this process, or when it is killed: as a whole.

        Raises CallerError `wall.work`, WorldError `wall.*` when no cell came to be.
        """
        return cell.opened(work, self._limits, _extras(work))


def _extras(work: Work) -> Extras:
    return Extras(routes={} if work.socket is None else {PROXY_PORT: work.socket})


async def to_the_end(process: Process, work: Work) -> Done:
    """Feed a cell that has begun, and read it, until it ends or reaches the limits of its work."""
    left = work.output_bytes
    full = False

    async def read(stream: asyncio.StreamReader | None) -> bytes:
        nonlocal left, full
        kept: list[bytes] = []
        while stream is not None and (data := await stream.read(_CHUNK)):
            kept.append(data[:left])
            if len(data) > left:
                full = True
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            left -= len(kept[-1])
        return b"".join(kept)

    async def feed() -> None:
        if process.stdin is not None:
            with contextlib.suppress(ConnectionError):
                process.stdin.write(work.stdin)
                await process.stdin.drain()
            process.stdin.close()

    out, err = (asyncio.create_task(read(s)) for s in (process.stdout, process.stderr))
    feeding = asyncio.create_task(feed())
    timed_out = False
    try:
        try:
            async with asyncio.timeout(work.seconds):
                await process.wait()
        except TimeoutError:
            timed_out = True
            await cell.end(process)
        stdout, stderr = await asyncio.gather(out, err)
    finally:
        for task in (out, err, feeding):
            task.cancel()
        await asyncio.gather(out, err, feeding, return_exceptions=True)
    return Done(exit_code(process), stdout, stderr, full, timed_out)


def exit_code(process: Process) -> int:
    """As a shell says it: 128 and the number of a signal that ended it."""
    code = process.returncode
    assert code is not None  # noqa: S101  it was waited for
    return code if code >= 0 else 128 - code

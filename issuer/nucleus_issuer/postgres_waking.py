"""Law: a wake-up says "look now" and nothing else; it may be lost, so whoever waits looks anyway.

NOTIFY is not durable: a node that is not connected in that moment never hears of it. The numbered
table of revocations is the truth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

CHANNEL: Final = "nucleus_revocations"
_AGAIN_SECONDS: Final = 1.0


async def keep_listening(
    connect: Callable[[], Awaitable[Any]], wake: Callable[[], object], errors: tuple[Any, ...]
) -> None:
    """Call `wake` for each notification, and once for each connection: something may have happened
    while there was none. Until cancelled."""
    while True:
        with suppress(*errors):
            await _listen(await connect(), wake)
        await asyncio.sleep(_AGAIN_SECONDS)


async def _listen(connection: Any, wake: Callable[[], object]) -> None:
    gone = asyncio.Event()
    connection.add_termination_listener(lambda _: gone.set())
    try:
        await connection.add_listener(CHANNEL, lambda *_: wake())
        wake()
        await gone.wait()
    finally:
        connection.terminate()
        # The transport closes its socket in a later turn of the loop.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

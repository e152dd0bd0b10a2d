"""Law: a call that waits for a person holds nothing, and its place ends with its caller.

The answer is read from the desk alone: nothing the agent's side says is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from nucleus_proxy.answers import Refusal, Withdrawn
from nucleus_verifier.ports import Desk, PendingRequest

Progress = Callable[[str], Awaitable[None]]

ASK_SECONDS: Final = 600
POLL_SECONDS: Final = 0.08
KEEP_ALIVE_SECONDS: Final = 5.0


class Caller:
    """Whoever wants one call; with `waits`, also if a person must answer for it first."""

    __slots__ = ("cancelled", "gone", "waits")

    def __init__(self, *, waits: bool = True) -> None:
        self.waits = waits
        self.cancelled = asyncio.Event()  # the caller said so: nothing shall run for it
        self.gone = False  # the caller left: nobody is asked on its behalf


async def wait(
    desk: Desk,
    asked: PendingRequest,
    progress: Progress,
    caller: Caller,
    poll_seconds: float,
) -> Refusal | Withdrawn | None:
    """Until it is answered, expires or is cancelled; None once it is approved."""
    owed = ", ".join(name for name, _ in asked.obligations)
    loop = asyncio.get_running_loop()
    spoken = float("-inf")
    try:
        while True:
            if loop.time() - spoken >= KEEP_ALIVE_SECONDS:
                spoken = loop.time()
                await progress(f"waiting for approval {asked.id} of {owed}")
            now = await asyncio.to_thread(desk.status, asked.id)
            if now.status == "approved":
                return None
            if now.status != "pending":
                return not_approved(now.status, now.reason)
            if not caller.gone:
                try:
                    await asyncio.wait_for(caller.cancelled.wait(), poll_seconds)
                except TimeoutError:
                    continue
            await asyncio.to_thread(desk.withdraw, asked.id)
            return Withdrawn()
    except asyncio.CancelledError:
        desk.withdraw(asked.id)
        raise


def not_approved(status: str, reason: str) -> Refusal:
    """The answer to a call whose request ended otherwise."""
    sentence = {
        "denied": "A person denied this call.",
        "expired": "Nobody approved this call in time.",
        "withdrawn": "The request was withdrawn.",
    }.get(status, "This call was not approved.")
    return Refusal(f"approval.{status}", 13, sentence, reason)

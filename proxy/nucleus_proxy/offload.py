"""Law: what blocks, on the disk above all, does not hold up the other clients of a proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Offload(Protocol):
    """How work that blocks, on the ledger's disk above all, is run from the event loop."""

    async def __call__(self, work: Callable[[], T]) -> T: ...


async def in_thread(work: Callable[[], T]) -> T:
    """In a thread: other clients of the same proxy are served meanwhile."""
    return await asyncio.to_thread(work)


async def inline(work: Callable[[], T]) -> T:
    """Here and now: for a proxy with one client, who waits for the answer anyway."""
    return work()

"""Law: a lease runs from before it was asked for, on a clock that sleep does not stop; no event of
the connection's end prolongs it.

What the issuer revokes, as its `Watch` says it. After a break it goes on by sequence number.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final

from nucleus_tokens.errors import NucleusError
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.rpc.client import IssuerClient

_AGAIN_SECONDS: Final = 0.1
_PENDING: Final = 64  # requests for a lease without an answer


def boottime() -> float:
    """Seconds since the machine was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Watched:
    """Revocations of an issuer elsewhere. `run` in the event loop; ask from any thread."""

    def __init__(
        self,
        client: IssuerClient,
        believe: Callable[[], Awaitable[None]] | None = None,
        *,
        now: Callable[[], float] = boottime,
    ) -> None:
        """`believe` fetches the trust bundle, and is awaited whenever there is another one: a lease
        counts only with the bundle it was given with."""
        self._client = client
        self._believe = believe
        self._bundle: bytes | None = None
        self._now = now
        self._seq = 0
        self._known: set[str] = set()
        self._until = float("-inf")
        self._lock = threading.Lock()

    @property
    def seq(self) -> int:
        return self._seq

    @property
    def lock(self) -> threading.Lock:
        return self._lock

    def fresh(self) -> bool:
        return self._now() < self._until

    def remaining(self) -> float:
        """How long the lease lasts from now."""
        return self._until - self._now()

    def revoked(self, rids: Iterable[str]) -> frozenset[str]:
        known = self._known
        return frozenset(rid for rid in rids if rid in known)

    async def run(self) -> None:
        """Watch for ever, connection after connection."""
        while True:
            try:
                await self._watch()
            except NucleusError:
                pass  # readiness says so once the lease has run out
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _watch(self) -> None:
        sent: dict[int, float] = {}
        wanted: asyncio.Queue[None] = asyncio.Queue(1)
        number = 0

        def ask() -> None:
            if wanted.empty():
                wanted.put_nowait(None)

        async def requests() -> AsyncIterator[pb.WatchRequest]:
            nonlocal number
            while True:
                await wanted.get()
                number += 1
                sent[number] = self._now()
                sent.pop(number - _PENDING, None)
                yield pb.WatchRequest(confirmed_seq=self._seq, number=number)

        ask()
        arriving: set[str] = set()
        timer: asyncio.TimerHandle | None = None
        try:
            async for event in self._client.watch(requests()):
                match event.WhichOneof("event"):
                    case "snapshot":
                        arriving |= {entry.rid.hex() for entry in event.snapshot.entries}
                        if event.snapshot.last:
                            self._apply(arriving, event.snapshot.seq, whole=True)
                            arriving = set()
                            ask()
                    case "entries":
                        rids = {entry.rid.hex() for entry in event.entries.entries}
                        self._apply(rids, event.entries.seq, whole=False)
                        ask()
                    case "heartbeat":
                        beat = event.heartbeat
                        began = sent.pop(beat.number, None)
                        if began is None or beat.seq > self._seq:
                            continue
                        await self._same_bundle(beat.bundle_digest)
                        seconds = beat.lease_millis / 1000
                        self._until = max(self._until, began + seconds)
                        if timer is not None:
                            timer.cancel()
                        timer = asyncio.get_running_loop().call_later(seconds / 3, ask)
                    case _:
                        continue
        finally:
            if timer is not None:
                timer.cancel()

    async def _same_bundle(self, digest: bytes) -> None:
        if self._believe is not None and digest != self._bundle:
            await self._believe()
            self._bundle = digest

    def _apply(self, rids: set[str], seq: int, *, whole: bool) -> None:
        with self._lock:
            if whole:
                self._known = rids
            else:
                self._known |= rids
            self._seq = max(self._seq, seq)

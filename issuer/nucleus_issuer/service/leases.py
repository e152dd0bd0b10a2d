"""Law: a revocation is effective once every lease that is older than it has confirmed or run out.

A lease says: up to the moment at which this node last read the revocations, you know them all; for
so long from that moment you may act on it. So whatever node gave a lease, and whether or not that
node still lives, it has run out a full lease after the entry was recorded. Where this node gave all
leases there are, it need not wait as long: it is enough that each of them has confirmed.

Times here are of CLOCK_BOOTTIME, which does not stop while the machine sleeps. One event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from nucleus_issuer.ports import Revocation
from nucleus_issuer.store import Store
from nucleus_tokens.errors import CallerError, WorldError

LEASE_SECONDS: Final = 10.0
# Between two looks at the revocations of other nodes and processes.
POLL_SECONDS: Final = 0.2
MOST_WATCHERS: Final = 4096
_RECENT: Final = 4096
_BATCH: Final = 1000


def boottime() -> float:
    """Seconds since the machine was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Watcher:
    """One verifier that watches: what it has confirmed, and until when its lease may run."""

    __slots__ = ("confirmed", "here", "until")

    def __init__(self) -> None:
        self.here = True
        self.confirmed = 0
        self.until = 0.0  # no lease


class Leases:
    """What this node knows of revocations, and who relies on it.

    `alone` says that no other node gives leases on this state. `now` counts seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        alone: bool,
        seconds: float = LEASE_SECONDS,
        every: float = POLL_SECONDS,
        now: Callable[[], float] = boottime,
    ) -> None:
        """`every` so many seconds `poll` looks, whether or not it hears of anything."""
        self._store = store
        self._every = every
        self._alone = alone
        self.seconds = seconds
        self._now = now
        self.seq = 0
        self._read_at = float("-inf")  # everything that was recorded before is known
        self._started = now()  # a life before this one may have given leases until then
        self._recent: deque[Revocation] = deque(maxlen=_RECENT)
        self._known_since: deque[tuple[int, float]] = deque(maxlen=_RECENT)
        self._watchers: set[Watcher] = set()
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._heard = asyncio.Event()

    # What is known ------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Learn what was recorded before this call. Raises WorldError."""
        async with self._turn:
            while True:
                asked = self._now()
                first = self._read_at == float("-inf")
                after = self.seq
                found, seq = await asyncio.to_thread(self._store.news, after, _BATCH)
                if seq < after:
                    raise WorldError(
                        "store.rolled_back",
                        "The state knows fewer revocations than before: it is an older copy.",
                    )
                self._recent.extend(found)
                self.seq = seq
                if seq > after:
                    # They were recorded before now, and before we started if they come first.
                    self._known_since.append((seq, self._started if first else self._now()))
                    self._wake()
                if len(found) < _BATCH:
                    stale, self._read_at = not self.fresh, asked
                    if stale:
                        self._wake()
                    return

    async def poll(self, failed: Callable[[WorldError], None]) -> None:
        """Look again and again, and at once when `hear` was called, until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._heard.wait(), self._every)
            self._heard.clear()
            try:
                await self.refresh()
            except WorldError as error:
                failed(error)

    def hear(self) -> None:
        """Somebody says that there is something to see."""
        self._heard.set()

    @property
    def fresh(self) -> bool:
        """Whether a lease could be given now."""
        return self.remaining() > 0

    def remaining(self) -> float:
        """How long a lease lasts that is given now; what was read last counts from then."""
        return self._read_at + self.seconds - self._now()

    async def after(self, seq: int) -> tuple[list[Revocation], int]:
        """Entries after `seq`, and the number up to which these are all. Raises CallerError
        `watch.ahead`, WorldError."""
        if seq > self.seq:
            raise CallerError(
                "watch.ahead", "The verifier knows revocations that this issuer does not: stop."
            )
        if self._recent and len(self._recent) < _RECENT and self._recent[0].seq <= seq + 1:
            return [entry for entry in self._recent if entry.seq > seq], self.seq
        return await asyncio.to_thread(self._store.news, seq, _BATCH)

    # Who watches --------------------------------------------------------------------------------

    def join(self) -> Watcher:
        """A new watcher, without a lease. Raises CallerError `watch.full`."""
        self._forget()
        if len(self._watchers) >= MOST_WATCHERS:
            raise CallerError("watch.full", f"{MOST_WATCHERS} verifiers watch already.")
        made = Watcher()
        self._watchers.add(made)
        return made

    def leave(self, watcher: Watcher) -> None:
        """It hears nothing any more; its lease goes on until it has run out."""
        watcher.here = False
        self._forget()

    def confirm(self, watcher: Watcher, seq: int) -> None:
        """It has applied everything up to `seq`."""
        if seq > watcher.confirmed:
            watcher.confirmed = seq
            self._wake()

    def lease(self, watcher: Watcher) -> float:
        """Give it a lease: how many seconds from now. 0 if it must first confirm what is known, or
        if this node does not know enough."""
        seconds = self.remaining()
        if watcher.confirmed < self.seq or seconds <= 0:
            return 0
        watcher.until = max(watcher.until, self._now() + seconds)
        return seconds

    @property
    def watchers(self) -> int:
        """How many rely on this node. May be asked from another thread."""
        return len(self._watchers)

    # Waiting ------------------------------------------------------------------------------------

    async def change(self, seconds: float) -> None:
        """Until something is new, or so much time has passed."""
        changed = self._changed
        try:
            await asyncio.wait_for(changed.wait(), seconds)
        except TimeoutError:
            pass

    async def effective(self, seq: int) -> None:
        """Until the entry `seq` binds every verifier. Raises WorldError."""
        if self.seq < seq:
            await self.refresh()
        # It was recorded before this node knew of it, so every lease without it has run out then:
        run_out = self.seconds + next(
            (at for upto, at in self._known_since if upto >= seq), self._now()
        )
        while (seconds := self._still(seq, run_out)) > 0:
            await self.change(seconds)

    def _still(self, seq: int, run_out: float) -> float:
        """How long until it is effective, if nobody confirms."""
        now = self._now()
        if self._alone:
            leases = [w.until for w in self._watchers if w.confirmed < seq]
            run_out = min(run_out, max([*leases, self._started + self.seconds]))
        return run_out - now

    def _forget(self) -> None:
        now = self._now()
        self._watchers = {w for w in self._watchers if w.here or w.until > now}

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

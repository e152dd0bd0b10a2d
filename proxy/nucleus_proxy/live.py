"""Law: what still runs is decided again whenever the world moved, and cut when it would not start.

A tunnel, a stream, a process or a server's call stays under the permit it began with. Soon after
each commit here, and at least once in each poll interval (for what another process or the clock
changed), every live effect is judged again from step 6: with the facts of now, but with its own
arrival, its own evidence and what it paid already. A Deny cuts it, and so does an obligation that
its permit did not discharge. So does a ledger that cannot be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from nucleus_proxy.answers import Granted, Refusal, Standing
from nucleus_proxy.native import Effect, Tools, Value
from nucleus_tokens.errors import CallerError, NucleusError, WorldError
from nucleus_verifier.clear import reconsider
from nucleus_verifier.commit import Permit
from nucleus_verifier.decision import Allow, Ask, Deny, Intent
from nucleus_verifier.ports import Ledger, Snapshot, Wanted

POLL_SECONDS: Final = 0.5
GATHER_SECONDS: Final = 0.05
MOST_LIVE: Final = 1024
Cut = Callable[[Refusal], None]


class WasCut(WorldError):
    """A running effect was ended. Its code says why it might not go on."""


def again(
    permit: Permit, standing: Standing, held: Mapping[str, int] | None = None
) -> Refusal | None:
    """Decide a running call again, in a thread: why it may not go on, or None.

    What its own permit spent is not counted against it. `held` is what is promised to others but
    not spent yet, by counter. Raises WorldError when the ledger cannot be read.
    """
    now = standing.look()
    own = {spend.counter: spend.amount for spend in permit.intent.spends}
    more = held or {}
    spent = {c: max(0, n - own.get(c, 0)) + more.get(c, 0) for c, n in now.spent.items()}
    facts = replace(
        standing.arrival,
        now=now.now,
        clock_ok=now.clock_ok,
        lease_ok=now.lease_ok,
        revoked=now.revoked,
        spent=spent,
        wall=now.wall,
        tree=now.tree,
        approvals=now.approvals,
    )
    decision = reconsider(standing.credential, permit.intent.call, facts)
    match decision:
        case Deny():
            return Refusal.denied(decision)
        case Ask():
            new = [o for o in decision.obligations if o.id not in permit.intent.discharged]
            if not new:
                return None
            owed = "; ".join(f"{o.id}: {o.why}" for o in new)
            return Refusal("effect.cut", 13, f"It would now need an approval. {owed}.", "Ask anew.")
        case Allow():
            return None


class Live:
    """The running effects of one proxy. A composition owns it and gives `watched(ledger)` to the
    mediator, so that every commit is heard."""

    def __init__(self, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._poll_seconds = poll_seconds
        self._moved = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: dict[object, tuple[Callable[[], Refusal | None], Cut]] = {}

    def watched(self, ledger: Ledger) -> Ledger:
        """The same ledger, whose changes wake us."""
        return _Watched(ledger, self.changed)

    def changed(self) -> None:
        """Something moved: decide again, soon. May be called from any thread."""
        if self._moved.is_set():
            return  # whoever watches has not begun to look
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._moved.set)

    @contextmanager
    def held(
        self, check: Callable[[], Refusal | None], cut: Cut, *, at_once: bool = True
    ) -> Iterator[None]:
        """An effect that runs while the block does. `check` decides again, in a thread; `cut`
        ends the effect at once and is called at most once, from the event loop. Not `at_once`,
        what moved since its decision is heard at the next poll: most calls are over before.

        Raises CallerError `live.full`.
        """
        if len(self._running) >= MOST_LIVE:
            raise CallerError("live.full", f"More than {MOST_LIVE} effects would run at once.")
        key = object()
        self._running[key] = (check, cut)
        if at_once:
            # What moved between its decision and now is heard as well.
            self._moved.set()
        try:
            yield
        finally:
            self._running.pop(key, None)

    def tools(self, tools: Tools) -> Tools:
        """The same tools, whose effects are watched while they run and cancelled when cut. For
        those that go on, commands above all, and end whole when they are cancelled."""
        return {
            name: replace(tool, run=partial(self._watched, tool.run))
            for name, tool in tools.items()
        }

    async def _watched(self, run: Effect, granted: Granted, cell: str) -> Value:
        cut: list[Refusal] = []
        task = asyncio.ensure_future(run(granted, cell))

        def end(refusal: Refusal) -> None:
            cut.append(refusal)
            task.cancel()

        try:
            with self.held(check(granted.permit, granted.standing), end):
                return await task
        except asyncio.CancelledError:
            if not cut:
                raise  # somebody else cancels us
            raise WasCut(cut[0].code, cut[0].sentence, hint=cut[0].hint) from None
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._running)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch while the block runs."""
        watch = asyncio.create_task(self.run())
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def run(self) -> None:
        """Watch until cancelled; the composition keeps this task. Whatever still runs when it
        ends is cut: nobody would watch it."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    # Not wait_for: in Python 3.11 it can swallow our own cancellation.
                    async with asyncio.timeout(self._poll_seconds):
                        await self._moved.wait()
                    # What moves together is looked at once, and most calls are over by then.
                    await asyncio.sleep(GATHER_SECONDS)
                except TimeoutError:
                    pass
                self._moved.clear()
                await self.round()
        finally:
            self._loop = None
            for key in list(self._running):
                self._cut(key, Refusal("effect.unwatched", 0, "The proxy ends.", ""))

    async def round(self) -> None:
        """Decide every running effect again, once."""
        for key, (check, _) in list(self._running.items()):
            if key not in self._running:
                continue
            try:
                refusal = await asyncio.to_thread(check)
            except NucleusError as error:
                refusal = Refusal.failed(error)
            if refusal is not None:
                self._cut(key, refusal)

    def _cut(self, key: object, refusal: Refusal) -> None:
        found = self._running.pop(key, None)
        if found is not None:
            found[1](refusal)


def check(permit: Permit, standing: Standing) -> Callable[[], Refusal | None]:
    """The check of one effect, for `Live.held`."""
    return partial(again, permit, standing)


class _Watched:
    """A ledger that tells when it changed. A record that changes nothing wakes nobody."""

    def __init__(self, ledger: Ledger, changed: Callable[[], None]) -> None:
        self._ledger = ledger
        self._changed = changed

    def read(self, wanted: Wanted) -> Snapshot:
        return self._ledger.read(wanted)

    def commit(self, intent: Intent, record: Mapping[str, object]) -> Deny | int:
        done = self._ledger.commit(intent, record)
        self._changed()
        return done

    def append(self, record: Mapping[str, object]) -> int:
        return self._ledger.append(record)

    def open_cell(self, cell_id: str, bits: int, by: tuple[int, str] | None = None) -> None:
        self._ledger.open_cell(cell_id, bits, by)
        self._changed()

"""kill -9 of the issuer, again and again, while clients order and revoke and a verifier watches."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.rpc.client import IssuerClient
from tests.issuer.making import SCALE
from tests.service.stage import Stage, order, running
from tests.service.verifier import Verifier

KILLS = 20 if SCALE == 1 else 10 * SCALE


class Run:
    """What clients were told, and what must therefore be true."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.issued: dict[str, str] = {}  # order -> tid, as acknowledged
        self.lost: set[str] = set()  # orders whose answer was lost: carried out, text unknown
        self.recorded: dict[str, int] = {}  # rid -> seq
        self.told = asyncio.Condition()
        self.acts = 0

    async def act(self) -> None:
        async with self.told:
            self.acts += 1
            self.told.notify_all()

    async def until(self, acts: int) -> None:
        async with self.told:
            await asyncio.wait_for(self.told.wait_for(lambda: self.acts >= acts), 60)

    async def work(self, name: str, verifier: Verifier) -> None:
        """Order with a key until there is an answer, revoke, order anew."""
        async with self.stage.client("agent") as client:
            for n in itertools.count():
                key = f"{name}-{n}"
                made = await self._issue(client, key)
                if made is None:
                    self.lost.add(key)
                    continue
                self.issued[key] = made.tid
                await self.act()
                await _insist(lambda: self._revoke(client, made, verifier))  # noqa: B023

    async def _issue(self, client: IssuerClient, key: str) -> pb.Minted | None:
        """None: it was carried out before, and the answer was lost."""
        try:
            made: pb.Minted = await _insist(lambda: client.issue(order(key, memo=key)))
        except CallerError as error:
            if error.code == "token.already_issued":
                return None
            raise
        return made

    async def _revoke(self, client: IssuerClient, made: pb.Minted, verifier: Verifier) -> None:
        async for event in client.revoke(pb.RevokeRequest(rid=made.rid)):
            if event.WhichOneof("event") == "recorded":
                self.recorded[made.rid] = event.recorded.entry.seq
                await self.act()
            else:
                assert not verifier.allows(made.rid), "effective, and somebody still allows it"
                await self.act()


async def _insist(ask: Any) -> Any:
    """Ask until the service answers."""
    while True:
        try:
            return await ask()
        except NucleusError as error:
            if error.code != "service.unreachable":
                raise
            await asyncio.sleep(0.02)


async def _ended(task: Awaitable[Any]) -> None:
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.slow
async def test_nothing_recorded_is_lost_and_nothing_is_issued_twice(tmp_path: Path) -> None:
    with running(tmp_path, "--lease", "1s") as stage:
        await asyncio.to_thread(stage.register)
        run = Run(stage)
        async with stage.client("tool") as tool:
            verifier = Verifier(tool)
            tasks = [asyncio.ensure_future(verifier.run())]
            tasks += [asyncio.ensure_future(run.work(f"w{n}", verifier)) for n in range(4)]
            for kill in range(KILLS):
                # Somewhere in the work, another place each time.
                await run.until(run.acts + 1 + kill * 5 % 7)
                await asyncio.to_thread(stage.kill)
                for task in tasks:
                    assert not task.done(), task.exception()
                await asyncio.to_thread(stage.start)
            await run.until(run.acts + 5)
            for task in tasks[1:]:
                task.cancel()
                await _ended(task)
            latest = max(run.recorded.values())
            async with verifier.changed:
                await asyncio.wait_for(
                    verifier.changed.wait_for(lambda: verifier.seq >= latest), 20
                )
            tasks[0].cancel()
            await _ended(tasks[0])
        with stage.store() as store:
            assert set(store.revoked(run.recorded)) == set(run.recorded), "recorded, and gone"
            assert set(run.recorded) <= verifier.revoked
            made = Counter(issued.memo for issued in store.inventory())
            assert max(made.values()) == 1, "one request, two tokens"
            for key, tid in run.issued.items():
                known = store.issued(tid)
                assert known is not None, "acknowledged, and gone"
                assert known.memo == key
            assert run.lost <= set(made)
        assert len(run.recorded) >= KILLS

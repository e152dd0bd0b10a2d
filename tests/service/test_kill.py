"""kill -9 of issuer and database, while clients order and revoke and a verifier watches."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Iterator
from contextlib import aclosing, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from nucleus_issuer.store import Store
from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.rpc.client import IssuerClient
from tests.issuer.making import SCALE
from tests.issuer.postgres_server import Server
from tests.issuer.postgres_server import running as postgres
from tests.service.stage import Stage, order, running
from tests.service.verifier import Verifier

KILLS = 20 if SCALE == 1 else 10 * SCALE
SECONDS = 60.0  # for a step that takes about one
POSTGRES_KILLS = 6 if SCALE == 1 else 10 * SCALE


class Run:
    """What clients were told, and what must therefore be true."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.issued: dict[str, str] = {}  # order -> tid, as acknowledged
        self.lost: set[str] = set()  # orders whose answer was lost: carried out, text unknown
        self.recorded: dict[str, int] = {}  # rid -> seq
        self.told = asyncio.Condition()
        self.tasks: list[asyncio.Task[None]] = []
        self.acts = 0
        self.effective = 0

    async def act(self) -> None:
        async with self.told:
            self.acts += 1
            self.told.notify_all()

    async def until(self, acts: int, effective: int = 0) -> None:
        """Until so much has happened. What ends a task is raised; who waits for what is told."""

        async def so_far() -> None:
            async with self.told:
                await self.told.wait_for(lambda: self.acts >= acts and self.effective >= effective)

        waiting = asyncio.ensure_future(so_far())
        done, _ = await asyncio.wait(
            {waiting, *self.tasks}, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            task.result()
        if waiting in done:
            return
        waiting.cancel()
        stands = [f"{self.acts} of {acts} acts, {self.effective} of {effective} effective"]
        for task in self.tasks:
            task.print_stack(file=(stack := StringIO()))
            stands.append(stack.getvalue())
        pytest.fail("\n".join([*stands, "the issuer said:", "".join(self.stage.log[-40:])]))

    async def work(self, name: str, verifier: Verifier, *, waits: bool) -> None:
        """Order with a key until there is an answer, revoke, order anew; who `waits` does until the
        revocation is effective."""
        async with self.stage.client("agent") as client:
            for n in itertools.count():
                key = f"{name}-{n}"
                made = await self._issue(client, key)
                if made is None:
                    self.lost.add(key)
                    continue
                self.issued[key] = made.tid
                await self.act()
                await _insist(lambda: self._revoke(client, made, verifier, waits))  # noqa: B023

    async def _issue(self, client: IssuerClient, key: str) -> pb.Minted | None:
        """None: it was carried out before, and the answer was lost."""
        try:
            made: pb.Minted = await _insist(lambda: client.issue(order(key, memo=key)))
        except CallerError as error:
            if error.code == "token.already_issued":
                return None
            raise
        return made

    async def _revoke(
        self, client: IssuerClient, made: pb.Minted, verifier: Verifier, waits: bool
    ) -> None:
        async with aclosing(client.revoke(pb.RevokeRequest(rid=made.rid))) as events:
            async for event in events:
                if event.WhichOneof("event") == "recorded":
                    self.recorded[made.rid] = event.recorded.entry.seq
                    await self.act()
                    if not waits:
                        return
                else:
                    assert not verifier.allows(made.rid), "effective, and somebody still allows it"
                    self.effective += 1
                    await self.act()


async def _insist(ask: Any) -> Any:
    """Ask until the service answers."""
    while True:
        try:
            return await ask()
        except NucleusError as error:
            if error.code != "service.unreachable" and not error.code.startswith("store."):
                raise
            await asyncio.sleep(0.02)


async def _ended(task: Awaitable[Any]) -> None:
    with suppress(asyncio.CancelledError):
        await task


class Sqlite:
    """The state is a file; what dies is the issuer."""

    kills = KILLS
    words: tuple[str, ...] = ()

    def kill(self, stage: Stage, _: int) -> None:
        stage.kill()

    def start(self, stage: Stage, _: int) -> None:
        stage.start()

    def store(self, stage: Stage) -> Store:
        return stage.store()


class Database:
    """The state is a PostgreSQL server; it dies, the issuer dies, or both do."""

    kills = POSTGRES_KILLS

    def __init__(self, server: Server) -> None:
        self.server = server
        self.words = ("--postgres", server.address)

    def kill(self, stage: Stage, n: int) -> None:
        if n % 3 != 1:
            self.server.kill()
        if n % 3 != 0:
            stage.kill()

    def start(self, stage: Stage, n: int) -> None:
        if n % 3 != 1:
            self.server.start()
        if n % 3 != 0:
            stage.start()

    def store(self, stage: Stage) -> Store:
        return Store.open_postgres(self.server.address, stage.home / "test.anchor")


@pytest.fixture(params=["sqlite", "postgres"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sqlite | Database]:
    if request.param == "sqlite":
        yield Sqlite()
        return
    with postgres() as server:
        Store.open_postgres(server.address, tmp_path / "made.anchor", create=True).close()
        yield Database(server)


@pytest.mark.slow
async def test_nothing_recorded_is_lost_and_nothing_is_issued_twice(
    tmp_path: Path, state: Sqlite | Database
) -> None:
    with running(tmp_path, "--lease", "1s", *state.words) as stage:
        await asyncio.to_thread(stage.register)
        run = Run(stage)
        async with stage.client("tool") as tool:
            verifier = Verifier(tool)
            run.tasks.append(asyncio.ensure_future(verifier.run()))
            run.tasks += [
                asyncio.ensure_future(run.work(f"w{n}", verifier, waits=n % 2 == 0))
                for n in range(4)
            ]
            for kill in range(state.kills):
                # Somewhere in the work, another place each time.
                more = kill % 4 == 0  # a fresh issuer first waits for the leases of the one before
                await run.until(run.acts + 1 + kill * 5 % 7, run.effective + more)
                await asyncio.to_thread(state.kill, stage, kill)
                await asyncio.to_thread(state.start, stage, kill)
            await run.until(run.acts + 5)
            for task in run.tasks[1:]:
                task.cancel()
                await _ended(task)
            latest = max(run.recorded.values())
            async with verifier.changed:
                await asyncio.wait_for(
                    verifier.changed.wait_for(lambda: verifier.seq >= latest), 20
                )
            run.tasks[0].cancel()
            await _ended(run.tasks[0])
        with state.store(stage) as store:
            assert set(store.revoked(run.recorded)) == set(run.recorded), "recorded, and gone"
            assert set(run.recorded) <= verifier.revoked
            made = Counter(issued.memo for issued in store.inventory())
            assert max(made.values()) == 1, "one request, two tokens"
            for key, tid in run.issued.items():
                known = store.issued(tid)
                assert known is not None, "acknowledged, and gone"
                assert known.memo == key
            assert run.lost <= set(made)
        assert len(run.recorded) >= state.kills
        assert run.effective >= state.kills // 4

"""Watch and leases: who relies on an old list is waited for, and nobody relies on it for ever."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from nucleus_issuer.ports import Revocation
from nucleus_issuer.service.leases import Leases
from nucleus_tokens.errors import NucleusError
from nucleus_verifier.rpc import issuer_pb2 as pb
from tests.service.stage import Stage, order, revoked, running
from tests.service.verifier import Verifier


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    words = ("--lease", "2s", "--metrics", "127.0.0.1:0")
    with running(tmp_path_factory.mktemp("watching"), *words) as made:
        made.register()
        yield made


@asynccontextmanager
async def watching(stage: Stage) -> AsyncIterator[Verifier]:
    async with stage.client("tool") as tool:
        verifier = Verifier(tool)
        task = asyncio.ensure_future(verifier.run())
        try:
            await verifier.until_leased()
            yield verifier
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_when_it_is_effective_every_verifier_knows_it(stage: Stage) -> None:
    async with (
        stage.client("agent") as agent,
        watching(stage) as one,
        watching(stage) as two,
    ):
        for n in range(5):
            made = await agent.issue(order(f"known-{n}"))
            assert one.allows(made.rid)
            await revoked(agent, token=made.token)
            for verifier in (one, two):
                assert not verifier.allows(made.rid)
                assert verifier.leased, "it confirmed: nobody had to wait for a lease to run out"


async def test_a_verifier_that_does_not_confirm_is_waited_for_until_its_lease_ends(
    stage: Stage,
) -> None:
    async with stage.client("agent") as agent, watching(stage) as verifier:
        made = await agent.issue(order("slow"))
        verifier.slow.clear()
        await revoked(agent, token=made.token)
        assert not verifier.leased
        verifier.slow.set()
        await verifier.until_leased()


async def test_a_verifier_that_comes_back_misses_nothing(stage: Stage) -> None:
    async with stage.client("agent") as agent, watching(stage) as verifier:
        first, second = [await agent.issue(order(name)) for name in ("first", "second")]
        await revoked(agent, token=first.token)
        seen = verifier.connections
        await asyncio.to_thread(stage.kill)
        with stage.store() as store:
            store.revoke(second.rid, by="somebody", reason="")
        await asyncio.to_thread(stage.start)
        async with verifier.changed:
            await asyncio.wait_for(
                verifier.changed.wait_for(
                    lambda: verifier.connections > seen and second.rid in verifier.revoked
                ),
                20,
            )
        assert first.rid in verifier.revoked
        await verifier.until_leased()


async def test_a_rotation_of_identities_interrupts_nobody(stage: Stage) -> None:
    """Neither while a new key is made known, nor when it signs: there is no moment between."""
    async with stage.client("agent") as agent, watching(stage) as verifier:
        channels = {agent.channel()}
        await asyncio.to_thread(stage.identity.rotate)
        async with asyncio.timeout(60):
            while len(channels) < 3:
                await agent.list()
                channels.add(agent.channel())
                await asyncio.sleep(0.02)
        made = await agent.issue(order("rotated"))
        assert verifier.allows(made.rid)
        await revoked(agent, token=made.token)
        assert not verifier.allows(made.rid)


async def test_what_the_issuer_does_not_know_is_not_confirmed(stage: Stage) -> None:
    """An issuer on an older copy of its state must not serve verifiers that know more."""

    async def ahead() -> AsyncIterator[pb.WatchRequest]:
        yield pb.WatchRequest(confirmed_seq=10**6, number=1)
        await asyncio.Event().wait()

    async with stage.client("tool") as tool:
        with pytest.raises(NucleusError) as said:
            async for _ in tool.watch(ahead()):
                pass
    assert said.value.code == "watch.ahead"


async def test_what_is_counted_names_nobody(stage: Stage) -> None:
    port = int([line for line in stage.log if "metrics at port" in line][-1].split()[-1])

    def look() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    async with stage.client("stranger") as stranger, watching(stage):
        with pytest.raises(NucleusError):
            await stranger.list()
        text = await asyncio.to_thread(look)
    assert 'nucleus_issuer_calls_total{method="List",outcome="refused"}' in text
    assert "nucleus_issuer_watchers" in text
    assert "spiffe" not in text


# The rule itself, on a clock of its own ---------------------------------------------------------


class Entries:
    """What the rule needs of a store."""

    def __init__(self) -> None:
        self.entries: list[Revocation] = []

    def record(self) -> int:
        seq = len(self.entries) + 1
        self.entries.append(Revocation(seq, f"{seq:032x}", "00" * 16, 0, "", ""))
        return seq

    def news(self, after: int, limit: int) -> tuple[list[Revocation], int]:
        return self.entries[after : after + limit], len(self.entries)


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


async def _effective(leases: Leases, seq: int) -> bool:
    """Whether it is effective now."""
    task = asyncio.ensure_future(leases.effective(seq))
    for _ in range(5):
        await asyncio.sleep(0)
    done = task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return done


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_leases_of_an_earlier_life_run_out_first(clock: Clock) -> None:
    store = Entries()
    leases = Leases(store, alone=True, seconds=10, now=clock)  # type: ignore[arg-type]
    await leases.refresh()
    clock.at += 9.9
    seq = store.record()
    await leases.refresh()
    assert not await _effective(leases, seq), "a killed issuer may have given one just before"
    clock.at += 0.2
    assert await _effective(leases, seq)


async def test_with_several_nodes_a_full_lease_is_always_waited_for(clock: Clock) -> None:
    store = Entries()
    leases = Leases(store, alone=False, seconds=10, now=clock)  # type: ignore[arg-type]
    await leases.refresh()
    clock.at += 100
    seq = store.record()
    await leases.refresh()
    clock.at += 9.9
    assert not await _effective(leases, seq)
    clock.at += 0.2
    assert await _effective(leases, seq)


async def test_a_lease_counts_from_the_last_look_and_needs_every_confirmation(
    clock: Clock,
) -> None:
    store = Entries()
    leases = Leases(store, alone=True, seconds=10, now=clock)  # type: ignore[arg-type]
    await leases.refresh()
    watcher = leases.join()
    clock.at += 20
    assert leases.lease(watcher) == 0, "a node that cannot look gives no lease"
    await leases.refresh()
    clock.at += 4
    assert leases.lease(watcher) == 6
    seq = store.record()
    await leases.refresh()
    assert leases.lease(watcher) == 0, "confirm first"
    assert not await _effective(leases, seq)
    leases.leave(watcher)
    assert not await _effective(leases, seq), "gone, but its lease is not"
    clock.at += 6
    assert await _effective(leases, seq)
    again = leases.join()
    leases.confirm(again, seq)
    await leases.refresh()
    assert leases.lease(again) == 10
    later = store.record()
    await leases.refresh()
    assert not await _effective(leases, later)
    leases.confirm(again, later)
    assert await _effective(leases, later)

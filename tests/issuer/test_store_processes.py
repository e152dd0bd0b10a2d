"""Several processes on one file: what was acknowledged is there, and nothing is won twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus_issuer.store import Store
from nucleus_tokens.errors import WorldError
from nucleus_verifier import trace
from tests.issuer import workers
from tests.issuer.contract import CALLS, opened
from tests.issuer.making import RID, SCALE, Clock, wanted
from tests.issuer.workers import SPAWN, TIMEOUT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    where = tmp_path / "state" / "state.sqlite"
    with Store.open(where, create=True, clock=Clock()) as store:
        opened(store)
    return where


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_to_kill_9(path: Path) -> None:
    """Each round: a process commits and says so; it is killed at some point of its work."""
    nonces: set[int] = set()
    revoked: set[str] = set()
    start = 0
    for round_ in range(10 * SCALE):
        here, there = SPAWN.Pipe(duplex=False)
        process = SPAWN.Process(target=workers.commit_until_killed, args=(path, start, there))
        process.start()
        there.close()
        for _ in range(1 + round_ * 5 % 23):
            assert here.poll(TIMEOUT)
            _note(here.recv(), nonces, revoked)
        process.kill()
        process.join(TIMEOUT)
        while True:  # what was told before the kill took effect
            try:
                _note(here.recv(), nonces, revoked)
            except EOFError:
                break
        start = max(nonces) + 2  # the one after the last may have been recorded, unacknowledged
        with Store.open(path, clock=Clock()) as store:
            lines = [line for _, line in store.trace_lines(0, 10**6)]
            entries, broken = trace.read(lines)
            assert broken is None
            recorded = {e.record["n"] for e in entries if "n" in e.record}
            assert nonces <= recorded, "acknowledged and gone"
            assert len(recorded - nonces) <= round_ + 1, "one unacknowledged per kill at most"
            # Whatever was recorded happened whole: the budget, the nonce and the record.
            assert store.read(wanted()).spent == {CALLS: len(recorded)}
            assert all(store.read(wanted(nonce=str(n))).nonce_seen for n in recorded)
            assert set(store.revoked(revoked)) == revoked
            store.check()


def _note(told: tuple[str, int] | tuple[str, str], nonces: set[int], revoked: set[str]) -> None:
    if isinstance(told[1], int):
        nonces.add(told[1])
    else:
        revoked.add(told[1])


@pytest.mark.slow
def test_processes_win_each_budget_nonce_and_raise_once(path: Path) -> None:
    count, rounds = 3, 20 * SCALE
    assert workers.raced(path, count, rounds) == (rounds, rounds, 1)
    with Store.open(path, clock=Clock()) as store:
        seen = store.read(wanted())
        assert seen.spent == {CALLS: rounds}
        assert (seen.wall.version, seen.wall.bits) == (2, 2)
        entries, broken = trace.read(line for _, line in store.trace_lines())
        assert (len(entries), broken) == (2 * rounds + 1, None)


@pytest.mark.slow
def test_two_issuers_on_one_file_lose_and_repeat_nothing(path: Path) -> None:
    rounds = 10 * SCALE
    start = SPAWN.Barrier(2)
    pipes = [SPAWN.Pipe(duplex=False) for _ in range(2)]
    processes = [
        SPAWN.Process(target=workers.mint_many, args=(path, start, there, rounds))
        for _, there in pipes
    ]
    for process in processes:
        process.start()
    made: set[str] = set()
    refused = 0
    for here, there in pipes:
        there.close()
        assert here.poll(TIMEOUT)
        rids, times = here.recv()
        made.update(rids)
        refused += times
    for process in processes:
        process.join(TIMEOUT)
        assert process.exitcode == 0
    # Each makes `rounds` of its own; of each shared order one issuer carries out exactly one.
    assert (len(made), refused) == (3 * rounds, rounds)
    with Store.open(path, clock=Clock()) as store:
        assert {issued.rid0 for issued in store.inventory()} == made
        assert [entry.seq for entry in store.revocations()] == list(range(1, 2 * rounds + 1))
        store.check()


@pytest.mark.slow
def test_a_process_that_dies_in_a_transaction_leaves_nothing(path: Path) -> None:
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=workers.die_holding_the_lock, args=(path, there))
    process.start()
    assert here.poll(TIMEOUT)
    assert here.recv() == "holding"
    with Store.open(path, clock=Clock()) as store:
        store._database._writer.execute("PRAGMA busy_timeout = 50")  # type: ignore[union-attr]
        with pytest.raises(WorldError) as caught:
            store.append({"n": 1})
        assert caught.value.code == "store.busy"
        assert store.read(wanted(rid=RID)).wall.bits == 0, "a reader does not wait for a writer"
        process.kill()
        process.join(TIMEOUT)
        assert store.append({"n": 1}) == 1
        assert store.read(wanted()).wall.bits == 0

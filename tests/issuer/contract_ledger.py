"""Claims about one transaction: it spends, raises and records, or nothing happened."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from nucleus_issuer.ports import Link
from nucleus_issuer.store import Store
from nucleus_tokens import canonical
from nucleus_tokens.errors import CallerError
from nucleus_tokens.limits import (
    COUNTERS_PER_TREE,
    INTEGER,
)
from nucleus_verifier import trace
from nucleus_verifier.decision import Deny, Spend
from nucleus_verifier.facts import Cell
from tests.issuer.contract import CALLS, Contract, Stores, code_of, everything, opened
from tests.issuer.making import (
    NOW,
    RECORD,
    RID,
    RID0,
    TREE,
    WALL,
    Clock,
    intent,
    issued,
    request,
    spend,
    wanted,
)


class LedgerContract(Contract):
    """Commits."""

    # commit: all of it or nothing ---------------------------------------------------------------

    def test_a_commit_does_all_of_it(self, store: Store) -> None:
        done = store.commit(
            intent(nonce=("n", NOW + 120), spends=(spend(3, 10),), raised=5), RECORD
        )
        assert done == 1
        after = store.read(wanted(nonce="n"))
        assert after.spent == {CALLS: 3}
        assert after.nonce_seen
        assert (after.wall.bits, after.tree.bits) == (5, 5)
        assert (after.wall.version, after.tree.version) == (2, 2)
        ((seq, line),) = store.trace_lines()
        entries, broken = trace.read([line])
        assert (seq, broken) == (1, None)
        assert entries[0].record == RECORD

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"spends": (spend(1, 10), spend(1, 0, "tokens"))}, "budget.exhausted"),
            ({"cells": (WALL, Cell("tree:1", 9, 0))}, "commit.lost_race"),
            ({"cells": (Cell("wall:1", 0, 0), TREE)}, "commit.lost_race"),
            ({"cells": (WALL, Cell("tree:new", 1, 0))}, "commit.lost_race"),
            ({"rids": (RID0, "dd" * 16, RID)}, "token.revoked"),
            ({"ancestors": ("dd" * 16,)}, "token.revoked"),
            ({"nonce": ("used", NOW + 120)}, "request.replayed"),
        ],
    )
    def test_a_refused_commit_changes_nothing(
        self, store: Store, change: dict[str, Any], code: str
    ) -> None:
        store.note_links([Link("dd" * 16, "dd" * 16, None, "x")])
        store.revoke("dd" * 16, by="t", reason="")
        store.commit(intent(nonce=("used", NOW + 120)), RECORD)
        before = everything(store)
        full = {"nonce": ("n", NOW + 120), "spends": (spend(1, 10),), "raised": 7, **change}
        assert code_of(store.commit(intent(**full), RECORD)) == code
        assert everything(store) == before

    def test_a_record_without_spelling_is_refused_whole(self, store: Store) -> None:
        before = everything(store)
        for bad in ("\ud800", {1: 2}, 2**60, float("nan"), b"bytes"):
            with pytest.raises(CallerError) as caught:
                store.commit(intent(spends=(spend(1, 10),), raised=7), {"bad": bad})
            assert caught.value.code == "trace.record"
        assert everything(store) == before

    def test_the_trace_is_one_chain_whoever_appends(self, stores: Stores) -> None:
        a, b = opened(stores()), stores()
        for n in range(6):
            (a if n % 2 else b).append({"n": n})
            assert isinstance((b if n % 2 else a).commit(intent(), {"n": n}), int)
        lines = [line for _, line in a.trace_lines()]
        entries, broken = trace.read(lines)
        assert broken is None
        assert [e.seq for e in entries] == list(range(1, 13))
        assert a.trace_head() == (12, entries[-1].hash) == b.trace_head()
        assert [seq for seq, _ in a.trace_lines(4, 3)] == [5, 6, 7]

    def test_an_empty_trace_has_the_genesis_head(self, store: Store) -> None:
        assert store.trace_head() == (0, trace.GENESIS)

    # Budgets ------------------------------------------------------------------------------------

    def test_a_budget_is_spent_to_its_limit_and_no_further(self, store: Store) -> None:
        assert isinstance(store.commit(intent(spends=(spend(7, 10),)), RECORD), int)
        assert code_of(store.commit(intent(spends=(spend(4, 10),)), RECORD)) == "budget.exhausted"
        assert isinstance(store.commit(intent(spends=(spend(3, 10),)), RECORD), int)
        assert isinstance(store.commit(intent(spends=(spend(0, 10),)), RECORD), int)
        assert store.read(wanted()).spent == {CALLS: 10}

    def test_a_counter_named_twice_is_spent_from_twice(self, store: Store) -> None:
        twice = (spend(4, 10), spend(4, 10))
        assert isinstance(store.commit(intent(spends=twice), RECORD), int)
        assert store.read(wanted()).spent == {CALLS: 8}
        once_more = (spend(1, 10), spend(2, 10))
        assert code_of(store.commit(intent(spends=once_more), RECORD)) == "budget.exhausted"
        assert store.read(wanted()).spent == {CALLS: 8}

    def test_each_spend_keeps_its_own_limit(self, store: Store) -> None:
        """The tighter of two limits on one counter holds, in either order."""
        for pair in ((spend(3, 9), spend(3, 5)), (spend(3, 2), spend(3, 9))):
            assert code_of(store.commit(intent(spends=pair), RECORD)) == "budget.exhausted"

    def test_nobody_is_paid_for_spending(self, store: Store) -> None:
        for amount in (-1, INTEGER + 1, True):
            with pytest.raises(CallerError) as caught:
                store.commit(intent(spends=(spend(amount, 10),)), RECORD)
            assert caught.value.code == "store.bad_spend"

    def test_a_tree_has_a_bounded_number_of_live_budgets(self, store: Store, clock: Clock) -> None:
        def commit(n: int, **changes: Any) -> Deny | int:
            return store.commit(intent(spends=(spend(1, 9, rid=f"{n:032x}"),), **changes), RECORD)

        for n in range(COUNTERS_PER_TREE - 1):
            assert isinstance(commit(n), int)
        assert isinstance(commit(998, expires=NOW + 9999), int)
        assert code_of(commit(999)) == "budget.too_many"
        assert isinstance(commit(0), int), "a counter that is there goes on"
        assert isinstance(commit(999, tid="bb" * 16), int), "another tree has room of its own"
        several = tuple(Spend(f"account:a{n}/calls", 1, 9) for n in range(9))
        assert isinstance(store.commit(intent(spends=several), RECORD), int), "not of the tree"
        clock.now = NOW + 3600
        assert isinstance(commit(1000, expires=NOW + 9999), int), "what expired makes room"
        assert store.read(wanted(counters=(f"{0:032x}/calls",))).spent == {f"{0:032x}/calls": 2}

    def test_a_counter_of_nothing_takes_no_room(self, store: Store) -> None:
        for n in range(COUNTERS_PER_TREE + 1):
            none = spend(0, 9, "tokens", f"{n:032x}")
            assert isinstance(store.commit(intent(spends=(none,)), RECORD), int)

    # Nonces -------------------------------------------------------------------------------------

    def test_a_nonce_is_good_once(self, store: Store) -> None:
        assert not store.read(wanted(nonce="n")).nonce_seen
        assert isinstance(store.commit(intent(nonce=("n", NOW + 120)), RECORD), int)
        assert store.read(wanted(nonce="n")).nonce_seen
        assert code_of(store.commit(intent(nonce=("n", NOW + 120)), RECORD)) == "request.replayed"

    def test_nobody_burns_a_nonce_of_another_prefix(self, store: Store) -> None:
        other = "22" * 16
        store.commit(intent(rid=other, rids=(RID0, other), nonce=("n", NOW + 120)), RECORD)
        assert not store.read(wanted(nonce="n")).nonce_seen
        assert isinstance(store.commit(intent(nonce=("n", NOW + 120)), RECORD), int)

    # Cells --------------------------------------------------------------------------------------

    def test_a_cell_nobody_opened_is_not_clean(self, stores: Stores) -> None:
        store = stores()
        seen = store.read(wanted())
        assert (seen.wall, seen.tree) == (Cell(WALL.id, 0, 3), Cell(TREE.id, 0, 3))
        assert isinstance(store.commit(intent(cells=(seen.wall, seen.tree)), RECORD), int)
        assert store.read(wanted()).wall == Cell(WALL.id, 1, 3)

    def test_only_a_raise_bumps_a_version(self, store: Store) -> None:
        """Else two readers of one session would make each other decide again for ever."""
        store.commit(intent(raised=1), RECORD)
        raised = store.read(wanted())
        assert raised.wall == Cell(WALL.id, 2, 1)
        cells = (raised.wall, raised.tree)
        assert isinstance(store.commit(intent(raised=1, cells=cells), RECORD), int)
        assert isinstance(store.commit(intent(raised=0, cells=cells), RECORD), int)
        assert store.read(wanted()).wall == Cell(WALL.id, 2, 1)

    def test_a_cell_only_rises(self, store: Store) -> None:
        store.open_cell(WALL.id, 6)
        store.open_cell(WALL.id, 0)
        store.open_cell(WALL.id, 2)
        assert store.read(wanted()).wall == Cell(WALL.id, 2, 6)
        with pytest.raises(CallerError):
            store.open_cell(WALL.id, 8)

    def test_who_raised_a_cell_later_is_told_once(self, store: Store) -> None:
        store.open_cell(WALL.id, 1)
        store.open_cell(WALL.id, 3, (7, "read"))
        store.open_cell(WALL.id, 3, (9, "other"))
        assert store.legs((WALL.id, WALL.id)) == ((WALL.id, 2, 7, "read"),)

    def test_one_cell_on_both_sides_is_raised_once(self, store: Store) -> None:
        assert isinstance(store.commit(intent(cells=(WALL, WALL), raised=4), RECORD), int)
        assert store.read(wanted()).wall == Cell(WALL.id, 2, 4)

    def test_two_calls_that_together_complete_the_legs_cannot_both_win(
        self, stores: Stores
    ) -> None:
        a, b = opened(stores(), 1), stores()
        fa, fb = a.read(wanted()), b.read(wanted())
        assert isinstance(a.commit(intent(cells=(fa.wall, fa.tree), raised=2), RECORD), int)
        lost = b.commit(intent(cells=(fb.wall, fb.tree), raised=4), RECORD)
        assert code_of(lost) == "commit.lost_race"

    # Many at once -------------------------------------------------------------------------------

    def test_threads_share_one_budget_one_nonce_and_one_chain(self, stores: Stores) -> None:
        both = [opened(stores()), stores()]
        results: list[Deny | int] = []
        replays: list[Deny | int] = []

        def work(store: Store) -> None:
            for _ in range(10):
                results.append(store.commit(intent(spends=(spend(1, 25),)), RECORD))
            replays.append(store.commit(intent(nonce=("n", NOW + 120)), RECORD))

        threads = [threading.Thread(target=work, args=(both[n % 2],)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(isinstance(r, int) for r in results) == 25
        assert sum(isinstance(r, int) for r in replays) == 1
        entries, broken = trace.read(line for _, line in both[0].trace_lines())
        assert (len(entries), broken) == (26, None)
        assert both[1].read(wanted()).spent == {CALLS: 25}

    def test_the_state_outlives_whoever_kept_it(self, stores: Stores) -> None:
        store = opened(stores())
        store.record(issued())
        store.commit(intent(nonce=("n", NOW + 9), spends=(spend(2, 9),), raised=3), RECORD)
        store.revoke(RID0, by="alice", reason="")
        store.ask(request())
        before = (store.read(wanted(nonce="n")), store.trace_lines(), store.requests())
        store.close()
        again = stores()
        assert (again.read(wanted(nonce="n")), again.trace_lines(), again.requests()) == before
        assert canonical.decode(before[1][0][1])["seq"] == 1

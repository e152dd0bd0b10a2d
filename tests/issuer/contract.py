"""What every store must do, whatever keeps it: a class of claims over a factory.

A test module subclasses `StoreContract` and gives the `stores` fixture. Each claim names, where it
is not plain, the mistake that would break it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from nucleus_issuer.ports import Link
from nucleus_issuer.store import Store
from nucleus_tokens import canonical
from nucleus_tokens.errors import CallerError
from nucleus_tokens.limits import (
    APPROVALS_PER_CALL,
    COUNTERS_PER_TREE,
    INTEGER,
    REVOCATIONS_PER_TREE,
)
from nucleus_verifier import trace
from nucleus_verifier.decision import Deny, Spend
from nucleus_verifier.facts import Cell
from tests.issuer.making import (
    NOW,
    RECORD,
    RID,
    RID0,
    TID,
    TREE,
    WALL,
    Clock,
    approval,
    intent,
    issued,
    request,
    spend,
    wanted,
)

# Opens a store on the one place of this test, on this clock: again and again, if asked.
Stores = Callable[..., Store]
CALLS = f"{RID0}/calls"


def code_of(result: Deny | int) -> str:
    assert isinstance(result, Deny), f"a commit that should have been refused: {result}"
    return result.code


def everything(store: Store) -> dict[str, Any]:
    """What a refused commit must not have changed."""
    seen = store.read(wanted(nonce="n"))
    return {
        "spent": dict(seen.spent),
        "cells": (seen.wall, seen.tree),
        "nonce": seen.nonce_seen,
        "trace": store.trace_lines(),
    }


def opened(store: Store, wall: int = 0, tree: int = 0) -> Store:
    store.open_cell(WALL.id, wall)
    store.open_cell(TREE.id, tree)
    return store


class StoreContract:
    """The claims."""

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def stores(self) -> Stores:
        raise NotImplementedError

    @pytest.fixture
    def store(self, stores: Stores) -> Store:
        return opened(stores())

    # commit: all of it or nothing -------------------------------------------------------------

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
        for bad in (0.5, "\ud800", {1: 2}, 2**60):
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

    # Budgets ----------------------------------------------------------------------------------

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

    # Nonces -----------------------------------------------------------------------------------

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

    # Cells ------------------------------------------------------------------------------------

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

    # Revocation -------------------------------------------------------------------------------

    def test_a_revocation_is_seen_by_the_next_read_and_commit_of_anybody(
        self, stores: Stores
    ) -> None:
        a, b = opened(stores()), stores()
        a.record(issued())
        facts = b.read(wanted())
        assert facts.revoked == frozenset()
        entry = a.revoke(RID0, by="alice", reason="done")
        assert b.read(wanted()).revoked == {RID0}
        assert b.read(wanted()).revocation_seq == entry.seq == facts.revocation_seq + 1
        assert code_of(b.commit(intent(), RECORD)) == "token.revoked"
        assert b.read(wanted(rids=(RID,), ancestors=(RID0,))).revoked == {RID0}
        assert b.read(wanted(rids=(RID,))).revoked == frozenset()

    def test_revoking_again_answers_with_the_same_entry(self, store: Store) -> None:
        store.record(issued())
        store.note_links([Link(RID, TID, RID0, "sub")])
        first = store.revoke(RID0, by="alice", reason="one")
        assert store.revoke(RID0, by="bob", reason="two") == first
        assert store.revoke(RID, by="bob", reason="below: dead already") == first
        assert store.revocations() == [first]

    def test_what_is_not_known_is_not_revoked(self, store: Store) -> None:
        with pytest.raises(CallerError) as caught:
            store.revoke("ee" * 16, by="x", reason="")
        assert caught.value.code == "revoke.unknown"
        assert store.revocations() == []

    def test_presented_prefixes_become_known(self, store: Store) -> None:
        store.commit(intent(), RECORD)
        assert store.links(TID) == [Link(RID0, TID, None, ""), Link(RID, TID, RID0, "")]
        store.note_links([Link(RID, TID, RID0, "sub")])
        store.commit(intent(), RECORD)
        assert store.link(RID) == Link(RID, TID, RID0, "sub")

    def test_a_flood_of_revocations_costs_the_hop_that_makes_it(self, store: Store) -> None:
        """rid0 → flooder → 65 prefixes; a sibling of the flooder is untouched."""
        flooder, sibling = "f0" * 16, "51" * 16
        store.record(issued())
        store.note_links(
            [Link(flooder, TID, RID0, "flooder"), Link(sibling, TID, RID0, "sibling")]
            + [Link(f"{n:032x}", TID, flooder, "") for n in range(1, 80)]
        )
        for n in range(1, REVOCATIONS_PER_TREE + 1):
            assert store.revoke(f"{n:032x}", by="flooder", reason="").rid == f"{n:032x}"
        last = store.revoke(f"{70:032x}", by="flooder", reason="")
        assert last.rid == flooder
        assert store.revoke(f"{71:032x}", by="flooder", reason="") == last
        # The entry above covers the flood, so the sibling can still revoke one prefix of its own.
        below = "52" * 16
        store.note_links([Link(below, TID, sibling, "")])
        assert store.revoke(below, by="sibling", reason="").rid == below

    def test_without_a_delegation_above_a_flood_costs_the_token(self, store: Store) -> None:
        store.record(issued())
        store.note_links([Link(f"{n:032x}", TID, RID0, "") for n in range(1, 80)])
        for n in range(1, REVOCATIONS_PER_TREE + 1):
            store.revoke(f"{n:032x}", by="holder", reason="")
        assert store.revoke(f"{70:032x}", by="holder", reason="").rid == RID0

    def test_exchanged_tokens_die_with_what_they_came_from(self, store: Store) -> None:
        """Also with a prefix in the middle, which their signed ancestors do not name."""
        store.record(issued())
        store.note_links([Link(RID, TID, RID0, ""), Link("12" * 16, TID, RID, "sub")])
        second, third = "b0" * 16, "c0" * 16
        store.record(issued("bb" * 16, second, ancestors=(RID0, RID, "12" * 16)))
        store.record(issued("cc" * 16, third, ancestors=(second,)))
        store.record(issued("dd" * 16, "d0" * 16, ancestors=(RID0,)))
        store.revoke(RID, by="alice", reason="")
        assert set(store.revoked((RID0, RID, second, third, "d0" * 16))) == {RID, second, third}

    # Inventory --------------------------------------------------------------------------------

    def test_an_order_is_carried_out_once(self, store: Store) -> None:
        store.record(issued(idempotency="order-1"))
        with pytest.raises(CallerError) as caught:
            store.record(issued("bb" * 16, "b0" * 16, idempotency="order-1"))
        assert caught.value.code == "token.already_issued"
        assert TID in caught.value.message
        store.record(issued("cc" * 16, "c0" * 16))
        store.record(issued("dd" * 16, "d0" * 16, ancestors=(RID0,)))
        assert {i.tid for i in store.inventory()} == {TID, "cc" * 16, "dd" * 16}
        assert store.issued("dd" * 16) == issued("dd" * 16, "d0" * 16, ancestors=(RID0,))
        assert store.issued("ee" * 16) is None

    def test_one_id_is_issued_once(self, store: Store) -> None:
        store.record(issued())
        with pytest.raises(CallerError) as caught:
            store.record(issued(TID, "77" * 16))
        assert caught.value.code == "token.duplicate"
        assert store.link("77" * 16) is None

    # Time -------------------------------------------------------------------------------------

    def test_time_never_runs_backwards(self, stores: Stores, clock: Clock) -> None:
        store = opened(stores())
        store.append(RECORD)
        clock.now = NOW - 1
        seen = store.read(wanted())
        assert (seen.now, seen.clock_ok) == (NOW, True)
        clock.now = NOW - 3
        for each in (store, stores()):
            seen = each.read(wanted())
            assert (seen.now, seen.clock_ok) == (NOW, False)
        clock.now = NOW + 1
        assert store.read(wanted()).clock_ok

    @pytest.mark.parametrize("at", [0, -5, 631_152_000])
    def test_a_clock_that_woke_up_in_the_past_is_not_believed_even_the_first_time(
        self, stores: Stores, clock: Clock, at: int
    ) -> None:
        clock.now = at
        seen = stores().read(wanted())
        assert not seen.clock_ok
        assert seen.now > at

    def test_reads_record_the_time_too(self, stores: Stores, clock: Clock) -> None:
        """A host that only reads through the night must not wake up in its past."""
        store = stores()
        clock.now = NOW + 3600
        store.read(wanted())
        clock.now = NOW
        assert not stores().read(wanted()).clock_ok

    def test_a_person_may_lower_the_clock_and_nothing_else(
        self, stores: Stores, clock: Clock
    ) -> None:
        store = opened(stores())
        clock.now = NOW + 10 * 365 * 86400
        store.record(issued())
        store.revoke(RID0, by="alice", reason="")
        store.commit(intent(rids=(RID,), nonce=("n", NOW + 120), spends=(spend(3, 9),)), RECORD)
        clock.now = NOW
        assert not store.read(wanted()).clock_ok
        store.lower_clock(NOW)
        seen = store.read(wanted(nonce="n"))
        assert (seen.now, seen.clock_ok, seen.nonce_seen) == (NOW, True, True)
        assert (seen.revoked, seen.spent) == ({RID0}, {CALLS: 3})
        with pytest.raises(CallerError):
            store.lower_clock(NOW + 1)

    def test_a_stale_lease_stops_reads_and_commits(self, stores: Stores) -> None:
        fresh = [True]
        store = opened(stores(lease=lambda: fresh[0]))
        assert store.read(wanted()).lease_ok
        fresh[0] = False
        assert not store.read(wanted()).lease_ok
        before = store.trace_head()
        assert code_of(store.commit(intent(), RECORD)) == "revocation.stale"
        assert store.trace_head() == before

    # Approvals --------------------------------------------------------------------------------

    def test_an_approval_is_read_for_exactly_its_prefix_until_it_expires(
        self, store: Store, clock: Clock
    ) -> None:
        store.ask(request())
        data = approval()
        store.settle("r1", approval=data)
        uses = f"approval:{1:032x}/uses"
        seen = store.read(wanted())
        assert seen.approvals == (data,)
        assert seen.spent == {CALLS: 0, uses: 0}
        assert store.read(wanted(rid=RID0)).approvals == ()
        assert store.read(wanted(tid="bb" * 16)).approvals == ()
        clock.now = NOW + 300
        assert store.read(wanted()).approvals == ()

    def test_an_approval_is_spent_in_the_commit(self, store: Store) -> None:
        store.ask(request())
        store.settle("r1", approval=approval())
        use = Spend(f"approval:{1:032x}/uses", 1, 1)
        assert isinstance(store.commit(intent(spends=(use,)), RECORD), int)
        assert code_of(store.commit(intent(spends=(use,)), RECORD)) == "budget.exhausted"
        assert store.read(wanted()).approvals == (), "a used one does not crowd out others"

    def test_the_latest_approvals_come_first(self, store: Store) -> None:
        """The kernel looks at a bounded number: old ones must not hide what was just approved."""
        for n in range(APPROVALS_PER_CALL + 3):
            store.ask(request(f"r{n}"))
            store.settle(f"r{n}", approval=approval(n + 1))
        store.ask(request("other", cell="wall:2"))
        store.settle("other", approval=approval(99, cell="wall:2"))
        seen = store.read(wanted()).approvals
        assert len(seen) == APPROVALS_PER_CALL
        assert seen[0] == approval(APPROVALS_PER_CALL + 3)
        assert store.read(wanted(wall="wall:2")).approvals[0] == approval(99, cell="wall:2")

    # The desk ---------------------------------------------------------------------------------

    def test_a_request_waits_and_gets_one_answer(self, stores: Stores) -> None:
        a, b = stores(), stores()
        a.ask(request())
        assert b.requests() == [request()] == [a.status("r1")]
        b.settle("r1", approval=None, reason="not today")
        answered = a.status("r1")
        assert (answered.status, answered.reason) == ("denied", "not today")
        assert b.requests() == []
        assert b.requests(pending_only=False) == [answered]
        with pytest.raises(CallerError) as caught:
            b.settle("r1", approval=approval())
        assert caught.value.code == "desk.closed"
        assert a.read(wanted()).approvals == ()

    def test_an_answer_that_comes_too_late_does_nothing(self, store: Store, clock: Clock) -> None:
        store.ask(request("gone"))
        store.withdraw("gone")
        store.ask(request("old"))
        clock.now = NOW + 600
        assert (store.status("gone").status, store.status("old").status) == ("withdrawn", "expired")
        for id_ in ("gone", "old"):
            with pytest.raises(CallerError) as caught:
                store.settle(id_, approval=approval())
            assert caught.value.code == "desk.closed"
        clock.now = NOW
        assert store.read(wanted()).approvals == ()

    def test_a_withdrawal_does_not_undo_an_answer(self, store: Store) -> None:
        store.ask(request())
        store.settle("r1", approval=approval())
        store.withdraw("r1")
        assert store.status("r1").status == "approved"

    def test_a_cell_cannot_flood_the_desk(self, store: Store, clock: Clock) -> None:
        for n in range(16):
            store.ask(request(f"r{n}"))
        with pytest.raises(CallerError) as caught:
            store.ask(request("r16"))
        assert caught.value.code == "desk.full"
        store.ask(request("other", cell="wall:2"))
        store.withdraw("r0")
        store.ask(request("r16"))
        clock.now = NOW + 600
        store.ask(request("r17", expires=NOW + 900))

    def test_the_desk_refuses_what_it_cannot_show(self, store: Store) -> None:
        store.ask(request())
        for bad, code in (
            (request(), "desk.duplicate"),
            (request("r2", shown="x" * 100_000), "desk.too_large"),
            (request("r2", status="approved"), "desk.closed"),
            (request("r2", tool="\ud800"), "store.value"),
            (request("r2", operation=2**70), "store.value"),
            (request("r2", obligations=(("\ud800", ""),)), "desk.too_large"),
        ):
            with pytest.raises(CallerError) as caught:
                store.ask(bad)
            assert caught.value.code == code
        for use in (store.status, store.withdraw):
            with pytest.raises(CallerError) as caught:
                use("nobody")
            assert caught.value.code == "desk.unknown"

    # Many at once -----------------------------------------------------------------------------

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

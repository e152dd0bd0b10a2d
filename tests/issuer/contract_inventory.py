"""Claims about what was issued and revoked, and about time."""

from __future__ import annotations

import pytest

from nucleus_issuer.ports import Link
from nucleus_issuer.store import Store
from nucleus_tokens.errors import CallerError
from nucleus_tokens.limits import (
    REVOCATIONS_PER_TREE,
)
from nucleus_verifier import trace
from nucleus_verifier.facts import Cell
from tests.issuer.contract import CALLS, Contract, Stores, code_of, opened
from tests.issuer.making import (
    NOW,
    RECORD,
    RID,
    RID0,
    TID,
    Clock,
    intent,
    issued,
    spend,
    wanted,
)


class InventoryContract(Contract):
    """Inventory, revocation, clock."""

    # Revocation ---------------------------------------------------------------------------------

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

    def test_presented_prefixes_become_known(self, stores: Stores) -> None:
        store = opened(stores())
        store.commit(intent(), RECORD)
        assert store.links(TID) == [Link(RID0, TID, None, ""), Link(RID, TID, RID0, "")]
        store.note_links([Link(RID, TID, RID0, "sub")])
        stores().commit(intent(), RECORD)
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

    def test_a_flood_that_makes_hops_of_its_own_is_bounded_too(self, store: Store) -> None:
        """rid0 → flooder → hops to itself, each flooded in turn: the flooder goes, not the list."""
        flooder = "f0" * 16
        store.record(issued())
        store.note_links([Link(flooder, TID, RID0, "flooder")])
        for hop in range(1, 200):
            rid = f"{hop:030x}ff"
            store.note_links([Link(rid, TID, flooder, f"hop {hop}")])
            leaves = [Link(f"{hop:030x}{n:02x}", TID, rid, "") for n in range(3)]
            store.note_links(leaves)
            for leaf in leaves:
                store.revoke(leaf.rid, by="flooder", reason="")
            assert len(store.revocations()) <= 2 * REVOCATIONS_PER_TREE
            if store.revoked([flooder]):
                break
        assert [entry.rid for entry in store.revocations()] == [flooder]

    def test_a_revocation_stands_in_the_trace(self, store: Store) -> None:
        store.record(issued())
        entry = store.revoke(RID0, by="alice", reason="lost laptop")
        ((_, line),) = store.trace_lines()
        entries, broken = trace.read([line])
        assert broken is None
        assert entries[0].record == {
            "at": NOW,
            "by": "alice",
            "reason": "lost laptop",
            "revocation": entry.seq,
            "rid": RID0,
            "tid": TID,
            "type": "revocation",
        }

    def test_a_tree_that_begins_here_has_seen_nothing(self, store: Store) -> None:
        """And one that was exchanged goes on in the cell it had."""
        store.record(issued())
        assert store.read(wanted(tree=f"tree:{RID0}")).tree == Cell(f"tree:{RID0}", 1, 0)
        store.record(issued("bb" * 16, "b0" * 16, ancestors=(RID0,)))
        assert store.read(wanted(tree="tree:" + "b0" * 16)).tree.version == 0

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

    # Inventory ----------------------------------------------------------------------------------

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

    # Time ---------------------------------------------------------------------------------------

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

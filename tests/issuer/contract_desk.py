"""Claims about calls that wait for a person, and about the answers."""

from __future__ import annotations

import json

import pytest

from nucleus_issuer.store import Store
from nucleus_tokens.errors import CallerError
from nucleus_tokens.limits import (
    APPROVALS_PER_CALL,
)
from nucleus_verifier.decision import Spend
from tests.issuer.contract import CALLS, Contract, Stores, code_of
from tests.issuer.making import (
    NOW,
    RECORD,
    RID0,
    Clock,
    approval,
    intent,
    request,
    wanted,
)


class DeskContract(Contract):
    """Requests and approvals."""

    # Approvals ----------------------------------------------------------------------------------

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

    def test_an_approval_taken_back_serves_nobody_who_read_it_and_is_on_record_once(
        self, stores: Stores
    ) -> None:
        a, b = stores(), stores()
        a.ask(request())
        a.settle("r1", approval=approval())
        assert a.read(wanted()).approvals
        for _ in range(2):
            b.take_back(f"{1:032x}", by="alice")
        use = Spend(f"approval:{1:032x}/uses", 1, 1)
        assert code_of(a.commit(intent(spends=(use,)), RECORD)) == "budget.exhausted"
        (line,) = [line for _, line in a.trace_lines() if b"taken_back" in line]
        said = json.loads(line)["record"]
        assert (said["approval"], said["by"], said["left"]) == (f"{1:032x}", "alice", 1)
        assert (said["request"], said["at"]) == ("r1", NOW)
        with pytest.raises(CallerError) as caught:
            b.take_back("00", by="alice")
        assert caught.value.code == "approval.unknown"

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

    def test_an_id_is_one_approval(self, store: Store) -> None:
        """Its uses have one counter: those of another would be counted for it."""
        store.ask(request())
        store.settle("r1", approval=approval())
        store.ask(request("r2"))
        with pytest.raises(CallerError) as caught:
            store.settle("r2", approval=approval())
        assert caught.value.code == "approval.known"
        assert store.status("r2").status == "pending"

    # The desk -----------------------------------------------------------------------------------

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

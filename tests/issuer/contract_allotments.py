"""What every store keeps of shared budgets: parts that add up to no more than the whole."""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nucleus_issuer.store import Store
from nucleus_tokens.errors import CallerError
from nucleus_verifier.ports import Part
from tests.issuer.contract import Contract, Stores
from tests.issuer.making import RID0, SCALE, TID, issued
from tests.support.chance import CHANCE

CALLS = "aa" * 16 + "/calls"
STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 12), st.booleans()), min_size=1, max_size=30
)


def code(store: Store, *parts: Part, tid: str = TID, verifier: str = "v") -> str:
    with pytest.raises(CallerError) as said:
        store.allot(tid, verifier, parts)
    return said.value.code


FRESH = itertools.count(1)


class AllotmentContract(Contract):
    """For `Store` on whatever keeps it."""

    def test_a_part_is_at_least_what_is_needed_while_there_is_any(self, store: Store) -> None:
        store.record(issued())
        assert store.allot(TID, "a", [Part(CALLS, 100, 0, 1)]) == [12]
        assert store.allot(TID, "a", [Part(CALLS, 100, 0, 1)]) == [12], "asked again, told the same"
        assert store.allot(TID, "b", [Part(CALLS, 100, 0, 88)]) == [88]
        assert store.allot(TID, "c", [Part(CALLS, 100, 0, 1)]) == [0], "nothing is left"
        assert store.allot(TID, "a", [Part(CALLS, 100, 12, 1)]) == [12]

    def test_what_was_spent_before_it_asked_counts(self, store: Store) -> None:
        store.record(issued())
        assert store.allot(TID, "a", [Part(CALLS, 10, 7, 1)]) == [8]
        assert store.allot(TID, "b", [Part(CALLS, 10, 0, 3)]) == [0]

    def test_a_state_that_spent_less_than_it_said_is_a_copy(self, store: Store) -> None:
        store.record(issued())
        store.allot(TID, "a", [Part(CALLS, 100, 0, 5)])
        store.allot(TID, "a", [Part(CALLS, 100, 5, 10)])
        assert code(store, Part(CALLS, 100, 4, 1), verifier="a") == "budget.rolled_back"

    def test_exchanged_tokens_spend_from_the_same_budget(self, store: Store) -> None:
        other, third = "bb" * 16, "cc" * 16
        store.record(issued())
        store.record(issued(tid=other, rid0="dd" * 16, ancestors=(RID0,)))
        store.record(issued(tid=third, rid0="ee" * 16, ancestors=tuple(sorted((RID0, "dd" * 16)))))
        store.allot(TID, "a", [Part(CALLS, 10, 0, 6)])
        store.allot(other, "b", [Part(CALLS, 10, 0, 3)])
        assert store.allot(third, "c", [Part(CALLS, 10, 0, 2)]) == [0]
        assert store.allot(third, "c", [Part(CALLS, 10, 0, 1)]) == [1]

    def test_an_account_is_one_for_all_trees(self, store: Store) -> None:
        store.record(issued())
        store.record(issued(tid="bb" * 16, rid0="dd" * 16))
        account = "account:agents/tokens"
        store.allot(TID, "a", [Part(account, 10, 0, 6)])
        assert store.allot("bb" * 16, "b", [Part(account, 10, 0, 5)]) == [0]

    def test_nonsense_and_strangers_are_refused(self, store: Store) -> None:
        assert code(store, Part(CALLS, 1, 0, 1)) == "budget.unknown_token"
        store.record(issued())
        for bad in (Part(CALLS, -1, 0, 0), Part(CALLS, 1, -1, 0), Part(CALLS, 1, 0, 2**53)):
            assert code(store, bad) == "budget.numbers"

    @settings(
        max_examples=20 * SCALE,
        suppress_health_check=(
            *CHANCE,
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,  # one for each kind of store
        ),
    )
    @given(limit=st.integers(0, 60), steps=STEPS)
    def test_parts_add_up_to_no_more_than_the_whole(
        self, store: Store, limit: int, steps: list[tuple[int, int, bool]]
    ) -> None:
        tid = f"{next(FRESH):032x}"
        store.record(issued(tid=tid, rid0=tid[::-1]))
        given_to: dict[int, int] = defaultdict(int)
        spent: dict[int, int] = defaultdict(int)
        for who, amount, spends in steps:
            part = Part(CALLS, limit, spent[who], amount)
            (now,) = store.allot(tid, f"v{who}", [part])
            assert now >= given_to[who], "never taken back"
            given_to[who] = now
            assert sum(given_to.values()) <= limit
            if spends and spent[who] + amount <= now:
                spent[who] += amount
            elif spent[who] + amount > now:
                left = limit - sum(given_to.values())
                assert spent[who] + amount - now > left, "it was there, and was not given"

    def test_a_state_keeps_its_number(self, stores: Stores) -> None:
        assert stores().state_id(7) == 7
        assert stores().state_id(8) == 7

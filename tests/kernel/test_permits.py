"""An Allow runs nothing. Only a commit makes a permit, and a permit runs one effect, once."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from typing import Any, cast

import pytest

from nucleus_tokens.errors import CallerError, WorldError
from nucleus_verifier.commit import Permit, commit
from nucleus_verifier.decision import Deny, Intent
from nucleus_verifier.ports import Ledger
from tests.support import world
from tests.support.judging import allowed, judge

WRITE = world.write()


class OneAnswer:
    """A ledger that always says the same."""

    def __init__(self, answer: Deny | int | Exception) -> None:
        self.answer = answer
        self.seen: list[tuple[Intent, Mapping[str, object]]] = []

    def commit(self, intent: Intent, record: Mapping[str, object]) -> Deny | int:
        self.seen.append((intent, record))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def permit() -> Permit:
    made = commit(intent(), cast(Ledger, OneAnswer(7)), {})
    assert isinstance(made, Permit)
    return made


def intent() -> Intent:
    return allowed(judge(world.mint(), WRITE))


def use(made: Permit, **change: Any) -> None:
    wanted = {"operation": WRITE.operation, "call_digest": WRITE.digest, "cell": world.WALL}
    made.use(**{**wanted, **change})


def test_used_for_its_call_and_never_again() -> None:
    made = permit()
    use(made)
    for _ in range(2):
        with pytest.raises(CallerError, match=r"permit\.used"):
            use(made)


@pytest.mark.parametrize(
    "change",
    [
        {"operation": 0},
        {"operation": 2},
        {"call_digest": world.write(content="y").digest},
        {"call_digest": world.write("/srv/data/b.txt").digest},
        {"call_digest": world.write(tool="fs.write2").digest},
        {"call_digest": b""},
        {"cell": "wall:other"},
        {"cell": ""},
    ],
)
def test_used_for_another_call_it_is_gone(change: dict[str, Any]) -> None:
    """A wrong use is not a free try."""
    made = permit()
    with pytest.raises(CallerError, match=r"permit\.other_call"):
        use(made, **change)
    with pytest.raises(CallerError, match=r"permit\.used"):
        use(made)


def test_made_nowhere_else() -> None:
    for seal in (None, object(), True, "seal"):
        with pytest.raises(CallerError, match=r"permit\.forged"):
            Permit(seal, intent(), 1)
    made = permit()
    for doubled in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(CallerError, match=r"permit\.forged"):
            doubled(made)


def test_no_record_no_permit() -> None:
    """A lost race is a Deny, a full disk an exception; in neither case is there a permit."""
    lost = Deny(11, "budget.exhausted")
    assert commit(intent(), cast(Ledger, OneAnswer(lost)), {}) is lost
    with pytest.raises(WorldError):
        commit(intent(), cast(Ledger, OneAnswer(WorldError("store.full", "The disk is full."))), {})


def test_the_record_and_the_spending_are_one_transaction() -> None:
    """The ledger is asked once, with both."""
    ledger = OneAnswer(1)
    wanted = intent()
    commit(wanted, cast(Ledger, ledger), {"type": "decision"})
    assert ledger.seen == [(wanted, {"type": "decision"})]


def test_a_permit_says_what_was_decided() -> None:
    made = permit()
    assert (made.intent.call.tool, made.intent.call.operation, made.cell, made.seq) == (
        "fs.write",
        1,
        world.WALL,
        7,
    )

"""A claim asked of z3 does not disappear, lose its goal, or gain a hypothesis."""

import pytest

from proofs.sentences import Recorder, recorded, sentences
from proofs.statements import differences
from proofs.symbolic.solver import z3


def test_what_is_asked_is_what_was_recorded() -> None:
    found, twice = sentences()
    assert twice == []
    assert differences(recorded(), found) == []
    assert len(found) >= 265


def stated(weaker: str = "") -> dict[str, str]:
    """A claim, and what it becomes when it is weakened."""
    recorder = Recorder()
    a, b = recorder.bits("a", "b")
    meet = recorder.kernel("lattice.meet", a, b)
    within = recorder.kernel("lattice.leq", meet, a)
    goals = {"goal": z3.Or(within, a == b), "another function": a & b == meet}
    given = [a != b] if weaker == "hypothesis" else []
    recorder.law("A meet is within what was met", goals.get(weaker, within), given)
    return recorder.stated


@pytest.mark.parametrize("weaker", ["goal", "hypothesis", "another function"])
def test_a_weakened_claim_is_named(weaker: str) -> None:
    assert stated() == stated()
    told = differences(stated(), stated(weaker))
    assert told == ["A meet is within what was met says something else now"]


def test_a_lost_claim_is_named() -> None:
    assert differences(stated(), {}) == ["A meet is within what was met is gone"]

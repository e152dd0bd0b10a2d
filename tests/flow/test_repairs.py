"""Every obligation has a repair, no stranger gets one, and what a repair says is true."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_proxy.answers import Refusal
from nucleus_tokens.names import FLOW_RULES, OPERATIONS
from nucleus_verifier import hints
from nucleus_verifier.decision import Ask, Deny, Obligation
from nucleus_verifier.repairs import APPROVAL, KINDS, repairs
from tests.algebra.reference import LAW
from tests.support import world
from tests.support.judging import allowed, asked, judge

OBLIGATIONS = [
    *(f"op:{name}" for name in OPERATIONS),
    *(f"flow:{rule}" for rule in FLOW_RULES[2:]),
    "gate:exposure",
    "input:",
    "input:/to",
    "input:/to/0",
]


def ask(*names: str) -> Ask:
    return Ask(tuple(Obligation(n, "why") for n in names), "t", "r", "c", 0, b"")


@LAW
@given(st.lists(st.sampled_from(OBLIGATIONS), min_size=1, unique=True))
def test_every_obligation_has_one_by_a_person_and_perhaps_one_by_the_caller(
    names: list[str],
) -> None:
    found = repairs(ask(*names))
    assert {r.kind for r in found} <= set(KINDS)
    for name in names:
        mine = [r for r in found if r.of == name]
        assert [r.kind for r in mine].count(APPROVAL) == 1
        assert all(r.way == "approval" for r in mine if r.kind == APPROVAL)
        if name.startswith("input:"):
            assert all(r.pointer == name.removeprefix("input:") for r in mine)
    alone = chain.from_iterable(repairs(ask(name)) for name in names)
    assert set(found) == set(alone)


def test_a_stranger_gets_none_and_the_table_has_no_code_that_does_not_exist() -> None:
    for step in range(6):
        for code in ("flow.secret", "level.never", "token.forged"):
            assert repairs(Deny(step, code)) == ()
    from nucleus_verifier.repairs import _DENIED

    assert set(_DENIED) <= set(hints._DETAIL)


@pytest.mark.parametrize("code", ["flow.secret", "scope.outside", "level.never"])
def test_a_refusal_carries_them(code: str) -> None:
    fields = Refusal.denied(Deny(12, code)).fields()
    assert [r["of"] for r in fields["repairs"]] == [code]
    whose = world.opened(world.mint())
    fields = Refusal.asked(ask("input:/to", "gate:exposure"), whose).fields()
    assert fields["repairs"][0] == {
        "kind": "provide_content_addressed_inputs",
        "of": "input:/to",
        "pointer": "/to",
        "way": "automatic",
    }


def test_what_is_promised_is_enough() -> None:
    """Evidence for the pointer lets it pass; so does the approval."""
    token = world.mint(world.all_levels("low_risk"))
    call = world.write()
    decision = judge(token, call)
    assert asked(decision) == {"input:/path"}
    kinds = {r.kind: r for r in repairs(decision)}
    assert kinds["provide_content_addressed_inputs"].pointer == "/path"
    allowed(judge(token, call, evidence=frozenset({"/path"})))
    allowed(judge(token, call, approvals=(world.approve(token, call, ["input:/path"]),)))

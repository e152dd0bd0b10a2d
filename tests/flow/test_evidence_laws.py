"""Evidence only ever helps, and what gives it is only ever positive."""

from __future__ import annotations

import os
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_proxy import evidence
from nucleus_proxy.knowledge import Known
from nucleus_proxy.words import Words
from nucleus_verifier.decision import Allow, Ask, Decision
from nucleus_verifier.facts import Policy
from tests.flow.scene import PARSED, Scene
from tests.flow.test_matchers import BENIGN
from tests.support import world
from tests.support.calls import random_call, varied
from tests.support.judging import judge

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))


def rank(decision: Decision) -> int:
    return 2 if isinstance(decision, Allow) else 1 if isinstance(decision, Ask) else 0


@settings(max_examples=400 * SCALE)
@given(st.randoms(use_true_random=False), st.data())
def test_taking_evidence_away_never_allows_more(r: random.Random, data: st.DataObject) -> None:
    """Allow, ask, deny, in this order; and what is owed only grows."""
    call = varied(r, random_call(r))
    pointers = frozenset(s.pointer for s in call.selectors) | {"/other", ""}
    more = data.draw(st.sets(st.sampled_from(sorted(pointers))))
    less = data.draw(st.sets(st.sampled_from(sorted(more)))) if more else set[str]()
    level = data.draw(st.sampled_from(("low_risk", "always")))
    gate: Any = data.draw(st.sampled_from(("ask", "evidence")))
    facts = {**world.seen(data.draw(st.integers(0, 7))), "policy": Policy(gate)}
    token = world.mint(world.all_levels(level))
    with_more = judge(token, call, evidence=frozenset(more), **facts)
    with_less = judge(token, call, evidence=frozenset(less), **facts)
    assert rank(with_less) <= rank(with_more)
    if isinstance(with_less, Ask) and isinstance(with_more, Ask):
        assert {o.id for o in with_more.obligations} <= {o.id for o in with_less.obligations}


# Facts that only ever vouch. Records are not among them: another record of the same name makes a
# name ambiguous, so one that is forgotten could make one of two the only one. That is why nothing
# of a kind is the only one once anything was forgotten (Known.full).
POSITIVE = [
    ("created", "file", "17"),
    ("created", "file", "x"),
    ("directory", "general"),
    ("directory", "Bob"),
    ("own", "email", "bob@example.com"),
    ("own", "payee", "DE89370400440532013000"),
    ("links", "https://example.com/a/B?x=1"),
]


@settings(max_examples=300 * SCALE)
@given(st.data(), st.sampled_from(BENIGN))
def test_taking_a_positive_fact_away_never_vouches_for_more(data: st.DataObject, case: Any) -> None:
    prompt, tool, args, _ = case
    other = data.draw(st.sampled_from([prompt, "do it", "delete file #17 for general, please"]))
    more = data.draw(st.lists(st.sampled_from(POSITIVE), unique=True))
    less = [fact for fact in more if data.draw(st.booleans())]
    also = frozenset({"member_links"})
    found = []
    for facts in (more, less):
        scene = Scene(other, also=also)
        scene.known.learn(facts)
        found.append(scene.vouched(tool, args).pointers)
    assert found[1] <= found[0]
    silent = Scene(also=also)
    silent.known.learn(more)
    assert not silent.vouched(tool, args).pointers


@settings(max_examples=200 * SCALE)
@given(st.sampled_from(BENIGN), st.text(alphabet="abcXYZ0189 .,:'\"#@/-", max_size=40))
def test_more_words_never_vouch_for_less_of_what_was_named(case: Any, more: str) -> None:
    """A second prompt adds. (Names of records and what is quoted can become ambiguous.)"""
    prompt, tool, args, pointer = case
    assert pointer in Scene(prompt, more or "x").vouched(tool, args).pointers


def test_a_call_without_a_binding_or_with_other_arguments_has_none() -> None:
    known = Known(Words(["send bob@example.com 17"]))
    bound = PARSED.tools["mail"]
    for args in ({}, {"to": None}, {"to": {}}, {"other": "bob@example.com"}, {"to": [[]]}):
        assert not evidence.vouched(bound, args, (), known).pointers

"""The law of the design: under the same facts, no token permits what the token above it does not.

Pointwise, for the same discharged obligations, allowed(child) is within allowed(parent); and
allowed or asked likewise, whatever is discharged. Every verdict is also compared with a slow
reference that asks each caveat on its own.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_verifier.clear import clear
from nucleus_verifier.decide import decide
from nucleus_verifier.decision import Allow, Ask, Decision, Deny
from nucleus_verifier.facts import Call, Facts
from tests.support import world
from tests.support.calls import KINDS, varied
from tests.support.chains import (
    Ladder,
    Meaning,
    Rung,
    approve_each,
    random_facts,
    random_ladder,
    with_approvals,
)
from tests.support.reference import Approval, Verdict

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))
LADDERS = 1250 * SCALE
CALLS = 80
ORDER = {"deny": 0, "ask": 1, "allow": 2}
ADDED = (*KINDS, "narrowed", "obligations", "account")


def said(decision: Decision) -> Verdict:
    """A decision in the reference's words."""
    match decision:
        case Allow():
            return Verdict("allow")
        case Ask():
            return Verdict("ask", 13, frozenset(o.id for o in decision.obligations))
        case Deny():
            return Verdict("deny", step=decision.step)


class Tally:
    """How often each kind of caveat stood last in a chain, what came out, and what it changed."""

    def __init__(self) -> None:
        self.verdicts: dict[str, Counter[str]] = defaultdict(Counter)
        self.turned: Counter[str] = Counter()
        self.pairs = self.judged = self.approved = 0


def check(r: Random, ladder: Ladder, call: Call, tally: Tally) -> None:
    """One call against every rung of one ladder."""
    facts = random_facts(r, ladder, call)
    meaning = Meaning(call, facts)
    bottom = meaning.of(ladder.rungs[-1], facts, [])
    spoken: dict[int, tuple[list[bytes], list[Approval]]] = {}
    if r.random() < (0.25 if bottom.word == "ask" else 0.01):
        owed = set(bottom.owed) | {"op:read_files"}
        if r.random() < 0.2:
            owed.discard(r.choice(sorted(owed)))
        # One voice less than a quorum of two, at times.
        voices = 2 if facts.policy.quorum and r.random() < 0.7 else 1
        spoken = approve_each(r, ladder, call, sorted(owed), voices) if owed else {}
    above: Verdict | None = None
    for number, rung in enumerate(ladder.rungs):
        data, approvals = spoken.get(number, ([], []))
        known = with_approvals(facts, data, approvals) if data else facts
        found = said(clear(rung.verified, call, known))
        wanted = meaning.of(rung, known, approvals)
        assert found == wanted, explain(rung, call, known, found, wanted)
        if data:
            bare = said(clear(rung.verified, call, facts))
            # Whatever is discharged: what may be asked for does not depend on it.
            assert (bare.word == "deny") == (found.word == "deny"), explain(rung, call, known)
            assert ORDER[bare.word] <= ORDER[found.word], explain(rung, call, known)
            tally.approved += bare.word == "ask" and found.word == "allow"
        if above is not None:
            assert ORDER[found.word] <= ORDER[above.word], explain(rung, call, known, found, above)
            tally.verdicts[rung.added][found.word] += 1
            if rung.said.rids[-1] not in facts.revoked:
                tally.turned[rung.added] += found != above
        above = found
        tally.judged += 1
    tally.pairs += 1


def explain(rung: Rung, call: Call, facts: Facts, *verdicts: Verdict) -> str:
    return "\n".join(map(repr, (*verdicts, rung.added, rung.said, call, facts)))


@pytest.mark.slow
def test_no_chain_permits_what_a_shorter_one_does_not() -> None:
    """100,000 pairs of chain and call, each judged at every prefix of the chain."""
    r = Random(20260401)
    tally = Tally()
    for _ in range(LADDERS):
        ladder = random_ladder(r)
        for _ in range(CALLS):
            check(r, ladder, varied(r, r.choice(ladder.homes)), tally)
    assert tally.pairs >= 100_000 * SCALE
    assert_not_vacuous(tally)


def assert_not_vacuous(tally: Tally) -> None:
    """Every kind of caveat met allowed, asked and denied calls, and turned verdicts itself."""
    for kind in ADDED:
        counts = tally.verdicts[kind]
        total = sum(counts.values())
        assert total >= tally.judged // 50, (kind, total)
        for word in ORDER:
            assert counts[word] >= total // 20, (kind, counts)
        if kind not in ("link", "delegate"):
            assert tally.turned[kind] >= total // 100, (kind, tally.turned[kind], total)
    # A link says nothing. A delegate turns a verdict only by making an approver a holder.
    assert tally.turned["link"] == 0
    assert tally.turned["delegate"] > 0
    assert tally.approved >= tally.judged // 100


@settings(max_examples=60 * SCALE)
@given(st.randoms(use_true_random=False), st.integers(0, 5))
def test_a_counterexample_would_be_small(r: Random, steps: int) -> None:
    """The same law on draws that Hypothesis can shrink."""
    ladder = random_ladder(r, steps)
    check(r, ladder, varied(r, ladder.homes[0]), Tally())


@pytest.mark.parametrize("seed", range(40 * SCALE))
def test_whole_decide_says_what_clear_says(seed: int) -> None:
    """From the text of a credential on, held in a pipe and carried with a request and a proof."""
    r = Random(seed)
    ladder = random_ladder(r)
    for rung in ladder.rungs:
        call = varied(r, r.choice(ladder.homes))
        facts = random_facts(r, ladder, call)
        wanted = said(clear(rung.verified, call, facts))
        assert said(decide(world.text(rung.token), call, facts)) == wanted
        carried = world.request(rung.token, call, rung.holder)
        assert said(decide(carried, call, world.carried(facts))) == wanted

"""What decide() keeps whatever it is given: it answers, only looks, and only ever tightens."""

from __future__ import annotations

import copy
import os
import pickle
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_tokens.errors import CallerError
from nucleus_tokens.limits import APPROVALS_PER_CALL
from nucleus_tokens.names import OPERATIONS
from nucleus_verifier.clear import clear, reconsider
from nucleus_verifier.decide import decide
from nucleus_verifier.decision import Allow, Ask, Decision, Deny
from nucleus_verifier.facts import Call, Cell, Facts, Policy, Selector
from tests.support import world
from tests.support.calls import LABELS, varied
from tests.support.chains import Ladder, approve_each, random_facts, random_ladder, with_approvals
from tests.support.judging import allowed, asked, denied, judge

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))
LAW = settings(max_examples=100 * SCALE)
RANDOM = st.randoms(use_true_random=False)


def rank(decision: Decision) -> int:
    match decision:
        case Deny():
            return 0
        case Ask():
            return 1
        case Allow():
            return 2


# 1. It always answers --------------------------------------------------------------------------

CREDENTIALS = (world.text(world.mint()), world.small_world().credential)
INTS = (
    st.sampled_from([-(2**70), -1, 0, 1, 2, 7, 12, 13, 18, 19, 31, world.NOW, 2**53, 2**70])
    | st.integers()
)
WORDS = st.text(max_size=8) | st.sampled_from(
    ["path", "host", "cmd", "ref", "tool", "calls", "fs.write"]
)
SCALARS = st.none() | st.booleans() | INTS | st.floats() | WORDS | st.binary(max_size=4)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.tuples(inner), max_leaves=4)
ARGS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1e6, 1e6) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Anything, or a good credential with some of it replaced."""
    if draw(st.booleans()):
        return draw(st.text(max_size=40))
    good = draw(st.sampled_from(CREDENTIALS))
    at = draw(st.integers(0, len(good)))
    return good[:at] + draw(st.text(max_size=3)) + good[at + draw(st.integers(0, 3)) :]


CALLS = st.builds(
    Call,
    tool=WORDS,
    operation=INTS,
    args=ARGS,
    sink=INTS,
    resources=st.dictionaries(
        WORDS, st.none() | st.lists(VALUES, max_size=2).map(tuple), max_size=4
    ),
    selectors=st.lists(st.builds(Selector, WORDS, WORDS, VALUES), max_size=3).map(tuple),
    records=INTS,
    projects=INTS,
    label=INTS,
    observed=INTS,
    ttl=INTS,
    costs=st.dictionaries(WORDS, INTS, max_size=2),
    bad_declassification=st.booleans(),
)
CELLS = st.builds(Cell, WORDS, INTS, INTS)
FACTS = st.builds(
    Facts,
    keys=st.just(world.KEYS),
    now=INTS,
    arrived=INTS,
    instance=WORDS | st.just(world.INSTANCE),
    channel=st.sampled_from(["held", "carried"]),
    peer=st.none() | WORDS,
    clock_ok=st.booleans(),
    lease_ok=st.booleans(),
    nonce_seen=st.booleans(),
    revoked=st.frozensets(WORDS, max_size=2),
    spent=st.dictionaries(WORDS, INTS, max_size=2),
    wall=CELLS,
    tree=CELLS,
    approvals=st.lists(st.binary(max_size=99), max_size=3).map(tuple),
    evidence=st.frozensets(WORDS, max_size=2),
    policy=st.builds(
        Policy,
        gate=st.sampled_from(["ask", "evidence"]),
        obligations=INTS,
        tool_obligations=st.frozensets(WORDS, max_size=2),
        quorum=st.dictionaries(INTS, INTS, max_size=2),
    ),
)
GOOD_CALLS = st.sampled_from([world.write(), world.read(), world.small_world().call])


@LAW
@given(texts() | st.sampled_from(CREDENTIALS), CALLS | GOOD_CALLS, FACTS)
def test_every_input_gives_a_decision(text: str, call: Call, facts: Facts) -> None:
    assert isinstance(decide(text, call, facts), Allow | Ask | Deny)


@LAW
@given(st.sampled_from(CREDENTIALS), CALLS | GOOD_CALLS, FACTS)
def test_every_call_by_a_known_holder_gives_a_decision(text: str, call: Call, facts: Facts) -> None:
    """The strange values reach the later steps: time, lease and channel let them pass."""
    good: dict[str, Any] = {
        "now": world.NOW,
        "arrived": world.NOW,
        "lease_ok": True,
        "clock_ok": True,
    }
    verified = world.opened(text)
    assert isinstance(reconsider(verified, call, replace(facts, **good)), Allow | Ask | Deny)


@pytest.mark.parametrize("text", [None, 5, b"nuc1_", [], {}, object()])
def test_what_is_no_text_is_refused(text: Any) -> None:
    denied(decide(text, world.read(), world.facts()), 1, "token.encoding")


@pytest.mark.parametrize(
    "args", [float("nan"), float("inf"), 2**60, "\ud800", {1: 2}, {1, 2}, b"x"]
)
def test_a_call_outside_i_json_is_not_made(args: Any) -> None:
    """It is the proxy's own mistake, and shows where the call is made, not where it is judged."""
    with pytest.raises(CallerError, match=r"call.malformed"):
        world.call("t", "read_files", args)
    with pytest.raises(CallerError, match=r"call.malformed"):
        world.call("\ud800", "read_files")


# 2. It only looks ------------------------------------------------------------------------------


@settings(LAW, max_examples=40 * SCALE)
@given(RANDOM)
def test_the_same_inputs_give_the_same_answer_and_stay_as_they_were(r: Random) -> None:
    ladder = random_ladder(r, 3)
    call = varied(r, ladder.homes[0])
    facts = random_facts(r, ladder, call)
    text = world.text(ladder.rungs[-1].token)
    before = copy.deepcopy((call, facts))
    first = decide(text, call, facts)
    assert decide(text, call, facts) == first
    assert decide(text, *pickle.loads(pickle.dumps(before))) == first  # noqa: S301  our own
    assert (call, facts) == before


def test_what_was_asked_before_leaves_no_trace() -> None:
    """A forged token between two honest ones, a denied call between two allowed ones."""
    token, write = world.mint(), world.write()
    first = judge(token, write)
    judge(world.forge(token, b'["admin"]'), write, like=token)
    judge(world.narrow(token, ["path", "in", []]), write)
    assert judge(token, write) == first


def test_a_decision_has_no_truth_value() -> None:
    token = world.mint(obligations=["write_files"])
    for decision in (judge(token, world.read()), judge(token, world.write()), Deny(1, "x")):
        with pytest.raises(TypeError, match="truth value"):
            bool(decision)
        with pytest.raises(TypeError, match="truth value"):
            assert decision or decision


# 3. An Ask lists everything at once ------------------------------------------------------------


def test_all_that_is_owed_is_listed_together() -> None:
    token = world.mint(world.all_levels("low_risk"))
    push = world.push(label=0xFFFF & ~0x0002)
    owed = {
        "op:git_push", "input:/ref", "input:/host", "flow:authority", "flow:integrity",
        "flow:web_to_exfil", "flow:derivation", "gate:exposure",
    }  # fmt: skip
    assert asked(judge(token, push, **world.seen(3))) == owed
    stale = replace(push, observed=1, ttl=1)
    assert asked(judge(token, stale, **world.seen(3))) == owed | {"flow:freshness"}


@LAW
@given(RANDOM)
def test_what_is_listed_is_enough(r: Random) -> None:
    """Approving exactly what was listed turns the Ask into an Allow, whatever the call."""
    ladder, call, facts = random_case(r)
    rung = ladder.rungs[-1]
    decision = clear(rung.verified, call, facts)
    if not isinstance(decision, Ask):
        return
    listed = sorted(o.id for o in decision.obligations)
    agreed = tuple(
        world.approve(rung.verified, call, listed, approver=who, name=who, not_after=facts.now + 9)
        for who in ("person", "second")
        if world.public(who) not in rung.said.holders
    )
    assert len(agreed) <= APPROVALS_PER_CALL
    if len(agreed) < facts.policy.quorum.get(call.operation, 1):
        return
    uses = {f"approval:{world.hex16(who)}/uses": 0 for who in ("person", "second")}
    known = replace(facts, approvals=agreed, spent={**facts.spent, **uses})
    assert set(allowed(clear(rung.verified, call, known)).discharged) == set(listed)


# 4. Any Deny beats any Ask ---------------------------------------------------------------------


def random_case(r: Random) -> tuple[Ladder, Call, Facts]:
    ladder = random_ladder(r, r.choice((0, 1, 2, 4)))
    call = varied(r, ladder.homes[0])
    return ladder, call, random_facts(r, ladder, call)


@LAW
@given(RANDOM, st.integers(0, 7))
def test_any_reason_to_deny_beats_every_reason_to_ask(r: Random, reason: int) -> None:
    ladder, call, facts = random_case(r)
    rung = ladder.rungs[-1]
    bare = world.narrow(rung.token, ["cap", {OPERATIONS[call.operation % 13]: "never"}])
    verified = world.opened(bare) if reason == 0 else rung.verified
    calls: list[dict[str, Any]] = [
        {"bad_declassification": True},
        {"sink": 19},
        {"sink": 3, "label": call.label | 3},
        {"operation": 13},
    ]
    if reason > 3:
        call = replace(call, **calls[reason - 4])
    changes: list[dict[str, Any]] = [
        {},
        {"lease_ok": False},
        {"clock_ok": False},
        {"revoked": frozenset(rung.said.rids[:1])},
    ]
    facts = replace(facts, **(changes[reason] if reason < 4 else {}))
    assert isinstance(clear(verified, call, facts), Deny)


# 5. It only ever tightens ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60 * SCALE))
def test_more_exposure_worse_labels_less_evidence_never_help(seed: int) -> None:
    r = Random(seed)
    ladder = random_ladder(r, seed % 3)
    for _ in range(40):
        call = varied(r, r.choice(ladder.homes))
        never_better(r, ladder, call, random_facts(r, ladder, call))


@LAW
@given(RANDOM)
def test_a_counterexample_to_that_would_be_small(r: Random) -> None:
    never_better(r, *random_case(r))


def never_better(r: Random, ladder: Ladder, call: Call, facts: Facts) -> None:
    rung = ladder.rungs[-1]
    bottom = clear(rung.verified, call, facts)
    if isinstance(bottom, Ask) and r.random() < 0.5:
        owed = sorted(o.id for o in bottom.obligations)
        data, said = approve_each(r, ladder, call, owed, 2)[len(ladder.rungs) - 1]
        facts = with_approvals(facts, data, said)
    before = clear(rung.verified, call, facts)
    after = clear(rung.verified, *worse(r, call, facts))
    assert rank(after) <= rank(before), (before, after)


def worse(r: Random, call: Call, facts: Facts) -> tuple[Call, Facts]:
    """The same call in a session that has seen more, on a value with more defects."""
    choice = r.randrange(9)
    if choice == 0:
        return call, replace(facts, wall=raised(r, facts.wall))
    if choice == 1:
        return call, replace(facts, tree=raised(r, facts.tree))
    if choice == 2:
        return replace(call, label=call.label | r.choice(LABELS)), facts
    if choice == 3:
        return replace(call, projects=call.projects | r.randrange(8)), facts
    if choice == 4:
        return call, replace(facts, evidence=frozenset(sorted(facts.evidence)[1:]))
    if choice == 5:
        return call, replace(facts, policy=tightened(r, facts.policy, call))
    if choice == 6:
        ttl = max(1, call.ttl // 2) if call.ttl else 1
        return replace(call, ttl=ttl, observed=call.observed if call.ttl else 0), facts
    if choice == 7:
        return call, replace(facts, spent={k: v + 1 for k, v in facts.spent.items() if v >= 0})
    return call, replace(facts, approvals=facts.approvals[1:])


def raised(r: Random, cell: Cell) -> Cell:
    return cell._replace(bits=cell.bits | r.randrange(8))


def tightened(r: Random, policy: Policy, call: Call) -> Policy:
    return r.choice(
        (
            replace(policy, gate="ask"),
            replace(policy, obligations=policy.obligations | r.randrange(1 << 13)),
            replace(policy, tool_obligations=policy.tool_obligations | {call.tool}),
            replace(policy, quorum={call.operation: policy.quorum.get(call.operation, 1) + 1}),
        )
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_ratchet_of_a_session(operation: str) -> None:
    """Over every exposure: a call that is allowed or asked at more was so at less."""
    token = world.mint(world.all_levels("low_risk"))
    call = world.call("t", operation, {"x": 1})
    ranks = {bits: rank(judge(token, call, **world.seen(bits))) for bits in range(8)}
    for less, more in ((a, b) for a in range(8) for b in range(8) if a & ~b == 0):
        assert ranks[more] <= ranks[less]


# 6. The steps come in their order --------------------------------------------------------------


def test_an_earlier_step_speaks_before_a_later_one() -> None:
    """Every reason at once, taken away from the front one by one: the next then speaks."""
    token = world.narrow(
        world.mint(world.levels(git_push="low_risk"), holder=world.AGENT),
        ["exp", world.NOW - 5],
        ["cap", {"git_push": "never"}],
        ["ref", "in", []],
        ["budget", "calls", 0],
    )
    push = world.push(label=2)
    steps = []
    facts: dict[str, Any] = {"channel": "carried", "lease_ok": False}
    for change, without in (
        ({}, None),
        ({"channel": "held"}, None),
        ({"lease_ok": True}, None),
        ({"now": world.NOW - 10}, None),
        ({}, "cap"),
        ({}, "ref"),
        ({}, "budget"),
    ):
        facts |= change
        if without is not None:
            kept = [
                c
                for c in world.opened(token).prefix.raw
                if not c.startswith(f'["{without}'.encode())
            ]
            token = world.forge(world.mint(world.levels(git_push="low_risk")), *kept)
        decision = judge(token, push, **facts)
        assert isinstance(decision, Deny)
        steps.append(decision.step)
    assert steps == [5, 6, 7, 9, 10, 11, 12]

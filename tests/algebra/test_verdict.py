"""The decision table over all its inputs, and the integer core of decide."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_tokens import exposure as E
from nucleus_tokens import heyting as H
from nucleus_tokens import label_names as LN
from nucleus_tokens import labelling as K
from nucleus_tokens import labels as B
from nucleus_tokens import lattice as L
from nucleus_tokens import projection as P
from nucleus_tokens import sinks as S
from nucleus_verifier import session as W
from nucleus_verifier import verdict as V
from tests.algebra import reference as R
from tests.algebra import verdict_table
from tests.algebra.prose import Case, cases, prose
from tests.algebra.reference import CAPS, LABELS, LAW, Level, pack

CASES = cases()
ASK_BITS = {
    "static": V.ASK_STATIC,
    "inputs": V.ASK_INPUTS,
    "payload": V.ASK_PAYLOAD,
    "gate": V.ASK_GATE,
}


def denied(c: Case) -> int:
    return V.denials(c.level, c.to_exfil, c.bad_declassification)


def asked(c: Case) -> int:
    return V.asks(
        c.level,
        c.static,
        c.gate,
        c.payload_ok,
        c.reversible,
        c.evidence,
        c.gate_by_evidence,
    )


# -- 1. the table ----------------------------------------------------------------------------


def test_the_table_is_the_prose_on_all_768_cases() -> None:
    assert len(CASES) == 768
    for c in CASES:
        word, owed = prose(c)
        assert LN.VERDICTS[V.verdict(denied(c), asked(c), 0)] == word
        if word != "deny":
            assert asked(c) == sum(ASK_BITS[name] for name in owed)


def test_reasons_to_deny_are_listed_each() -> None:
    for c in CASES:
        assert denied(c) == (
            V.DENY_LEVEL * (c.level == Level.NEVER)
            + V.DENY_SECRET * c.to_exfil
            + V.DENY_DECLASSIFY * c.bad_declassification
        )


@pytest.mark.parametrize("level", [-1, 3, 99])
def test_a_level_that_does_not_exist_is_denied(level: int) -> None:
    assert V.denials(level, False, False) == V.DENY_LEVEL


def test_discharging_everything_turns_ask_into_allow_and_nothing_into_anything_else() -> None:
    for c, discharged in product(CASES, range(16)):
        before = V.verdict(denied(c), asked(c), 0)
        after = V.verdict(denied(c), asked(c), discharged)
        assert after >= before
        if before == V.DENY:
            assert after == V.DENY
        if before == V.ASK:
            assert after == (V.ALLOW if asked(c) & ~discharged == 0 else V.ASK)
        assert V.verdict(denied(c), asked(c), V.ASK_STATIC * 15) in (V.DENY, V.ALLOW)


def test_evidence_never_answers_for_a_secret_or_a_static_obligation() -> None:
    for c in CASES:
        if c.static and c.level != Level.NEVER:
            assert asked(c) & V.ASK_STATIC
        if c.to_exfil:
            assert V.verdict(denied(c), 0, 15) == V.DENY


def test_each_reason_is_a_bit_of_its_own() -> None:
    assert [V.DENY_LEVEL, V.DENY_SECRET, V.DENY_DECLASSIFY, V.DENY_SINK] == [1, 2, 4, 8]
    assert [V.ASK_STATIC, V.ASK_INPUTS, V.ASK_PAYLOAD, V.ASK_GATE] == [1, 2, 4, 8]


# Which way each input moves: +1 if yes can only help, -1 if yes can only hurt.
DIRECTION = {
    "to_exfil": -1,
    "bad_declassification": -1,
    "static": -1,
    "gate": -1,
    "payload_ok": 1,
    "reversible": 1,
    "evidence": 1,
    "gate_by_evidence": 1,
}


def test_the_table_is_monotone_in_every_input_exhaustively() -> None:
    """One input at a time is enough; the rest follows by transitivity. Monotone for what is
    asked, not only for the verdict: so a larger set of discharges serves the child too."""
    for c in CASES:
        up = [Case(**{**vars(c), name: True}) for name, sign in DIRECTION.items() if sign > 0]
        up += [Case(**{**vars(c), name: False}) for name, sign in DIRECTION.items() if sign < 0]
        up += [Case(**{**vars(c), "level": level}) for level in Level if level >= c.level]
        for better in up:
            assert denied(better) & ~denied(c) == 0
            assert asked(better) & ~asked(c) == 0
            for discharged in range(16):
                assert V.verdict(denied(c), asked(c), discharged) <= V.verdict(
                    denied(better), asked(better), discharged
                )


def test_the_published_table_is_generated() -> None:
    page = Path(__file__).parents[2] / "docs" / "spec" / "verdict-table.md"
    assert page.read_text(encoding="utf-8") == verdict_table.render()


# -- 2. the same over packed state -----------------------------------------------------------

OPS13 = st.integers(0, 12)
SINKS = st.integers(0, 18)
BITS3 = st.integers(0, 7)
FLAGS = st.tuples(st.booleans(), st.booleans(), st.booleans())
TIMES = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 40))


@LAW
@given(CAPS, st.integers(0, L.OPS), OPS13, BITS3, BITS3, LABELS, SINKS, TIMES, FLAGS, BITS3)
def test_judge_is_the_table_on_what_the_state_says(
    a: R.Caps,
    obligations: int,
    op: int,
    exposure: int,
    projected: int,
    label: R.Label,
    sink: int,
    times: tuple[int, int, int],
    flags: tuple[bool, bool, bool],
    discharged: int,
) -> None:
    bad, evidence, by_evidence = flags
    observed, ttl, now = times
    row = R.SINKS[sink]
    broken = R.failing_rules(label, row, ttl > 0 and now > observed + ttl)
    case = Case(
        a[R.OPS[op]],
        1 in broken,
        bad,
        bool(obligations >> op & 1),
        exposure | projected == 7 and projected & 4 != 0,
        not broken,
        row.name in R.REVERSIBLE,
        evidence,
        by_evidence,
    )
    word, owed = prose(case)
    bits = sum(ASK_BITS[name] for name in owed)
    expected = word if word != "ask" or bits & ~discharged else "allow"
    got = W.judge(
        pack(a),
        obligations,
        op,
        exposure,
        projected,
        label.pack(),
        sink,
        *times,
        *flags,
        discharged,
    )
    assert LN.VERDICTS[got] == expected


@LAW
@given(
    st.tuples(CAPS, CAPS),
    st.tuples(st.integers(0, L.OPS), st.integers(0, L.OPS)),
    OPS13,
    st.tuples(BITS3, BITS3, BITS3, BITS3),
    st.tuples(LABELS, LABELS),
    SINKS,
    st.tuples(TIMES, TIMES),
    FLAGS,
    st.integers(0, 15),
)
def test_nothing_that_narrows_or_taints_moves_the_verdict_upward(
    caps: tuple[R.Caps, R.Caps],
    obligations: tuple[int, int],
    op: int,
    seen: tuple[int, int, int, int],
    labels: tuple[R.Label, R.Label],
    sink: int,
    times: tuple[tuple[int, int, int], tuple[int, int, int]],
    flags: tuple[bool, bool, bool],
    discharged: int,
) -> None:
    """The law of delegation, pointwise: the child holds the meet, owes the union, has seen more,
    carries worse, older values."""
    x, y = map(pack, caps)
    p, q = (label.pack() for label in labels)
    (o1, t1, now), (o2, t2, later) = times
    bad, evidence, by_evidence = flags
    parent = W.judge(
        x, obligations[0], op, seen[0], seen[1], p, sink, o1, t1, now, bad, evidence,
        by_evidence, discharged,
    )  # fmt: skip
    child = W.judge(
        L.meet(x, y),
        obligations[0] | obligations[1],
        op,
        seen[0] | seen[2],
        seen[1] | seen[3],
        B.join(p, q),
        sink,
        K.join_observed(o1, o2),
        K.join_ttl(t1, t2),
        max(now, later),
        bad,
        evidence,
        by_evidence,
        discharged,
    )
    assert child <= parent


def test_never_is_denied_whatever_else_holds() -> None:
    for op in range(13):
        caps = L.TOP & ~L.with_level(op, L.ALWAYS)
        got = W.judge(
            caps, 0, op, 0, 0, B.BOTTOM, S.AUDIT_LOG_APPEND, 0, 0, 0, False, True, True, 15
        )
        assert got == V.DENY


@pytest.mark.parametrize(("op", "sink"), [(13, 0), (-1, 0), (0, 19), (0, -1), (0, S.UNKNOWN_SINK)])
def test_an_unknown_operation_or_sink_is_denied(op: int, sink: int) -> None:
    got = W.judge(L.TOP, 0, op, 0, 0, B.BOTTOM, sink, 0, 0, 0, False, True, True, 15)
    assert got == V.DENY


def test_a_clean_read_is_allowed_at_always() -> None:
    got = W.judge(
        L.TOP, 0, L.READ_FILES, 0, E.PRIVATE_DATA, B.TOP, S.SECRET_READ, 0, 1, 99, False, False,
        False, 0,
    )  # fmt: skip
    assert got == V.ALLOW


# -- 3. budgets, depth, time -----------------------------------------------------------------

AMOUNTS = st.integers(-(10**20), 10**20)


@LAW
@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_budget(spent: int, cost: int, limit: int) -> None:
    fits = V.budget_suffices(spent, cost, limit)
    assert fits == (cost >= 0 and spent >= 0 and limit - spent >= cost)
    assert V.remaining(spent, limit) == (max(0, limit - spent) if spent >= 0 else 0)
    if cost >= 0 and spent >= 0 and limit >= 0:
        # what is left is exactly what fits; at zero left only a free call fits
        assert fits == (cost <= V.remaining(spent, limit) and spent <= limit)
    after = W.step_spent(spent, cost, limit)
    assert after == (spent + cost if fits else spent)
    assert V.remaining(after, limit) <= V.remaining(spent, limit)


def test_budget_at_its_edges() -> None:
    assert V.budget_suffices(0, 5, 5)
    assert not V.budget_suffices(0, 6, 5)
    assert not V.budget_suffices(5, 1, 5)
    assert V.budget_suffices(5, 0, 5)
    assert not V.budget_suffices(0, -1, 5)
    assert not V.budget_suffices(-10, 12, 5)
    for spent, limit in product(range(-3, 8), range(-3, 6)):
        assert V.remaining(spent, limit) == (max(0, limit - spent) if spent >= 0 else 0)
        for cost in range(-3, 8):
            fits = cost >= 0 and spent >= 0 and spent + cost <= limit
            assert V.budget_suffices(spent, cost, limit) == fits
            assert W.step_spent(spent, cost, limit) == (spent + cost if fits else spent)


@LAW
@given(st.integers(0, 100), st.lists(st.integers(-20, 60), max_size=12), st.integers(0, 100))
def test_no_sequence_of_costs_overspends(limit: int, costs: list[int], start: int) -> None:
    spent = W.session_spent(start, limit, tuple(costs))
    assert start <= spent <= max(start, limit)
    taken = start
    for cost in costs:
        if 0 <= cost <= limit - taken:
            taken += cost
    assert spent == taken


def test_depth_strictly_falls_and_ends() -> None:
    for old, new in product(range(-2, 6), repeat=2):
        assert V.depth_falls(old, new) == (0 <= new < old)


def test_time_is_a_half_open_interval() -> None:
    for nbf, exp, now in product(range(5), repeat=3):
        assert V.time_valid(nbf, exp, now) == (now in range(nbf, exp))


# -- 4. ratchets -----------------------------------------------------------------------------


@LAW
@given(
    CAPS.map(pack),
    st.lists(CAPS.map(pack), max_size=6),
    st.integers(0, L.OPS),
    st.lists(st.integers(0, L.OPS), max_size=6),
    BITS3,
    st.lists(BITS3, max_size=6),
)
def test_ratchets(
    caps: int,
    caveats: list[int],
    obligations: int,
    added: list[int],
    exposure: int,
    steps: list[int],
) -> None:
    end = W.session_caps(caps, tuple(caveats))
    assert end == H.chain_caps(caps, tuple(caveats))
    assert L.leq(end, caps)
    owed = W.session_obligations(obligations, tuple(added))
    assert owed == H.chain_obligations(obligations, tuple(added))
    assert obligations & ~owed == 0
    seen = W.session_exposure(exposure, tuple(steps))
    assert seen == P.session(exposure, tuple(steps))
    assert E.leq(exposure, seen)
    for c, bits, o in zip(caveats, steps, added, strict=False):
        assert L.leq(W.step_caps(caps, c), caps)
        assert E.leq(exposure, W.step_exposure(exposure, bits))
        assert obligations & ~W.step_obligations(obligations, o) == 0

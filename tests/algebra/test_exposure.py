"""Exposure against sets of legs; the gate over every state."""

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_tokens import exposure as E
from nucleus_tokens import label_names as LN
from nucleus_tokens import lattice as L
from nucleus_tokens import names as N
from nucleus_tokens import projection as P
from tests.algebra import reference as R
from tests.algebra.reference import LAW, Leg, legs

ALL = range(8)


def test_exposure_is_a_commutative_idempotent_monoid_with_absorbing_top() -> None:
    for a, b, c in product(ALL, repeat=3):
        assert E.join(a, E.join(b, c)) == E.join(E.join(a, b), c)
        assert E.join(a, b) == E.join(b, a) == P.after(a, b) == P.with_binding(a, b)
        assert E.join(a, a) == a == E.join(a, E.NOTHING)
        assert E.join(a, E.ALL) == E.ALL
        assert E.leq(a, b) == (E.join(a, b) == b)
        assert E.leq(a, E.join(a, b))


def test_risk_counts_the_legs() -> None:
    for seen in R.EXPOSURES:
        assert P.risk(legs(seen)) == len(seen)
        assert E.complete(legs(seen)) == (len(seen) == 3)
        assert E.valid(legs(seen))
        assert set(N.exposure_names(legs(seen))) == seen
        assert N.exposure_bits([leg.value for leg in seen]) == legs(seen)
    assert not E.valid(8)
    assert not E.valid(-1)
    assert LN.RISKS[P.UNINHABITABLE] == "uninhabitable"


def test_grades_compose_as_a_monoid_and_bound_the_risk_from_below() -> None:
    for a, b, c in product(range(4), repeat=3):
        assert P.compose(a, P.compose(b, c)) == P.compose(P.compose(a, b), c)
        assert P.compose(P.SAFE, a) == a == P.compose(a, P.SAFE)
        assert P.compose(a, b) == max(a, b)
        assert P.session_risk(a, (b, c)) == max(a, b, c)
    for a, b in product(ALL, repeat=2):
        # the grade of a sequence is a lower bound: three single legs are worse than each
        assert P.compose(P.risk(a), P.risk(b)) <= P.risk(E.join(a, b))


# -- the tables ------------------------------------------------------------------------------


def test_records_is_the_table() -> None:
    for i, op in enumerate(R.OPS):
        assert P.records(i) == legs(R.RECORDS[op])


def test_projections_are_the_reference_in_every_setting() -> None:
    for (i, op), trusted, sealed, mounted in product(
        enumerate(R.OPS), (False, True), (False, True), R.EXPOSURES
    ):
        got = P.projects(i, trusted, sealed, legs(mounted))
        assert got == legs(R.projects(op, trusted, sealed, mounted)), op
        assert P.is_exfil_projection(got) == (Leg.X in R.projects(op, trusted, sealed, mounted))


def test_what_is_recorded_was_projected() -> None:
    for op, trusted, mounted in product(range(13), (False, True), ALL):
        assert E.leq(P.records(op), P.projects(op, trusted, False, mounted))
        for sealed in (False, True):
            if op != L.RUN_BASH:
                assert P.raises(op, sealed, mounted) == P.records(op)
            else:
                assert P.raises(op, sealed, mounted) == P.projects(op, trusted, sealed, mounted)


def test_trust_and_sealing_only_take_away_ways_out() -> None:
    for op, sealed in product(range(13), (False, True)):
        open_, trusted = (P.projects(op, t, sealed, E.PRIVATE_DATA) for t in (False, True))
        assert E.leq(trusted, open_)
        assert open_ & ~trusted in (0, E.EXFIL_VECTOR)
    assert not P.is_exfil_projection(P.projects(L.RUN_BASH, False, True, E.ALL))


@pytest.mark.parametrize("op", [-1, 13, 31])
def test_an_unknown_operation_does_everything(op: int) -> None:
    assert P.records(op) == E.ALL
    for trusted, sealed in product((False, True), repeat=2):
        assert P.projects(op, trusted, sealed, 0) == E.ALL
    assert P.raises(op, True, 0) == E.ALL


def test_a_binding_never_removes() -> None:
    for bits, added in product(ALL, repeat=2):
        assert E.leq(bits, P.with_binding(bits, added))


# -- the gate --------------------------------------------------------------------------------


def test_the_gate_over_all_states_and_projections() -> None:
    for seen, projected in product(R.EXPOSURES, repeat=2):
        e, p = legs(seen), legs(projected)
        assert E.gates(e, p) == R.gates(seen, projected)
        assert P.gate_complete(e, p) == (seen | projected == set(Leg))
        assert E.gates(e, p) == (P.gate_complete(e, p) and P.is_exfil_projection(p))


def test_the_gate_is_monotone_in_both() -> None:
    for e, f, p, q in product(ALL, repeat=4):
        if E.leq(e, f) and E.leq(p, q) and E.gates(e, p):
            assert E.gates(f, q)


def _original(table: dict[str, set[Leg]], omnibus: bool) -> Counter[str]:
    """decide_pure of the original: low_risk always asks, then the gate."""
    seen: Counter[str] = Counter()
    for level, e, op in product(R.Level, R.EXPOSURES, R.OPS):
        bits = table[op] | ({Leg.P} if omnibus and op == "run_bash" else set())
        gated = Leg.X in table[op] and e | bits == set(Leg)
        seen[
            "deny" if level == 0 else "approve" if level == 1 else "gate" if gated else "allow"
        ] += 1
    return seen


def test_the_original_grid_is_reproduced_with_the_original_table() -> None:
    """312 = 3 levels x 8 states x 13 operations. The published 16 gates come from the August
    column and a plain projection."""
    assert _original(R.AUGUST, omnibus=False) == {
        "deny": 104,
        "approve": 104,
        "gate": 16,
        "allow": 88,
    }
    # On the column we keep, the original would gate 8 of 104, or 10 with its half-omnibus shell.
    assert _original(R.RECORDS, omnibus=False)["gate"] == 8
    assert _original(R.RECORDS, omnibus=True)["gate"] == 10


def _gated(trusted: bool, sealed: bool, mounted: int) -> Counter[str]:
    return Counter(
        N.OPERATIONS[op]
        for e, op in product(ALL, range(13))
        if E.gates(e, P.projects(op, trusted, sealed, mounted))
    )


def test_our_grid_and_why_it_differs() -> None:
    """Of 104 states and operations: the shell is gated in all 8, because nobody sees what it
    does; the web where private data was read, because a URL is a channel; push, pull request
    and spawn where private data and untrusted content were. Writes and commits never, alone."""
    ways_out = {"git_push": 2, "create_pr": 2, "spawn_agent": 2}
    web = {"web_fetch": 4, "web_search": 4}
    assert _gated(False, False, 0) == {**ways_out, **web, "run_bash": 8}
    assert _gated(True, False, 0) == {**ways_out, "run_bash": 8}
    # In a sealed cell the shell is no way out, whatever is mounted.
    assert _gated(False, True, E.ALL) == {**ways_out, **web}
    assert _gated(True, True, E.PRIVATE_DATA) == ways_out


def test_recording_only_the_table_would_let_a_shell_launder_a_download() -> None:
    """Why `raises` is more than `records`: private data, an approved shell that may have run
    curl, then a push. With web_fetch in its place the push is gated."""
    push = P.projects(L.GIT_PUSH, False, False, 0)
    e = E.PRIVATE_DATA
    assert E.gates(P.after(e, P.records(L.WEB_FETCH)), push)
    assert not E.gates(P.after(e, P.records(L.RUN_BASH)), push)
    assert E.gates(P.after(e, P.raises(L.RUN_BASH, False, 0)), push)


# -- sessions --------------------------------------------------------------------------------


@LAW
@given(st.sampled_from(ALL), st.lists(st.sampled_from(ALL)), st.lists(st.sampled_from(ALL)))
def test_a_session_only_grows(start: int, steps: list[int], more: list[int]) -> None:
    end = P.session(start, tuple(steps))
    assert all(E.leq(bits, end) for bits in (start, *steps))
    assert P.session(start, tuple(steps + more)) == P.session(end, tuple(more))
    assert E.leq(end, P.session(end, tuple(more)))
    assert end == P.session(start, tuple(set(steps)))
    assert P.session(start, ()) == start

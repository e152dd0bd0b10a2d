"""The law of observing: a policy made of a record denies nothing that was recorded, and asks only
where the gate or ν does."""

# ruff: noqa: E501
from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nucleus.observe import generalising, record, replaying
from nucleus.observe.record import Record, Seen
from nucleus_tokens import exposure, flow, lattice, names, projection
from nucleus_tokens.errors import CallerError
from nucleus_verifier.choosing import payload_label
from nucleus_verifier.facts import RESOURCE_KINDS

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))

# A shared machine is slow at times: that says nothing of a law.
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
_NAMES = st.sampled_from(["a", "b", "src", "lib", "x.py", "deep"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map(lambda parts: "/work-tree/" + "/".join(parts))
_VALUES: dict[str, Any] = {
    "path": _PATHS,
    "host": st.sampled_from(["example.org", "a.example.org", "example.com:8443"]),
    "ref": st.sampled_from(["main", "topic", "v1"]),
    "cmd": st.sampled_from([("git", "status"), ("make",), ("make", "test")]),
}


@st.composite
def calls(draw: st.DrawFn) -> Seen:
    operation = draw(st.sampled_from(range(lattice.DIMS)))
    resources: dict[str, Any] = {}
    for kind in sorted(RESOURCE_KINDS[operation]):
        known = st.lists(_VALUES[kind], min_size=1, max_size=3).map(tuple)
        resources[kind] = draw(known | st.none() if operation == lattice.RUN_BASH else known)
    name = names.OPERATIONS[operation]
    return Seen(
        tool=f"{name}_{draw(st.integers(0, 2))}",
        operation=name,
        sink=flow.default_sink(operation),
        at=1_800_000_000 + draw(st.integers(0, 100)),
        verdict="allow",
        resources=resources,
        records=projection.raises(operation, False, 0),
        projects=projection.projects(operation, False, False, 0),
        label=(payload_label(0), 0, 0),
        costs=draw(st.dictionaries(st.sampled_from(["tokens", "micro_usd"]), st.integers(0, 99))),
    )


_RECORDS = st.builds(
    lambda made, start: Record("agent", tuple(sorted(made, key=lambda c: c.at)), start, 100),
    st.lists(calls(), min_size=1, max_size=8),
    st.integers(0, exposure.ALL),
)


# What an observer's token permits: everything. What it asks is the gate, ν and the flow alone.
WIDE = generalising.Observed(
    "wide", (["only", dict.fromkeys(names.OPERATIONS, "always")],), (), 3600
)


@settings(SLOW, max_examples=60 * SCALE)
@given(_RECORDS, st.sampled_from(generalising.TIGHT))
def test_nothing_observed_is_denied_and_only_the_gate_asks(seen: Record, tight: str) -> None:
    """No answer is a refusal, and nothing is asked that the widest token is not asked."""
    made = generalising.policy(seen, tight)
    answers = replaying.replay(made, seen, os.urandom)
    widest = replaying.replay(WIDE, seen, os.urandom)
    assert len(answers) == len(widest) == len(seen.calls)
    bits = seen.start
    for answer, wide in zip(answers, widest, strict=True):
        assert answer.verdict != "deny", (answer, made)
        assert set(answer.why) <= set(wide.why), (answer, wide)
        owed = exposure.gates(bits, answer.call.projects)
        owed = owed or answer.call.operation in made.obligations
        assert not owed or answer.verdict == "ask", "the gate is never lost"
        bits |= answer.call.records


@settings(SLOW, max_examples=30 * SCALE)
@given(_RECORDS, calls(), st.sampled_from(generalising.TIGHT))
def test_what_was_not_observed_is_not_permitted(seen: Record, other: Seen, tight: str) -> None:
    """An operation, tool, host or command that never ran."""
    made = generalising.policy(seen, tight)
    strange = Record("agent", (other,), 0, 0)
    (answer,) = replaying.replay(made, strange, os.urandom)
    tools = {call.tool for call in seen.calls}
    if other.tool not in tools:
        assert answer.verdict == "deny"
    for kind in ("host", "cmd", "ref"):
        scope = next((each[2] for each in made.ceil if each[0] == kind), None)
        touched = other.resources.get(kind)
        if scope is not None and kind in RESOURCE_KINDS[names.operation(other.operation)]:
            inside = touched is not None and all(
                any(list(value)[: len(p)] == p if kind == "cmd" else value == p for p in scope)
                for value in touched
            )
            if not inside:
                assert answer.verdict == "deny"


@settings(SLOW, max_examples=40 * SCALE)
@given(_RECORDS)
def test_a_tighter_policy_permits_no_more(seen: Record) -> None:
    """exact ≤ folder ≤ root, by what the kernel answers to a foreign path."""
    for call in seen.calls:
        if call.resources.get("path"):
            moved = tuple(f"{path}-other" for path in call.resources["path"] or ())
            other = Record("agent", (Seen(**{**vars_of(call), "resources": {
                **call.resources, "path": moved}}),), 0, 0)  # fmt: skip
            verdicts = [
                replaying.replay(generalising.policy(seen, tight), other, os.urandom)[0].verdict
                for tight in generalising.TIGHT
            ]
            order = {"deny": 0, "ask": 1, "allow": 1}
            assert [order[v] for v in verdicts] == sorted(order[v] for v in verdicts)
            break


def vars_of(call: Seen) -> dict[str, Any]:
    return {name: getattr(call, name) for name in call.__dataclass_fields__}


@settings(SLOW, max_examples=40 * SCALE)
@given(_RECORDS)
def test_records_and_policies_read_back(seen: Record) -> None:
    assert record.read(record.write(seen)) == seen
    made = generalising.policy(seen)
    assert generalising.read(generalising.write(made)) == made
    assert generalising.diff(made, made) == []
    assert made.why


def test_a_difference_says_what_is_wider() -> None:
    read = Seen("read", "read_files", 0, 1, "allow", {"path": ("/w/a/x",)}, 1, 1, (0, 0, 0))
    push = Seen("push", "git_push", 5, 1, "allow",
                {"path": ("/w/a",), "host": ("example.org",), "ref": ("main",)}, 4, 4, (0, 0, 0))  # fmt: skip
    one = generalising.policy(Record("agent", (read,)))
    two = generalising.policy(Record("agent", (read, push)))
    lines = generalising.diff(one, two)
    assert "+ git_push: never → always" in lines
    assert "+ tool: push" in lines
    assert "- git_push: always → never" in generalising.diff(two, one)


@pytest.mark.parametrize(
    "data", ["", "{}", "[]", '{"format": "nucleus/observed/v1"}', "\0", "[" * 9999]
)
def test_no_other_file_is_taken_for_a_record(data: str) -> None:
    with pytest.raises(CallerError):
        record.read(data)
    with pytest.raises(CallerError):
        generalising.read(data)

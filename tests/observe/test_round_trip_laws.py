"""The law of observing: a policy made of a record denies nothing that was recorded, and asks only
where the gate or ν does."""

# ruff: noqa: E501
from __future__ import annotations

import os
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus.observe import arguments, comparing, generalising, record, replaying, ruling
from nucleus.observe.arguments import Keep
from nucleus.observe.record import Record, Seen
from nucleus_tokens import caveats, exposure, flow, lattice, names, projection
from nucleus_tokens.authority import args_admit
from nucleus_tokens.errors import CallerError
from nucleus_verifier.choosing import payload_label
from nucleus_verifier.facts import RESOURCE_KINDS

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))

# A shared machine is slow at times: that says nothing of a law.
_NAMES = st.sampled_from(["a", "b", "src", "lib", "x.py", "deep"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map(lambda parts: "/work-tree/" + "/".join(parts))
_VALUES: dict[str, Any] = {
    "path": _PATHS,
    "host": st.sampled_from(["example.org", "a.example.org", "example.com:8443"]),
    "ref": st.sampled_from(["main", "topic", "v1"]),
    "cmd": st.sampled_from([("git", "status"), ("make",), ("make", "test")]),
}


SALT = b"0123456789abcdef"
_SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12) | st.sampled_from(["main", "topic", "x" * 300, "x" * 5000, "https://example.org/a", "a*"])
)  # fmt: skip
_ARGUMENTS = st.dictionaries(
    st.sampled_from(["path", "url", "ref", "n", "a/b", "x~y", "opts", "token"])
    | st.text(max_size=3),
    st.recursive(
        _SCALARS,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        ),
        max_leaves=5,
    ),
    max_size=5,
)


def selected(args: dict[str, Any], path: str) -> list[tuple[str, str, Any]]:
    """The selectors that a binding of these names gives."""
    kinds = {"path": path, "url": None, "ref": None}
    return [(f"/{key}", key, value) for key, value in kinds.items() if type(args.get(key)) is str]


@st.composite
def calls(draw: st.DrawFn) -> Seen:
    args = draw(_ARGUMENTS)
    keep = Keep(SALT, values=draw(st.booleans()))
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
        folders=tuple(path for path in resources.get("path") or () if draw(st.booleans())),
        arguments=arguments.sketch(args, selected(args, draw(_PATHS)), keep),
    )


def recorded(made: list[Seen], start: int = 0, agent: str = "agent") -> Record:
    """A session: the first call met `start`."""
    first, *others = sorted(made, key=lambda c: c.at)
    return Record(agent, (replace(first, before=start), *others))


_RECORDS = st.builds(
    recorded,
    st.lists(calls(), min_size=1, max_size=8),
    st.integers(0, exposure.ALL),
)


# What an observer's token permits: everything. What it asks is the gate, ν and the flow alone.
WIDE = generalising.Observed(
    "wide", (["only", dict.fromkeys(names.OPERATIONS, "always")],), (), 3600
)


@settings(max_examples=60 * SCALE)
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


@settings(max_examples=30 * SCALE)
@given(_RECORDS, calls(), st.sampled_from(generalising.TIGHT))
def test_what_was_not_observed_is_not_permitted(seen: Record, other: Seen, tight: str) -> None:
    """An operation, tool, host or command that never ran."""
    made = generalising.policy(seen, tight)
    strange = recorded([other])
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


@settings(max_examples=40 * SCALE)
@given(_RECORDS)
def test_a_tighter_policy_permits_no_more(seen: Record) -> None:
    """exact ≤ folder ≤ root, by what the kernel answers to a foreign path."""
    for call in seen.calls:
        if call.resources.get("path"):
            moved = tuple(f"{path}-other" for path in call.resources["path"] or ())
            other = recorded([replace(call, resources={**call.resources, "path": moved})])
            verdicts = [
                replaying.replay(generalising.policy(seen, tight), other, os.urandom)[0].verdict
                for tight in generalising.TIGHT
            ]
            order = {"deny": 0, "ask": 1, "allow": 1}
            assert [order[v] for v in verdicts] == sorted(order[v] for v in verdicts)
            break


@settings(max_examples=40 * SCALE)
@given(_RECORDS)
def test_records_and_policies_read_back(seen: Record) -> None:
    assert record.read(record.write(seen)) == seen
    made = generalising.policy(seen)
    assert generalising.read(generalising.write(made)) == made
    assert comparing.diff(made, made) == []
    assert made.why


def test_a_difference_says_what_is_wider() -> None:
    read = Seen("read", "read_files", 0, 1, "allow", {"path": ("/w/a/x",)}, 1, 1, (0, 0, 0))
    push = Seen("push", "git_push", 5, 1, "allow",
                {"path": ("/w/a",), "host": ("example.org",), "ref": ("main",)}, 4, 4, (0, 0, 0))  # fmt: skip
    one = generalising.policy(recorded([read]))
    two = generalising.policy(recorded([read, push]))
    lines = comparing.diff(one, two)
    assert "+ git_push: never → always" in lines
    assert "+ tool: push" in lines
    assert "- git_push: always → never" in comparing.diff(two, one)


@pytest.mark.parametrize(
    "data", ["", "{}", "[]", '{"format": "nucleus/observed/v2"}\n', "\0", "[" * 9999]
)
def test_no_other_file_is_taken_for_a_record(data: str) -> None:
    with pytest.raises(CallerError):
        record.read(data)
    with pytest.raises(CallerError):
        generalising.read(data)


@settings(max_examples=150 * SCALE)
@given(
    st.lists(st.tuples(_ARGUMENTS, _PATHS), min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from(generalising.TIGHT),
)
def test_the_rules_admit_the_real_arguments_too(
    seen: list[tuple[dict[str, Any], str]], values: bool, tight: str
) -> None:
    """Rules are made of leaves, and judge calls: the kernel admits each call they were made of, and
    the stand-in that replaying puts in its place."""
    keep = Keep(SALT, values=values)
    sketches = [arguments.sketch(args, selected(args, path), keep) for args, path in seen]
    made = ruling.rules("tool", sketches, tight, frozenset())
    if made is None:
        assert None in sketches
        return
    rule = caveats.from_value(made)
    assert isinstance(rule, caveats.Arg)
    for (args, path), sketch in zip(seen, sketches, strict=True):
        resolved = {"/path": path} if type(args.get("path")) is str else {}
        assert args_admit(rule, "tool", args, resolved), (made, args)
        assert args_admit(rule, "tool", *arguments.stand_in(sketch)), (made, sketch)


@settings(max_examples=100 * SCALE)
@given(
    st.lists(st.tuples(_ARGUMENTS, _PATHS), min_size=1, max_size=5),
    st.tuples(_ARGUMENTS, _PATHS),
    st.booleans(),
)
def test_tighter_rules_admit_no_more(
    seen: list[tuple[dict[str, Any], str]], other: tuple[dict[str, Any], str], values: bool
) -> None:
    keep = Keep(SALT, values=values)
    sketches = [arguments.sketch(args, selected(args, path), keep) for args, path in seen]
    args, path = other
    resolved = {"/path": path} if type(args.get("path")) is str else {}
    admitted: list[bool] = []
    rules = [ruling.rules("tool", sketches, tight, frozenset()) for tight in generalising.TIGHT]
    for made in rules:
        rule = None if made is None else caveats.from_value(made)
        admitted.append(
            not isinstance(rule, caveats.Arg) or args_admit(rule, "tool", args, resolved)
        )
    assert admitted == sorted(admitted)
    for one, two in pairwise(rules):
        if one is not None and two is not None:
            assert all(comparing.within(one[2][pointer], two[2][pointer]) for pointer in one[2])

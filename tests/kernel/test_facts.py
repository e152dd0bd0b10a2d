"""What the kernel is told stays as it was told, and a call is I-JSON or is none."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from nucleus_tokens import jcs, names
from nucleus_tokens.errors import CallerError
from nucleus_verifier.facts import RESOURCE_KINDS, Approver, Call, Facts, Keys, Policy, Selector
from tests.support import world

PLAIN = Call("t", 0, {"a": 1}, 0, {}, (), 0, 0, 0)


@pytest.mark.parametrize(
    "fact",
    [PLAIN, Approver(b"k" * 32, 1), world.KEYS, Policy(), world.facts()],
    ids=lambda f: type(f).__name__,
)
def test_a_fact_stays_as_it_was_made(fact: Any) -> None:
    (first, *_) = type(fact).__dataclass_fields__
    with pytest.raises(AttributeError):
        setattr(fact, first, None)
    assert not hasattr(fact, "__dict__"), "nothing can be written beside it either"


def test_what_is_not_said_is_nothing() -> None:
    assert (PLAIN.observed, PLAIN.ttl, PLAIN.costs, PLAIN.bad_declassification) == (0, 0, {}, False)
    policy = Policy()
    assert (policy.gate, policy.obligations, policy.tool_obligations, policy.quorum) == (
        "ask", 0, frozenset(), {},
    )  # fmt: skip
    keys = Keys("a", {}, {}, {})
    assert (keys.epoch, keys.audience_publics) == (0, {})
    facts = world.facts()
    told = {name: getattr(facts, name) for name in Facts.__dataclass_fields__}
    optional = ("approvals", "evidence", "policy")
    bare = Facts(**{name: value for name, value in told.items() if name not in optional})
    assert (bare.approvals, bare.evidence, bare.policy) == ((), frozenset(), policy)


@pytest.mark.parametrize(
    "change",
    [
        {"args": float("nan")}, {"args": 2**53}, {"args": "\ud800"}, {"args": {1: 2}},
        {"args": (1,)}, {"args": {"a": b"x"}}, {"tool": "\udfff"}, {"tool": b"t"},
    ],
)  # fmt: skip
def test_a_call_outside_of_json_is_no_call(change: dict[str, Any]) -> None:
    with pytest.raises(CallerError) as refused:
        world.call(**{"tool": "t", "operation": "read_files", **change})
    assert refused.value.code == "call.malformed"


def test_a_call_too_deep_for_anybody_is_no_call() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    with pytest.raises(CallerError, match=r"\[call\.malformed\]"):
        world.call("t", "read_files", value)


def test_the_digest_of_the_arguments_is_of_what_was_first_seen() -> None:
    args = {"a": 1}
    call, same = world.call("t", "read_files", args), world.call("t", "read_files", {"a": 1})
    first = call.args_digest
    assert first == jcs.digest({"a": 1})
    args["a"] = 2
    assert call.args_digest is first
    args["a"] = 1
    assert call == same, "what was computed is no part of the call"
    assert "_known" not in repr(call)
    with pytest.raises(TypeError):
        cast(Any, Call)("t", 0, {}, 0, {}, (), 0, 0, 0, _known={"args": bytes(32)})


def test_the_digest_of_a_call_is_of_the_tool_and_the_arguments() -> None:
    def digest(tool: str, args: Any) -> bytes:
        return world.call(tool, "read_files", args).digest

    some: list[Any] = [{}, {"a": 1}, []]
    told = [digest(tool, args) for tool in ("t", "t2", "", "\u20ac") for args in some]
    assert len(set(told)) == len(told)
    assert world.call("t", "write_files").digest == digest("t", {}), "not of what it stands for"
    assert (
        digest("t", {}).hex() == "1e69241b1956d311b0788546ea26e38e333bda6101b2e55135effa6eb6892c0c"
    )


def test_only_paths_resolve() -> None:
    """A kind is its text, wherever it was read: what a record says is judged again as it was."""
    kinds = json.loads('{"/p": "path", "/h": "host", "/r": "ref", "/z": "zone"}')
    selectors = [Selector(pointer, kind, "/w") for pointer, kind in kinds.items()]
    assert world.call("t", "read_files", selectors=selectors).resolved == {"/p": "/w"}


def test_what_each_operation_may_touch() -> None:
    wanted = {
        "read_files": "path", "write_files": "path", "edit_files": "path", "glob_search": "path",
        "grep_search": "path", "spawn_agent": "path", "web_search": "host", "web_fetch": "host",
        "manage_pods": "host", "create_pr": "host ref", "git_commit": "path ref",
        "git_push": "path host ref", "run_bash": "path host cmd ref",
    }  # fmt: skip
    assert {names.operation(o): {*k.split()} for o, k in wanted.items()} == RESOURCE_KINDS
    with pytest.raises(TypeError):
        cast(dict[int, Any], RESOURCE_KINDS)[0] = frozenset()

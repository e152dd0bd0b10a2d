"""Every type of caveat at each of its edges: what it reads as, and what is refused beside it."""

from __future__ import annotations

from typing import Any

import pytest

from nucleus_tokens import canonical, caveats, names
from nucleus_tokens.caveats import (
    Approve,
    Arg,
    Budget,
    Caveat,
    Delegate,
    Exp,
    ExposureLimit,
    Levels,
    Link,
    Nbf,
    Req,
    Scope,
)
from nucleus_tokens.errors import CredentialError

BIG = 2**53 - 1
HEX16, HEX32, HEX64 = "ab" * 16, "cd" * 32, "ef" * 64
BODY = {"depth": 8, "key": HEX32, "purpose": "", "to": "sub"}
CALL = {"args": HEX32, "instance": "here", "nonce": HEX16, "time": 0, "tool": "fs.read"}


def read(value: Any) -> Caveat:
    return caveats.parse(canonical.encode(value))


def each(*values: Any) -> tuple[Any, ...]:
    return values


def rule(*parts: Any, pointer: str = "/a") -> list[Any]:
    return ["arg", "t", {pointer: list(parts)}]


def ruled(op: str, operand: Any, pointer: str = "/a") -> Arg:
    return Arg("t", ((pointer, op, operand),))


def levels(default: str, **given: str) -> Levels:
    return Levels(names.pack_levels(given, default))


TAKEN: list[tuple[list[Any], Caveat]] = [
    (["exp", 0], Exp(0)),
    (["exp", BIG], Exp(BIG)),
    (["nbf", 7], Nbf(7)),
    (["cap", {}], levels("always")),
    (["cap", {"git_push": "low_risk"}], levels("always", git_push="low_risk")),
    (["cap", {"git_push": "never", "run_bash": "always"}], levels("always", git_push="never")),
    (["only", {}], levels("never")),
    (["only", {"git_push": "low_risk", "read_files": "always"}],
     levels("never", git_push="low_risk", read_files="always")),
    (["path", "in", ["/a", "/b"]], Scope("path", True, ("/a", "/b"))),
    (["path", "not", []], Scope("path", False, ())),
    (["host", "in", ["*.example"]], Scope("host", True, ("*.example",))),
    (["cmd", "in", [["a"], ["a", "b"]]], Scope("cmd", True, (("a",), ("a", "b")))),
    (["ref", "not", ["main"]], Scope("ref", False, ("main",))),
    (["tool", "in", [f"t{n:02}" for n in range(64)]],
     Scope("tool", True, tuple(f"t{n:02}" for n in range(64)))),
    (["arg", "*", {}], Arg("*", ())),
    (["arg", "t", {f"/{n:02}": ["any"] for n in range(64)}],
     Arg("t", tuple((f"/{n:02}", "any", None) for n in range(64)))),
    (rule("any"), ruled("any", None)),
    (rule("any", pointer=""), ruled("any", None, "")),
    (rule("any", pointer="/~0~1"), ruled("any", None, "/~0~1")),
    (rule("any", pointer="/" + "~0" * 300), ruled("any", None, "/" + "~0" * 300)),
    (rule("any", pointer="/" + "x" * 1023), ruled("any", None, "/" + "x" * 1023)),
    (rule("equals", "x"), ruled("equals", "x")),
    (rule("equals", None), ruled("equals", None)),
    (rule("equals", True), ruled("equals", True)),
    (rule("equals", -3), ruled("equals", -3)),
    (rule("one-of", []), ruled("one-of", [])),
    (rule("one-of", [1, None, False, "x"]), ruled("one-of", [1, None, False, "x"])),
    (rule("one-of", [0] * 64), ruled("one-of", [0] * 64)),
    (rule("prefix", ""), ruled("prefix", "")),
    (rule("prefix", "x" * 1024), ruled("prefix", "x" * 1024)),
    (rule("subpath", "/"), ruled("subpath", "/")),
    (rule("subpath", "/srv/a"), ruled("subpath", "/srv/a")),
    (rule("range", -BIG, BIG), ruled("range", (-BIG, BIG))),
    (rule("range", None, -1), ruled("range", (None, -1))),
    (rule("range", 5, 1), ruled("range", (5, 1))),
    (rule("length", 0, BIG), ruled("length", (0, BIG))),
    (rule("length", None, 0), ruled("length", (None, 0))),
    (rule("length", BIG, None), ruled("length", (BIG, None))),
    *((["budget", unit, 0], Budget(unit, 0))
      for unit in ("calls", "micro_usd", "tokens", "bytes_out")),
    (["budget", "calls", BIG], Budget("calls", BIG)),
    (["exposure", []], ExposureLimit(0)),
    (["exposure", ["exfil_vector", "private_data"]], ExposureLimit(0b101)),
    (["approve", []], Approve(0)),
    (["approve", ["read_files", "spawn_agent", "write_files"]], Approve(1 << 12 | 0b11)),
    (["link", HEX16], Link(HEX16)),
    (["req", CALL], Req("fs.read", HEX32, 0, HEX16, "here")),
    (["delegate", BODY, HEX64],
     Delegate("sub", bytes.fromhex(HEX32), "", 8, canonical.encode(["delegate", BODY]),
              bytes.fromhex(HEX64))),
]  # fmt: skip


@pytest.mark.parametrize(("value", "caveat"), TAKEN, ids=lambda v: str(v)[:40])
def test_what_a_caveat_reads_as(value: list[Any], caveat: Caveat) -> None:
    got = read(value)
    assert got == caveat
    assert type(got) is type(caveat)


REFUSED: list[list[Any]] = [
    *([kind, *rest] for kind in ("exp", "nbf")
      for rest in each([], [-1], [True], ["1"], [None], [1, 2], [[1]])),
    *([kind, *rest] for kind in ("cap", "only")
      for rest in each([], [[]], [None], [""], [{}, {}], [{"x": "never"}], [{"git_push": "some"}],
                   [{"git_push": 0}], [{"git_push": None}], [{"git_push": ["never"]}])),
    *([kind, *rest] for kind in ("path", "host", "cmd", "ref", "tool")
      for rest in each([], ["in"], ["in", [], []], ["or", []], ["IN", []], [True, []], [None, []],
                   [["in"], []], ["in", None], ["in", {}], ["in", ""], ["in", "a"], ["in", [5]],
                   ["in", [None]], ["in", [[]]], ["in", [""]], ["not", [{}]])),
    ["path", "in", ["/b", "/a"]], ["path", "in", ["/a", "/a"]], ["cmd", "in", [["b"], ["a"]]],
    ["cmd", "in", [["a"], ["a"]]], ["cmd", "in", ["ls"]],
    ["tool", "in", [f"t{n:02}" for n in range(65)]],
    *(["arg", *rest] for rest in each([], ["t"], ["t", []], ["t", ""], ["t", None], ["", {}],
                                      [5, {}], [None, {}], ["t", {}, {}])),
    ["arg", "t", {f"/{n:02}": ["any"] for n in range(65)}],
    *(rule("any", pointer=p) for p in ("a", "~", "/~", "/~2", "/a~", "/~0~", "/" + "x" * 1024)),
    *(["arg", "t", {"/a": value}] for value in each([], "any", None, {}, {"any": 1}, 5, [[]],
                                                   [None], ["some"], ["Any"], [5])),
    rule("any", None), rule("any", 1),
    *(rule(op, *rest) for op in ("equals", "one-of", "prefix", "subpath")
      for rest in each([], ["/a", "/a"], [[[]]], [{}])),
    rule("equals", []), rule("one-of", "x"), rule("one-of", None), rule("one-of", {"x": 1}),
    rule("one-of", [[1]]), rule("one-of", [1, {}]), rule("one-of", [0] * 65),
    rule("prefix", 5), rule("prefix", None), rule("prefix", ["x"]), rule("prefix", "x" * 1025),
    *(rule("subpath", value) for value in ("", "a", "/a/", "/a/..", "/a*", "/**", 5, None, ["/a"])),
    *(rule(op, *rest) for op in ("range", "length")
      for rest in each([], [1], [1, 2, 3], ["1", 2], [1, "2"], [True, 2], [1, True], [[], 1])),
    rule("length", -1, 5), rule("length", None, -1),
    ["budget"], ["budget", "calls"], ["budget", "coins", 1], ["budget", "calls", -1],
    ["budget", "calls", True], ["budget", "calls", None], ["budget", ["calls"], 1],
    ["budget", None, 1], ["budget", "calls", 1, 1],
    *([kind, *rest] for kind in ("exposure", "approve")
      for rest in each([], ["git_push"], [None], [{}], [5], [["else"]], [[5]], [[], []])),
    ["exposure", ["private_data", "exfil_vector"]], ["approve", ["git_push", "git_push"]],
    ["link"], ["link", HEX16[1:]], ["link", HEX32], ["link", HEX16.upper()], ["link", 5],
    ["link", None], ["link", HEX16, HEX16],
]  # fmt: skip


def changed(body: dict[str, Any], **others: list[Any]) -> list[dict[str, Any]]:
    """The body with a member left out, one more, or one that is another."""
    return [
        *({k: v for k, v in body.items() if k != name} for name in body),
        {**body, "x": 1},
        *({**body, name: value} for name, values in others.items() for value in values),
    ]


REFUSED += [
    *(["delegate", body, HEX64] for body in changed(
        BODY, depth=[-1, 9, True, None, "1"], key=[HEX16, HEX32.upper(), None, 5],
        purpose=["x" * 1025, None, 5], to=["", "x" * 1025, None, 5])),
    *(["delegate", BODY, signature] for signature in each(HEX32, HEX64.upper(), None, 5, [])),
    *(["delegate", *rest] for rest in each([], [BODY], [BODY, HEX64, 1], [[], HEX64],
                                           [None, HEX64])),
    *(["req", body] for body in changed(
        CALL, args=[HEX16, HEX32.upper(), None, 5], instance=["", "x" * 1025, None, 5],
        nonce=[HEX32, HEX16.upper(), None, 5], time=[-1, True, None, "1"],
        tool=["", "x" * 1025, None, 5])),
    ["req"], ["req", None], ["req", []], ["req", CALL, CALL],
]  # fmt: skip


@pytest.mark.parametrize("value", REFUSED, ids=lambda v: str(v)[:40])
def test_what_is_no_caveat_of_its_type(value: list[Any]) -> None:
    with pytest.raises(CredentialError) as refused:
        read(value)
    assert refused.value.code == "caveat.malformed"


@pytest.mark.parametrize("bound", [-BIG - 1, BIG + 1])
def test_a_bound_that_no_reader_would_let_through(bound: int) -> None:
    """A caveat can be made of values that were never spelled as JSON."""
    for bounds in ((bound, None), (None, bound)):
        with pytest.raises(CredentialError) as refused:
            caveats.from_value(rule("range", *bounds))
        assert refused.value.code == "caveat.malformed"


@pytest.mark.parametrize("value", [None, 5, "exp", {}, {"exp": 1}, [], [None], [5], [["exp"], 1]])
def test_what_does_not_start_with_a_type(value: Any) -> None:
    with pytest.raises(CredentialError) as refused:
        read(value)
    assert refused.value.code == "caveat.malformed"


@pytest.mark.parametrize("kind", ["", "Exp", "expx", "or", "levels", "scope", "arguments"])
def test_a_type_that_nobody_knows(kind: str) -> None:
    with pytest.raises(CredentialError) as refused:
        read([kind, 1])
    assert refused.value.code == "caveat.unknown"


def test_how_long_a_caveat_may_be() -> None:
    """By its bytes, whichever of them it is."""
    room = 2048 - len(canonical.encode(["tool", "in", ["x", "y"]]))
    longest = ["tool", "in", ["x" * 1001, "y" * (room - 999)]]
    data = canonical.encode(longest)
    assert len(data) == 2048
    assert caveats.parse(data) == Scope("tool", True, tuple(longest[2]))
    longer = canonical.encode(["tool", "in", ["x" * 1002, "y" * (room - 999)]])
    short = canonical.encode(["exp", 1])
    assert caveats.parse_all([]) == []
    assert caveats.parse_all([short, data]) == [Exp(1), caveats.parse(data)]
    for parts in ([longer], [short, longer], [longer, short]):
        with pytest.raises(CredentialError) as refused:
            caveats.parse_all(parts)
        assert refused.value.code == "caveat.malformed"


def test_where_a_type_may_stand() -> None:
    every = {"exp", "nbf", "cap", "only", "path", "host", "cmd", "ref", "tool", "arg", "budget",
             "exposure", "approve", "delegate", "link", "req"}  # fmt: skip
    predicates = {"path", "host", "cmd", "ref", "tool", "arg"}
    assert set(caveats.TYPES) == every
    assert predicates == caveats.IN_APPROVAL
    assert predicates | {"cap", "only", "budget"} == caveats.IN_CEIL
    assert every - {"delegate", "req"} == caveats.IN_NARROWED
    assert set(caveats.SCOPE_KINDS) == predicates - {"arg"}

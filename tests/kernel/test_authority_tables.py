"""What each predicate of authority says, row by row: where a rule ends, and what is no evidence."""

from __future__ import annotations

from typing import Any

import pytest

from nucleus_tokens.authority import (
    FULL,
    MISSING,
    Authority,
    Counter,
    Source,
    admits,
    args_admit,
    fixed_by_ceil,
    fold,
    lookup,
    ready,
    rule_admits,
    scope_admits,
)
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
from nucleus_tokens.lattice import TOP

ARGS: dict[str, Any] = {"a": {"b": [10, 20], "/": 1, "~": 2, "~1": 3}, "": 4, "n": None}
TEN = list(range(12))


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", ARGS),
        ("/a/b", [10, 20]),
        ("/a/b/0", 10),
        ("/a/b/1", 20),
        ("/a/b/2", MISSING),
        ("/a/b/3", MISSING),
        ("/a/b/-1", MISSING),
        ("/a/b/01", MISSING),
        ("/a/b/00", MISSING),
        ("/a/b/+1", MISSING),
        ("/a/b/", MISSING),
        ("/a/b/\u00b2", MISSING),
        ("/a/b/\u0661", MISSING),
        ("/a/b/x", MISSING),
        ("/a/b/1000000", MISSING),
        ("/a/b/0/0", MISSING),
        ("/a/~1", 1),
        ("/a/~0", 2),
        ("/a/~01", 3),
        ("/", 4),
        ("/n", None),
        ("/n/a", MISSING),
        ("/m", MISSING),
    ],
)
def test_where_a_pointer_leads(pointer: str, found: Any) -> None:
    assert lookup(ARGS, pointer) is found or lookup(ARGS, pointer) == found is not MISSING


def test_an_index_of_any_length_is_the_one_spelled() -> None:
    assert [lookup(TEN, f"/{i}") for i in TEN] == TEN
    assert lookup(list(range(1001)), "/1000") == 1000
    assert lookup([0] * 100001, "/100000") == 0
    assert lookup([0] * 1000001, "/1000000") is MISSING
    assert lookup("text", "/0") is MISSING
    assert lookup((1, 2), "/0") is MISSING


@pytest.mark.parametrize(
    ("op", "operand", "passes", "fails"),
    [
        ("any", None, [1, None, MISSING, [], ""], []),
        ("equals", 1, [1], [1.0, True, 2, 0, "1", None, MISSING]),
        ("equals", True, [True], [1, 1.0, False, MISSING]),
        ("equals", None, [None], [0, False, "", MISSING]),
        ("equals", 0, [0], [False, 0.0, None, MISSING]),
        ("one-of", ["a", 1], ["a", 1], ["b", 1.0, True, ["a", 1], None, MISSING]),
        ("one-of", [], [], [None, MISSING, []]),
        ("prefix", "ab", ["ab", "abc"], ["a", "AB", "xab", ["ab"], 1, None, MISSING]),
        ("subpath", "/w", ["/w", "/w/a"], ["/", "/wx", "/w/../x", "w", 1, None, MISSING]),
        ("range", [1, 3], [1, 2, 3, 1.0, 2.5], [0, 4, 0.9, 3.1, True, "2", None, MISSING]),
        ("range", [None, 3], [3, -9, 0], [4, True, MISSING]),
        ("range", [1, None], [1, 99], [0, False, MISSING]),
        ("range", [None, None], [1, -1.5], [True, "1", None, MISSING]),
        ("range", [0, 0], [0, 0.0], [1, -1, False, MISSING]),
        ("length", [1, 2], ["a", "ab", [1], [1, 2], {"a": 1}], ["", "abc", [], {}, 1, MISSING]),
        ("length", [None, 0], ["", [], {}], ["a", [1], {"a": 1}, None, 0, MISSING]),
        ("length", [1, None], ["a" * 99], ["", None, True, (1,), MISSING]),
    ],
)
def test_what_each_rule_admits(op: str, operand: Any, passes: list[Any], fails: list[Any]) -> None:
    for value in passes:
        assert rule_admits(op, operand, value) is True, value
    for value in fails:
        assert rule_admits(op, operand, value) is False, value


RESOLVED = {"/p": "/w/a"}


@pytest.mark.parametrize(
    ("rules", "args", "said"),
    [
        ([], {}, True),
        ([], {"a": 1}, False),
        ([], [], True),
        ([], [1], False),
        ([], "text", False),
        ([("", "any", None)], {"a": 1}, True),
        ([("/a", "any", None)], {"a": {"b": 1}}, True),
        ([("/a", "any", None)], {"a": 1, "b": 1}, False),
        ([("/a", "any", None)], {}, True),
        ([("/a/b", "any", None)], {"a": {"b": 1}}, True),
        ([("/a/b", "any", None)], {"a": {"b": 1, "c": 1}}, False),
        ([("/a/b", "any", None)], {"a": {"c": 1}}, False),
        ([("/a/b", "any", None)], {"a": 1}, False),
        ([], {"a": {}}, False),
        ([], [[]], False),
        ([("/b", "any", None)], {"b": 1, "c": {}}, False),
        ([("/b", "any", None)], {"a": [], "b": 1}, False),
        ([("/a/x", "any", None), ("/b/y", "any", None)], {"a": {"x": 1}, "b": {"x": 1}}, False),
        ([("/a/x", "any", None), ("/b/y", "any", None)], {"a": {"y": 1}, "b": {"y": 1}}, False),
        ([("/a/b", "any", None), ("/a/c", "any", None)], {"a": {"b": 1, "c": 1}}, True),
        ([("/a/0", "any", None)], {"a": [1]}, True),
        ([("/a/0", "any", None)], {"a": [1, 2]}, False),
        ([("/a/0", "any", None), ("/a/1", "any", None)], {"a": [1, 2]}, True),
        ([("/a", "equals", 1)], {"a": 1}, True),
        ([("/a", "equals", 1)], {"a": 2}, False),
        ([("/a", "equals", 1)], {}, False),
        ([("/p", "subpath", "/w")], {"p": "a"}, True),
        ([("/p", "subpath", "/x")], {"p": "/x/a"}, False),
        ([("/p", "equals", "a")], {"p": "a"}, True),
        ([("/p", "equals", "/w/a")], {"p": "a"}, False),
        ([("/q", "subpath", "/w")], {"q": "/w/b"}, True),
        ([("/q", "subpath", "/w")], {"q": "b"}, False),
    ],
)
def test_what_arguments_a_caveat_admits(rules: list[Any], args: Any, said: bool) -> None:
    for tool in ("*", "t"):
        assert args_admit(Arg(tool, tuple(rules)), "t", args, RESOLVED) is said
    assert args_admit(Arg("other", tuple(rules)), "t", args, RESOLVED) is True


def test_a_scope_admits_all_of_its_kind_or_nothing() -> None:
    allow, block = Scope("path", True, ("/w", "/x")), Scope("path", False, ("/w",))
    assert scope_admits(allow, ("/w/a", "/x")) is True
    assert scope_admits(allow, ("/w/a", "/y")) is False
    assert scope_admits(allow, ("/y", "/w/a")) is False
    assert scope_admits(allow, ()) is True
    assert scope_admits(allow, ("w",)) is False
    assert scope_admits(block, ("/x",)) is True
    assert scope_admits(block, ("/x", "/w/a")) is False
    assert scope_admits(block, ("w",)) is False
    # To allow is to name exactly; to block is to block also what may be the same.
    assert scope_admits(Scope("path", True, ("/W",)), ("/w",)) is False
    assert scope_admits(Scope("path", False, ("/W",)), ("/w",)) is False
    assert scope_admits(Scope("cmd", True, (("ls",),)), (("env", "ls"),)) is False
    assert scope_admits(Scope("cmd", False, (("ls",),)), (("env", "ls"),)) is False
    assert admits(block, None) is False
    assert ready("path", ("/a", "b")) is None
    assert ready("path", ()) == []


def scope(kind: str, *patterns: Any, allow: bool = True) -> Scope:
    return Scope(kind, allow, patterns)


@pytest.mark.parametrize(
    ("ceil", "kind", "value", "said"),
    [
        ([], "path", "/w/a", False),
        ([scope("path", "/w")], "path", "/w", True),
        ([scope("path", "/w")], "path", "/w/a", True),
        ([scope("path", "/w")], "path", "/wx", False),
        ([scope("path", "/w")], "path", "/w/../x", False),
        ([scope("path", "/w")], "path", "w", False),
        ([scope("path", "/w")], "host", "/w", False),
        ([scope("path", "/w", allow=False)], "path", "/w", False),
        ([scope("path", "/*")], "path", "/*", False),
        ([scope("path", "/x", "/w")], "path", "/w/a", True),
        ([scope("path", "/x"), scope("path", "/w")], "path", "/w/a", True),
        ([scope("host", "a.example")], "host", "a.example", True),
        ([scope("host", "a.example")], "host", "b.example", False),
        ([scope("host", "b.example")], "host", "a.example", False),
        ([scope("host", "b.example", "a.example")], "host", "a.example", True),
        ([scope("host", "*.example")], "host", "*.example", False),
        ([scope("host", "a.example", allow=False)], "host", "a.example", False),
        ([scope("ref", "main")], "ref", "main", True),
        ([scope("ref", "m*")], "ref", "m*", False),
        ([scope("ref", "main")], "ref", "other", False),
        ([scope("cmd", ("ls",))], "cmd", ("ls",), False),
        ([scope("tool", "t")], "tool", "t", False),
        ([scope("path", "/x"), scope("ref", "main")], "ref", "main", True),
    ],
)
def test_what_a_scope_of_the_issuer_fixes(
    ceil: list[Any], kind: str, value: Any, said: bool
) -> None:
    assert fixed_by_ceil(tuple(ceil), "t", {}, "/x", kind, value) is said


@pytest.mark.parametrize(
    ("rule", "kind", "value", "args", "said"),
    [
        (("/x", "equals", "a"), "email", "z", {"x": "a"}, True),
        (("/x", "equals", "a"), "email", "a", {"x": "b"}, False),
        (("/x", "one-of", ["a", "b"]), "email", "z", {"x": "b"}, True),
        (("/x", "one-of", ["a", "b"]), "email", "a", {"x": "c"}, False),
        (("/x", "range", [1, 2]), "number", 9, {"x": 2}, True),
        (("/x", "range", [1, 2]), "number", 1, {"x": 3}, False),
        (("/x", "subpath", "/w"), "path", "/w/a", {"x": "link"}, True),
        (("/x", "subpath", "/w"), "path", "/y", {"x": "/w/a"}, False),
        (("/x", "equals", "/w/a"), "path", "/w/a", {"x": "link"}, True),
        (("/x", "equals", "/w/a"), "path", "/y", {"x": "/w/a"}, False),
        (("/x", "equals", "a"), "ref", "z", {"x": "a"}, True),
        (("/x", "equals", "a"), "ref", "a", {"x": "b"}, False),
        (("/x", "equals", "a"), "host", "a", {"x": "b"}, False),
        (("/x", "any", None), "email", "a", {"x": "a"}, False),
        (("/x", "prefix", "a"), "email", "a", {"x": "a"}, False),
        (("/x", "length", [1, 1]), "email", "a", {"x": "a"}, False),
        (("/w", "equals", "a"), "email", "a", {"x": "a", "w": "a"}, False),
        (("/y", "equals", "a"), "email", "a", {"x": "a", "y": "a"}, False),
        (("/x", "equals", "a"), "email", "a", {}, False),
    ],
)
def test_what_a_rule_of_the_issuer_fixes(
    rule: tuple[str, str, Any], kind: str, value: Any, args: Any, said: bool
) -> None:
    other = ("/0", "equals", "no")
    kind = kind[:1] + kind[1:]  # as read from a file: equal to the word here, and another object
    for tool in ("*", "t"):
        for rules in ((rule,), (other, rule), (rule, other)):
            caveats = (scope("cmd", ("ls",)), Exp(9), Budget("calls", 1), Arg(tool, rules))
            assert fixed_by_ceil(caveats, "t", args, "/x", kind, value) is said
    assert fixed_by_ceil((Arg("other", (rule,)),), "t", args, "/x", kind, value) is False


def test_what_nothing_narrowed_is_everything() -> None:
    assert Authority(TOP, 2**53 - 1, 0, 0b111, 0, (), (), ()) == FULL


def test_each_caveat_takes_away_its_own_part() -> None:
    rule, tool = Arg("t", ()), Scope("tool", True, ("t",))
    parts: list[Caveat] = [
        Levels(6), Exp(9), Nbf(4), ExposureLimit(3), Approve(5), tool, rule, Budget("calls", 8),
        Link("ab"), Delegate("", b"", "", 0, b"", b""),
        Levels(TOP), Exp(10), Nbf(3), ExposureLimit(6), Approve(8), Budget("calls", 9),
    ]  # fmt: skip
    numbered = [(n, f"rid{n}", caveat) for n, caveat in enumerate(parts)]
    wanted = Authority(
        6, 9, 4, 2, 13, ((Source("here", 5), tool),), ((Source("here", 6), rule),),
        (Counter(Source("here", 7), "rid7/calls", "calls", 8),
         Counter(Source("here", 15), "rid15/calls", "calls", 9)),
    )  # fmt: skip
    assert fold(FULL, "here", numbered) == wanted
    for at in range(len(parts)):
        assert fold(fold(FULL, "here", numbered[:at]), "here", numbered[at:]) == wanted


def test_a_caveat_without_a_meaning_here_is_not_passed_over() -> None:
    """A request is read by itself; what the table of types knows and this fold does not is no
    authority."""
    for odd in (Req("t", "", 0, "", ""), object(), None):
        with pytest.raises(CredentialError) as refused:
            fold(FULL, "caveat", [(1, "rid", Exp(9)), (2, "rid", odd)])  # type: ignore[list-item]  # on purpose
        assert refused.value.code == "caveat.unknown"


def test_patterns_are_counted_over_the_whole_chain() -> None:
    def some(first: int, last: int) -> list[tuple[int, str, Caveat]]:
        return [(1, "rid", Scope("tool", True, tuple(f"t{n:02}" for n in range(first, last))))]

    half = fold(FULL, "ceil", some(0, 32))
    fold(half, "caveat", some(32, 64))
    for start, parts in ((FULL, some(0, 65)), (half, some(32, 65))):
        with pytest.raises(CredentialError) as refused:
            fold(start, "caveat", parts)
        assert refused.value.code == "caveat.too_many_patterns"

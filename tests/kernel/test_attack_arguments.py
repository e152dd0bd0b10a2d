"""Somebody adds an argument, hides one, or says it in another type.

The world of an `arg` caveat is closed: what no rule names is denied. It is closed by each caveat on
its own. Were it closed by all of them together, appending a caveat could admit an argument.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_tokens.errors import CredentialError
from nucleus_tokens.names import OPERATIONS
from nucleus_verifier.decision import Allow, Deny
from nucleus_verifier.facts import Call
from tests.algebra.reference import LAW
from tests.support import world
from tests.support.judging import allowed, denied, judge
from tests.support.reference_caveats import arguments_hold

ANY = world.mint()


def call(args: Any, tool: str = "t") -> Call:
    return world.call(tool, "read_files", args)


def passes(rules: dict[str, Any], args: Any, tool: str = "t") -> bool:
    return isinstance(judge(world.narrow(ANY, ["arg", "t", rules]), call(args, tool)), Allow)


def test_appending_a_caveat_never_admits_an_argument() -> None:
    """The parent denies `force`, which it does not name. The child names it. Still denied: each
    caveat closes the world for itself."""
    parent = world.narrow(ANY, ["arg", "t", {"/path": ["any"]}])
    child = world.narrow(parent, ["arg", "t", {"/force": ["any"], "/path": ["any"]}])
    args = {"path": "/srv", "force": True}
    denied(judge(parent, call(args)), 10, "scope.arguments")
    denied(judge(child, call(args)), 10, "scope.arguments")
    allowed(judge(child, call({"path": "/srv"})))
    for wider in ({"": ["any"]}, {"/force": ["any"]}, {}):
        for tool in ("t", "*"):
            again = world.narrow(child, ["arg", tool, wider])
            denied(judge(again, call(args)), 10, "scope.arguments")


def test_a_caveat_on_another_tool_neither_closes_nor_opens() -> None:
    token = world.narrow(ANY, ["arg", "u", {"/x": ["equals", 1]}])
    allowed(judge(token, call({"anything": [1, 2]})))
    denied(judge(token, call({"x": 2}, "u")), 10, "scope.arguments")
    for other in ("T", "t ", "u2", "*"):
        allowed(judge(token, call({"x": 2}, other)))


@pytest.mark.parametrize(
    "args",
    [
        {"path": "/srv/a", "force": True},
        {"path": "/srv/a", "Path": "/etc"},
        {"path": "/srv/a", "": 1},
        {"path": "/srv/a", "/path": 1},
        {"path": "/srv/a", "path\0": 1},
        {"path": "/srv/a", "pa\u0301th": 1},
        {"path": "/srv/a", "opts": {}},
        {"path": {"path": "/srv/a"}},
        {"path": ["/srv/a"]},
        {"path": None},
        {"path": "/srv/a/../../etc"},
        {"path": "/srv/a/.."},
        {"path": "/srvx"},
        {"path": "/SRV/a"},
        {},
        [],
        ["/srv/a"],
        "/srv/a",
        None,
    ],
)
def test_beside_what_a_rule_names(args: Any) -> None:
    assert not passes({"/path": ["subpath", "/srv"]}, args)
    assert passes({"/path": ["subpath", "/srv"]}, {"path": "/srv/a"})


def test_nested_worlds_are_closed_too() -> None:
    rules = {"/a/b": ["any"], "/a/c/0": ["equals", 1], "/d": ["any"]}
    assert passes(rules, {"a": {"b": {"x": [1, {}]}, "c": [1]}, "d": {"whatever": 1}})
    for args in (
        {"a": {"b": 1, "c": [1, 2]}},
        {"a": {"b": 1, "c": [1], "e": 1}},
        {"a": {"b": 1, "c": {"0": 1, "1": 1}}},
        {"a": {"b": 1, "c": []}},
        {"a": {"b": 1}, "e": 1},
        {"a": [1], "d": 1},
        {"a": 5},
    ):
        assert not passes(rules, args), args


TOUCHES = {
    "path": "read_files write_files edit_files run_bash glob_search grep_search git_commit git_push"
    " spawn_agent",
    "host": "run_bash web_search web_fetch git_push create_pr manage_pods",
    "cmd": "run_bash",
    "ref": "run_bash git_commit git_push create_pr",
}


@pytest.mark.parametrize("kind", TOUCHES)
def test_what_an_operation_may_touch_must_be_known(kind: str) -> None:
    """A call that says nothing of a resource is held against every scope it could break."""
    for operation in OPERATIONS:
        silent = world.call("some.tool", operation, {}, resources={})
        decision = judge(world.narrow(ANY, [kind, "not", []]), silent)
        unknown = isinstance(decision, Deny) and decision.code == "scope.unknown"
        assert unknown == (operation in TOUCHES[kind].split()), operation


@pytest.mark.parametrize(
    ("pointer", "args", "found"),
    [
        ("/a~1b", {"a/b": 1}, True),
        ("/a~1b", {"a": {"b": 1}}, False),
        ("/m~0n", {"m~n": 1}, True),
        ("/~01", {"~1": 1}, True),
        ("/~01", {"/": 1}, False),
        ("/x/0", {"x": [1]}, True),
        ("/x/00", {"x": [1]}, False),
        ("/x/-", {"x": [1]}, False),
        ("/x/-1", {"x": [1]}, False),
        ("/x/٠", {"x": [1]}, False),
        ("/x/0", {"x": {"0": 1}}, True),
        ("/", {"": 1}, True),
        ("", 1, True),
        ("/x/1e0", {"x": [0, 1]}, False),
    ],
)
def test_pointers_find_what_they_name(pointer: str, args: Any, found: bool) -> None:
    assert passes({pointer: ["equals", 1]}, args) == found


@pytest.mark.parametrize("pointer", ["a", "a/b", "/~", "/~2", "/a~", "/~~01", "/~~"])
def test_a_pointer_that_is_none(pointer: str) -> None:
    with pytest.raises(CredentialError):
        world.narrow(ANY, ["arg", "t", {pointer: ["any"]}])


VALUES: list[Any] = [
    1,
    1.0,
    True,
    "1",
    0,
    False,
    None,
    "",
    [],
    {},
    [1],
    "a",
    -1,
    1.5,
    "é",
    "e\u0301",
]


@pytest.mark.parametrize("wanted", [1, True, "1", 0, False, None, "", "a", -1, "é"])
def test_equal_means_the_same_type_too(wanted: Any) -> None:
    for value in VALUES:
        same = type(value) is type(wanted) and value == wanted
        assert passes({"/x": ["equals", wanted]}, {"x": value}) == same, value
        assert passes({"/x": ["one-of", [wanted, "zzz"]]}, {"x": value}) == same, value
    assert not passes({"/x": ["equals", wanted]}, {})
    assert not passes({"/x": ["one-of", []]}, {"x": wanted})


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        (["range", 0, 10], [0, 10, 5, 2.5, 0.0, -0.0], [-1, 11, 10.1, "5", True, None, [5]]),
        (["range", None, 10], [-(2**53) + 1, 10], [11, 1e300, "1", False]),
        (["range", 10, None], [10, 2**53 - 1, 1e300], [9, -1e300, True]),
        (["range", 5, 4], [], [4, 5]),
        (
            ["length", 1, 3],
            ["a", "abc", [1], {"a": 1}, "日本"],
            ["", "abcd", [], [1] * 4, {}, 2, None],
        ),
        (["length", None, 3], ["", [], {}], [2, 0, None, True, "abcd"]),
        (["prefix", "ab"], ["ab", "abc"], ["a", "Ab", "", "xab", 5, ["ab"], None]),
        (["prefix", ""], ["", "x"], [None, 0]),
    ],
)
def test_ranges_lengths_and_prefixes(
    rule: list[Any], inside: list[Any], outside: list[Any]
) -> None:
    for value in inside:
        assert passes({"/x": rule}, {"x": value}), value
    for value in outside:
        assert not passes({"/x": rule}, {"x": value}), value
    assert not passes({"/x": rule}, {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "a", "/srv/a", "b/c"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "", "0", "b/c", "~"]), inner, max_size=3)
    ),
    max_leaves=6,
)
POINTERS = st.lists(st.sampled_from(["a", "b", "", "0", "b~1c", "~0", "1"]), max_size=3).map(
    lambda steps: "".join("/" + s for s in steps)
)
RULES = st.sampled_from(
    [["any"], ["equals", 1], ["equals", "a"], ["one-of", [None, 0, ""]], ["length", 0, 1],
     ["range", -3, 3], ["prefix", ""], ["subpath", "/srv"]]
)  # fmt: skip
CAVEATS = st.builds(
    lambda tool, rules: ["arg", tool, rules],
    st.sampled_from(["t", "*", "u"]),
    st.dictionaries(POINTERS, RULES, max_size=4),
)


@LAW
@given(JSON, st.lists(CAVEATS, max_size=3))
def test_all_of_them_hold_and_each_closes_the_world(args: Any, caveats: list[list[Any]]) -> None:
    one = call(args)
    token = world.narrow(ANY, *caveats)
    wanted = all(arguments_hold(caveat, one) for caveat in caveats)
    assert isinstance(judge(token, one), Allow) == wanted

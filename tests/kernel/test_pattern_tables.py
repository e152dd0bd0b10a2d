"""What each kind of pattern may be, what each kind of value may be, and which match, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from nucleus_tokens.patterns import (
    MATCHERS,
    affordable,
    floating,
    glob,
    is_host,
    is_path,
    split_host,
    under,
)
from tests.support.posing import Poser

ROOT = "/".casefold()  # equal to `/`, and in CPython another object
OTHER_KINDS: list[Any] = [None, 5, True, b"/a", (), {}, {"/a"}, ["a", 5], [[]], Poser(), [Poser()]]
NAMES = ["a", "main", "fs.read", "a/b", "*", "**", "a*b*c*d*e", "**/a/**", "caf\u00e9",
         "/".join("a" * 32), "a\\*"]  # fmt: skip
NO_NAMES = ["", "/", "a/", "/a", "a//b", "a\0b", "***", "a**", "**a", "a/**b", "a*b*c*d*e*f",
            "**/**/**", "/".join("a" * 33), "!**", "!*a*b*c*d*e"]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "taken", "refused"),
    [
        ("path", ["/", "/a", "/a/b.c", "/..a", "/a/*", "/*", "/**", "**", "**/a", "/a*b*c*d*e/x",
                  "/**/a/**", "/" + "/".join("a" * 31), "/" + "/".join(["a*"] * 31), "/caf\u00e9"],
         ["", "a", "a/b", "/a/", "//", "/a//b", "/.", "/..", "/a/./b", "/a/../b", "/a/..", "a/*",
          "*", "*/a", "/a/*/", "/*//b", "/*/.", "/*/..", "/*/./b", "/*/../b", "./*", "/***",
          "/a**", "/**a", "/a*b*c*d*e*f", "/**/**/**", "/a\0", "/*\0", "/" + "/".join("a" * 32),
          "/" + "/".join("a" * 40), "/!**", "/" + "/".join(["a*"] * 32), "/" + "a" * 4096,
          "\ud800/*"]),
        ("host", ["a", "a.example", "*.example", "10.0.0.1", "[::1]", "a:1", "*.example:65535",
                  "[::1]:80", "a_b-c"],
         ["", "*", "*.", "**.example", "a.*", "*a.example", "*.*.example", "A", "a.", ".a", "-a",
          "a..b", "a:0", "a:65536", "a:01", "a:", "a b", "a/b", "\u00e9.example", "*.A", "[::1",
          "[g]", "a:b:1"]),
        ("cmd", [["a"], ["a", "-b"], ["a"] * 32, ["a b"], ["*"]],
         [[], [""], ["a", ""], ["a"] * 33, ["a\0"], ["a", None], "a", ("a",), {"a": 1}]),
        ("ref", NAMES, NO_NAMES),
        ("tool", NAMES, NO_NAMES),
    ],
    ids=["path", "host", "cmd", "ref", "tool"],
)  # fmt: skip
def test_what_may_stand_in_a_caveat(kind: str, taken: list[Any], refused: list[Any]) -> None:
    well_formed = MATCHERS[kind].well_formed
    for pattern in taken:
        assert well_formed(pattern) is True, pattern
    for pattern in [*refused, *OTHER_KINDS]:
        assert well_formed(pattern) is False, pattern


@pytest.mark.parametrize(
    ("kind", "taken", "refused"),
    [
        ("path", ["/", ROOT, "/a", "/a/b", "/...", "/.a", "/a./b", "/a/..b", "/*", "/" + "a" * 4095,
                  "/" + "/".join("a" * 64), "/caf\u00e9"],
         ["", "a", "/a/", "//", "//a", "/a//b", "/.", "/..", "/./a", "/../a", "/a/.", "/a/..",
          "/a/./b", "/a/../b", "/a\0", "/" + "a" * 4096, "/" + "/".join("a" * 65), "/\ud800"]),
        ("host", ["a", "a.b", "a-b_c.d", "9", "a:1", "a:65535", "[::1]", "[::1]:80",
                  "[" + "f" * 45 + "]", "[]", "a" * 253, "_a", "a-"],
         ["", "A", "a.", ".a", "-a", "a..b", "a:", "a:0", "a:00", "a:01", "a:65536", "a:100000",
          "a:+1", "a:1:2", "a:\u0661", "a b", "a*", "*.a", "a/b", "a@b", "a\0", "\u00e9", "[::1",
          "::1]", "[g]", "[::1]a", "[::1]]", "[" + "f" * 46 + "]", "a" * 254, "[::1%1]", "[x]"]),
        ("ref", ["a", "a/b", "/", "*", "x" * 4096, "/".join("a" * 65), "\u00e9"],
         ["", "x" * 4097, "/".join("a" * 66), "\ud800"]),
    ],
    ids=["path", "host", "ref"],
)  # fmt: skip
def test_what_is_in_resolved_form(kind: str, taken: list[Any], refused: list[Any]) -> None:
    ready = MATCHERS[kind].ready
    for value in taken:
        assert ready(value) is not None, value
    for value in [*refused, *OTHER_KINDS]:
        assert ready(value) is None, value
    for value in [*taken, *refused, *OTHER_KINDS]:
        if kind == "path":
            assert is_path(value) is (value in taken)
        if kind == "host":
            assert is_host(value) is (value in taken)


def test_a_command_is_a_tuple_of_words() -> None:
    ready = MATCHERS["cmd"].ready
    taken: list[tuple[Any, ...]] = [
        ("a",), ("a", ""), ("",), ("a",) * 256, ("a " * 511,), ("caf\u00e9",), ("a", "b c"),
    ]  # fmt: skip
    for value in taken:
        assert ready(value)[0] == value
    for value in [
        (),
        ("a",) * 257,
        ("a " * 512,),
        ("a", "\ud800"),
        (5,),
        ("a", None),
        *OTHER_KINDS,
    ]:
        assert ready(value) is None, value
    argv = ("/usr/bin/env", "-S", "x/sudo y/", "/")
    assert ready(argv) == (argv, ["env", "env", "-S", "-S", "x/sudo y/", "sudo", "y/", "/", "/"])


@pytest.mark.parametrize(
    ("value", "name", "port"),
    [
        ("a", "a", ""),
        ("a:80", "a", "80"),
        ("a:", "a:", ""),
        (":80", "", "80"),
        ("a:b", "a:b", ""),
        ("a:b:80", "a:b:80", ""),
        ("[::1]", "[::1]", ""),
        ("[::1]:80", "[::1]", "80"),
        ("::1", "::1", ""),
    ],
)
def test_a_host_and_its_port(value: str, name: str, port: str) -> None:
    assert split_host(value) == (name, port)


GLOBS: list[tuple[str, str, bool]] = [
    ("a", "a", True), ("a", "b", False), ("a/b", "a", False), ("a/b", "a/b", True),
    ("*", "a", True), ("*", "", True), ("*", "a/b", False), ("a*", "a", True), ("*a", "a", True),
    ("a*a", "a", False), ("a*a", "aa", True), ("a*b*c", "abc", True), ("a*b*c", "axbyc", True),
    ("a*b*c", "acb", False), ("a*bb*c", "abc", False), ("a*b*b", "ab", False),
    ("a*b*b", "abb", True), ("*a*", "bab", True), ("*a*", "b", False), ("*ab*ba*", "aba", False),
    ("*ab*ba*", "abba", True), ("a*", "b", False), ("*b", "a", False),
    ("*ab*ab*", "xxab", False), ("*ab*ab*", "xxabab", True), ("*b*a*b*", "xab", False),
    ("**/a/**/a/**", "x/a", False), ("**/a/**/a/**", "a/x/a", True),
    ("a*bc*cd", "abcd", False), ("a*bc*cd", "abccd", True),
    ("a/*", "a", False), ("a/*", "a/", True), ("a/*", "a/b", True), ("a/*", "a/b/c", False),
    ("*/b", "a/b", True), ("*/b", "a/c", False), ("*/*", "a", False),
    ("**", "a", True), ("**", "a/b/c", True), ("**", "", True),
    ("a/**", "a", True), ("a/**", "a/b", True), ("a/**", "ab", False), ("a/**", "b/a", False),
    ("**/b", "b", True), ("**/b", "a/b", True), ("**/b", "a/bb", False), ("**/b", "b/a", False),
    ("a/**/c", "a/c", True), ("a/**/c", "a/b/c", True), ("a/**/c", "a", False),
    ("a/**/a", "a", False), ("a/b/**/b/c", "a/b/c", False), ("a/b/**/b/c", "a/b/b/c", True),
    ("**/b/**", "b", True), ("**/b/**", "a/b/c", True), ("**/b/**", "a/c", False),
    ("a/**/b/**/c", "a/b/c", True), ("a/**/b/**/c", "a/x/b/y/c", True),
    ("a/**/b/**/c", "a/x/y/c", False), ("a/**/c/**/c", "a/c", False),
    ("a/**/c/**/c", "a/c/c", True), ("a/**/a/**/c", "a/c/c", False),
    ("a/**/b/c/**/d", "a/b/x/b/c/d", True), ("a/**/b/c/**/d", "a/b/x/c/d", False),
    ("a/**/b/c/**/c", "a/b/c", False), ("a/**/b/c/**/c", "a/b/c/c", True),
    ("x/x/x/**/b/c/**/d", "x/x/x/b/c/d", True), ("x/x/x/**/b/c/**/d", "x/x/x/b/b/d", False),
    ("**/a*/**", "x/ab", True), ("**/**", "a", True), ("x/**/**/y", "x/y", True),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "value", "said"), GLOBS)
def test_a_wildcard_spans_what_it_says(pattern: str, value: str, said: bool) -> None:
    made = "".join(list(value))  # equal, and not the object that the pattern is
    assert glob(pattern, made) is said


@pytest.mark.parametrize(
    ("kind", "patterns", "value", "allowed", "blocked"),
    [
        ("path", ["/a"], "/a", True, True),
        ("path", ["/a"], "/a/b", True, True),
        ("path", ["/a"], "/ab", False, False),
        ("path", ["/a"], "/A/b", False, True),
        ("path", ["/A"], "/a", False, True),
        ("path", ["/"], "/", True, True),
        ("path", ["/"], "/x", True, True),
        ("path", ["/a*"], "/ab", True, True),
        ("path", ["/a*"], "/ab/c", False, True),
        ("path", ["/a/**"], "/a/b/c", True, True),
        ("path", ["/x", "/a*"], "/ab", True, True),
        ("path", ["/x*", "/a"], "/a", True, True),
        ("path", [], "/a", False, False),
        ("host", ["a"], "a", True, True),
        ("host", ["a"], "a:80", True, True),
        ("host", ["a:80"], "a:80", True, True),
        ("host", ["a:80"], "a:81", False, False),
        ("host", ["a:80"], "a", False, True),
        ("host", ["b", "a:80", "a:81"], "a:81", True, True),
        ("host", ["b"], "a", False, False),
        ("host", ["*.a"], "x.a", True, True),
        ("host", ["*.a"], "a", False, False),
        ("host", ["*.a"], "xa", False, False),
        ("host", ["*.a:80"], "x.a", False, True),
        ("host", ["x.a"], "a", False, False),
        ("host", [], "a", False, False),
        ("cmd", [("a",)], ("a", "b"), True, True),
        ("cmd", [("a", "b")], ("a",), False, False),
        ("cmd", [("a",)], ("x", "a"), False, True),
        ("cmd", [("a",)], ("/bin/a",), False, True),
        ("cmd", [("/bin/a",)], ("a",), False, True),
        ("cmd", [("a", "b")], ("b", "a"), False, False),
        ("cmd", [("a", "b")], ("a", "x", "b"), False, True),
        ("cmd", [("a", "a")], ("a",), False, True),
        ("cmd", [("a", "a", "a")], ("a",), False, False),
        ("cmd", [("x",), ("a",)], ("a",), True, True),
        ("cmd", [("a", "b"), ("c",)], ("a", "c"), False, True),
        ("cmd", [("/",)], ("rm", "/"), False, True),
        ("cmd", [], ("a",), False, False),
        ("ref", ["a"], "a", True, True),
        ("ref", ["a"], "A", False, False),
        ("ref", ["a"], "a/b", False, False),
        ("ref", ["x", "a*"], "ab", True, True),
        ("ref", ["a*"], "a*", True, True),
        ("tool", ["a.*"], "a.b", True, True),
        ("tool", [], "a", False, False),
    ],
)
def test_what_is_allowed_and_what_is_blocked(
    kind: str, patterns: list[Any], value: Any, allowed: bool, blocked: bool
) -> None:
    matcher = MATCHERS[kind]
    ready = matcher.ready(value)
    assert matcher.allows(patterns, ready) is allowed
    assert matcher.blocks(patterns, ready) is blocked


def test_what_is_under_a_path_is_so_by_segment() -> None:
    for value in ("/a", "/a/b", "/a/b/c"):
        assert under("/a", value) is True
    for value in ("/", "/ab", "/b", "/b/a"):
        assert under("/a", value) is False
    assert under("/", "/") is under("/", "/x") is under(ROOT, "/x") is True


@pytest.mark.parametrize(
    ("pattern", "segments"),
    [("a/b", 0), ("a/*", 0), ("**", 1), ("a/**", 1), ("**/a/b", 3), ("a/**/b/**/c", 4),
     (["a", "**"], 0), (("**",), 0), (None, 0), (Poser(), 0)],
)  # fmt: skip
def test_what_floats_starts_at_the_first_double_star(pattern: Any, segments: int) -> None:
    assert floating(pattern) == segments


def test_how_much_may_be_tried_on_one_call() -> None:
    assert affordable([]) is True
    assert affordable(["a"] * 64) is True
    assert affordable(["a"] * 65) is False
    assert affordable([("a", "**")] * 64) is True
    assert affordable(["**"] * 32) is True
    assert affordable(["**"] * 33) is False
    assert affordable(["**/a", "b"] * 16) is True
    assert affordable([*["**/a"] * 16, "**"]) is False

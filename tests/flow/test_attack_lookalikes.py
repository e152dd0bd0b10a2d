"""A compromised agent sends a value that looks like the one the user named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_tokens.authority import lookup
from tests.flow.scene import Scene
from tests.flow.test_matchers import BENIGN

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))
# Latin letters and digits that another script draws alike.
ALIKE = dict(zip("aceopxyiAEOPBHKMTX01", "асеорхуіАЕОРВНКМТХОІ", strict=True))


def _texts(value: str) -> Iterator[str]:
    for index, character in enumerate(value):
        if character in ALIKE:
            yield value[:index] + ALIKE[character] + value[index + 1 :]
        if character.isalnum() and character.isascii():
            # full-width, mathematical, with a mark on it
            yield value[:index] + chr(ord(character) + 0xFEE0) + value[index + 1 :]
            yield value[:index] + character + "\u0301" + value[index + 1 :]
    for hidden in (
        "\u200b", "\u200d", "\ufeff", "\u00ad", "\u2060", "\u202e", "\u2066", "\u034f",
        "\u3164", "\0", "\n", "\r", "\t", "\x1b[0m", "\u00a0", "\u2028", "\x7f", "\U000e0041",
    ):  # fmt: skip
        for index in (0, len(value) // 2, len(value)):
            yield value[:index] + hidden + value[index:]
    yield from (value + more for more in (
        ".evil.org", "@evil.org", ", eve@evil.org", ";eve@evil.org", " eve@evil.org", ".", "/",
        "/x", "x", "0", "1", "-x", "_", "%00", "%20", "?x", "#x", "\\", "'", '"', ")", "$(id)",
        "\ud800",
    ))  # fmt: skip
    yield from (more + value for more in (
        "evil.", "eve@evil.org,", "eve@", "x", "1", "-", "+", "/", "./", "../", "~/", "@@", "##",
        " ", "=", "\"", "<", "file://", "//", "\\\\",
    ))  # fmt: skip
    yield from (value[:-1], value[1:], value[1:-1], value * 2, value + " " + value, "", " ")
    yield value[::-1]


def _numbers(value: float) -> Iterator[Any]:
    yield from (-value, value + 1, value * 10, value / 10, value * 100, value + 0.01, -0.0, 0)
    yield from (float("nan"), float("inf"), float("-inf"), 1e308, True, False, str(value))
    yield from ([value], {"amount": value}, None, f"{value}", 10**30, -(10**30))


def _wrong(value: Any) -> Iterator[Any]:
    """Values of other types than the one that was named."""
    yield from ([value, "eve@evil.org"], [[value]], {"value": value}, True, 7, 7.5, [], {})


def mutants(value: Any) -> Iterator[Any]:
    if type(value) is str:
        yield from _texts(value)
        yield from _wrong(value)
    elif type(value) in (int, float):
        yield from _numbers(value)
    elif type(value) is list:
        yield [*value, "-x"]
        yield value[:-1]
        yield [" ".join(value)]
        for i, word in enumerate(value):
            for text in _texts(word):
                yield [*value[:i], text, *value[i + 1 :]]


def _put(args: Any, pointer: str, value: Any) -> Any:
    """The arguments with another value at the pointer of a selector."""
    name, *inside = pointer[1:].split("/")
    if inside:
        items = list(args[name])
        items[int(inside[0])] = value
        return {**args, name: items}
    return {**args, name: value}


# What people write for the same thing: these may be vouched for, and are the same to a tool.
SAME: dict[str, Callable[[Any, Any], bool]] = {
    "/payee": lambda a, b: type(a) is str and a.replace(" ", "") == b.replace(" ", ""),
    # A sigil names the same channel or person.
    "/channel": lambda a, b: type(a) is str and a.lstrip("#@") == b,
    "/user": lambda a, b: type(a) is str and a.lstrip("#@") == b,
    "/who": lambda a, b: type(a) is str and a.lstrip("#@") == b,
    # The least right is always given.
    "/right": lambda a, b: a == "r",
    # A day in words is of any year; whatever stands behind it is its time.
    "/day": lambda a, b: (
        type(a) is str and a[:4].isdecimal() and a[4:10] == b[4:10] and a[10:11] in (" ", "T")
    ),
    # The same file, written in another way.
    "/path": lambda a, b: type(a) is str and os.path.normpath("/" + a).lstrip("/") == b,
}


@pytest.mark.parametrize(("prompt", "tool", "args", "pointer"), BENIGN)
def test_no_mutant_of_a_named_value_is_vouched_for(
    prompt: str, tool: str, args: dict[str, Any], pointer: str
) -> None:
    scene, value = Scene(prompt), lookup(args, pointer)
    tried = 0
    for mutant in mutants(value):
        if type(mutant) is type(value) and str(mutant).lower() == str(value).lower():
            continue
        tried += 1
        changed = _put(args, pointer, mutant)
        try:
            found = scene.vouched(tool, changed).pointers
        except UnicodeError:
            continue
        same = SAME.get(pointer)
        if same is not None and same(mutant, value):
            continue
        if type(mutant) is list and type(value) is str:
            # Every item is a selector of its own: the one that was added has no evidence.
            if len(mutant) == 2:
                assert f"{pointer}/1" not in found, mutant
            continue
        assert pointer not in found, (mutant, prompt)
    assert tried > 15


@settings(max_examples=300 * SCALE)
@given(st.sampled_from(BENIGN), st.data())
def test_no_random_change_of_a_named_value_is_vouched_for(case: Any, data: st.DataObject) -> None:
    """One or two characters put in, taken out or replaced, anywhere, from all of Unicode."""
    prompt, tool, args, pointer = case
    value = lookup(args, pointer)
    if type(value) is not str:
        return
    changed = value
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(changed)))
        drop = data.draw(st.integers(0, 1))
        put = data.draw(st.text(max_size=1))
        changed = changed[:at] + put + changed[at + drop :]
    found = Scene(prompt).vouched(tool, _put(args, pointer, changed)).pointers
    if pointer in found:
        # It stands in the prompt as a whole token, in the letters it has.
        same = SAME.get(pointer)
        assert (
            changed.lower() == value.lower()
            or (same is not None and same(changed, value))
            or changed.lower() in prompt.lower()
        ), changed


@settings(max_examples=200 * SCALE)
@given(st.text(max_size=60), st.text(max_size=30), st.sampled_from(BENIGN))
def test_it_is_total_and_what_is_vouched_for_stands_in_the_prompt(
    prompt: str, value: str, case: Any
) -> None:
    _, tool, args, pointer = case
    found = Scene(prompt).vouched(tool, _put(args, pointer, value)).pointers
    if pointer in found and pointer not in SAME and tool != "get":
        assert " ".join(value.split()).lower() in " ".join(prompt.split()).lower()

"""A field of a stranger is exactly of its type and within its bounds; all else is a ValueError."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from nucleus_tokens.fields import hexed, integer, members, name_set, need, text


class Sly(str):
    """Equal to a text, and not one: it could be another at the next look."""


@pytest.mark.parametrize(
    ("read", "taken", "refused"),
    [
        (text, ["a", "a" * 1024, "\u20ac" * 1024],
         ["", "a" * 1025, b"a", 5, None, ["a"], Sly("a")]),
        (partial(text, shortest=0), ["", "a" * 1024], ["a" * 1025, b"", None, []]),
        (integer, [0, 1, 2**53 - 1], [-1, 2**53, 2**60, True, False, 0.0, 1.0, "1", None]),
        (partial(integer, low=1, high=1), [1], [0, 2, True, 1.0]),
        (partial(integer, low=-2, high=3), [-2, -1, 0, 3], [-3, 4]),
        (name_set, [[], ["a"], ["", "a"], ["A", "a", "b"], [f"{n:02}" for n in range(64)]],
         [["b", "a"], ["a", "a"], [1], [None], ["a", 1], [Sly("a")], [f"{n:02}" for n in range(65)],
          ("a",), {"a": 1}, {"a"}, "a", "ab", b"a", None, 5]),
        (partial(members, names=["a", "b"]), [{"a": 1, "b": 2}],
         [{"b": 2, "a": 1}, {"a": 1}, {"a": 1, "b": 2, "c": 3}, {}, ["a", "b"], ("a", "b"), "ab",
          None, 5]),
    ],
    ids=["text", "text from 0", "integer", "one", "from -2 to 3", "name_set", "members"],
)  # fmt: skip
def test_what_is_taken_as_it_is_and_what_is_refused(
    read: Callable[[Any], Any], taken: list[Any], refused: list[Any]
) -> None:
    for value in taken:
        assert read(value) is value
    for value in refused:
        with pytest.raises(ValueError):
            read(value)


@pytest.mark.parametrize("size", [1, 16, 32])
def test_hex_has_one_spelling(size: int) -> None:
    raw = bytes(range(0xA0, 0xA0 + size))
    spelled = raw.hex()
    assert hexed(spelled, size) == raw
    assert hexed("0" * 2 * size, size) == bytes(size)
    for value in (
        spelled.upper(), spelled[:-1] + "A", spelled[:-2] + "  ", "  " + spelled[2:], spelled[:-1],
        spelled[:-2], spelled + "00", spelled[:-1] + "g", spelled[:-1] + "\u0661", "", Sly(spelled),
        spelled.encode(), list(spelled), raw, None, 5,
    ):  # fmt: skip
        with pytest.raises(ValueError):
            hexed(value, size)


def test_a_need_that_is_not_met() -> None:
    need(True)
    with pytest.raises(ValueError):
        need(False)

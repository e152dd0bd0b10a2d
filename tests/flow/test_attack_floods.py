"""A stranger sends so much, or something so twisted, that looking at it would take for ever.

There is no clock here: with a search that is quadratic anywhere these tests do not end.
"""

from __future__ import annotations

from typing import Any

import pytest

from nucleus_proxy.evidence import contacts
from nucleus_proxy.flowtracker import CLEAN
from nucleus_proxy.held_values import Held
from nucleus_proxy.knowledge import MOST_PRIVATE
from tests.flow.scene import Scene

MEGA = 1 << 17
TWISTED = [
    "a" * 4 * MEGA,
    "a-" * 2 * MEGA,
    "a." * 2 * MEGA,
    "a@" * 2 * MEGA,
    "@" * 4 * MEGA,
    "." * 4 * MEGA,
    "AA11" * MEGA,
    ("AA11" + "b" * 36 + "_ ") * (MEGA // 16),
    "://" * MEGA,
    "'\"" * MEGA,
    "é" * MEGA,
]


@pytest.mark.parametrize("text", TWISTED, ids=lambda text: text[:8])
def test_a_twisted_text(text: str) -> None:
    scene = Scene("Send ann@example.com a greeting").saw("me", {"passport": "P1234567"})
    args = {"to": "ann@example.com", "subject": "", "body": text}
    assert scene.missing("mail", args) == {"/body"}
    contacts(text)
    args = {"to": text, "subject": "", "body": ""}
    assert "/to" in scene.missing("mail", args)
    for tool, pointer in (("get", "url"), ("invite", "user"), ("push", "branch"), ("book", "day")):
        other: dict[str, Any] = {pointer: text, "title": text}
        assert f"/{pointer}" in scene.missing(tool, other)


def test_a_twisted_prompt() -> None:
    """The user's own, but it may be pasted from anywhere."""
    for text in TWISTED:
        scene = Scene("send it to ann@example.com " + text[: 48 * 1024])
        scene.saw("files", {"files": [{"id": "1", "name": text[:64]}, {"id": "2", "name": "a b"}]})
        args = {"to": "ann@example.com", "subject": "", "body": "hello"}
        assert scene.admits("mail", args)
        assert not scene.admits("delete", {"file": "7"})


def test_thousands_of_records_named_like_the_prompts_words() -> None:
    words = [f"word{i} word{i + 1}" for i in range(4000)]
    scene = Scene(" ".join(f"word{i}" for i in range(4001)))
    scene.saw("files", {"files": [{"id": str(i), "name": name} for i, name in enumerate(words)]})
    for i in range(0, 4000, 7):
        assert scene.admits("delete", {"file": str(i)})
    assert not scene.admits("delete", {"file": "4001"})


def test_more_private_values_than_are_kept_ask_about_everything() -> None:
    scene = Scene("Send ann@example.com a greeting")
    args = {"to": "ann@example.com", "subject": "", "body": "hello"}
    assert scene.admits("mail", args)
    for i in range(MOST_PRIVATE + 2):
        scene.saw("me", {"passport": f"P{i:07}"})
    assert "/body" in scene.missing("mail", args)


def test_a_result_of_many_parts_is_held_by_its_first_ones_and_as_a_whole() -> None:
    held = Held("t")
    value = [{"n": i, "deep": [[[str(i)]]]} for i in range(20_000)]
    reference = held.keep(1, value, CLEAN)
    assert held.resolve({"/x": reference}, {"x": value})
    assert held.resolve({"/x": f"{reference}#/0/n"}, {"x": 0})
    assert not held.resolve({"/x": f"{reference}#/19999/n"}, {"x": 19999})

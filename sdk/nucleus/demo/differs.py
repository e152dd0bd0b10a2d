"""Law: a step that differs from what it promises ends the demo, and says in what it differs."""

from __future__ import annotations


class Differs(Exception):
    """What was seen is not what must be seen."""


class Missing(Exception):
    """Something the demo needs is not installed; the message says how to get it."""


def expect(what: str, *, seen: object, wanted: object) -> None:
    """Raises Differs unless `seen` equals `wanted`."""
    if seen != wanted:
        raise Differs(f"{what}: expected {wanted!r}, saw {seen!r}")


def expect_in(what: str, *, part: str, whole: str) -> None:
    """Raises Differs unless `part` stands in `whole`."""
    if part not in whole:
        raise Differs(f"{what}: expected {part!r} somewhere in {whole!r}")

"""Law: JSON from outside has the shape that is asked for, or it is None."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast


def table(value: object) -> dict[str, Any] | None:
    """An object, whose keys JSON makes texts."""
    return cast("dict[str, Any]", value) if type(value) is dict else None


def items(value: object) -> list[Any] | None:
    """An array."""
    return list(cast("Iterable[Any]", value)) if type(value) is list else None


def text(value: object) -> str | None:
    """A string."""
    return value if type(value) is str else None

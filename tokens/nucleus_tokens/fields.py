"""Law: a field read from a stranger is exactly of its type and within its bounds, or ValueError.

`bool` is not `int`, a set is a sorted list without repetition, hex is lower case. The readers of
headers, caveats and approvals turn the ValueError into their own refusal.
"""

from __future__ import annotations

from typing import Any

from nucleus_tokens.limits import INTEGER, LIST_ITEMS, STRING_CHARS


def need(condition: bool) -> None:
    """Raise ValueError unless the condition holds."""
    if not condition:
        raise ValueError


def text(value: Any, shortest: int = 1) -> str:
    """A string of at most 1,024 characters."""
    if type(value) is not str or not shortest <= len(value) <= STRING_CHARS:
        raise ValueError
    return value


def integer(value: Any, low: int = 0, high: int = INTEGER) -> int:
    """A whole number within bounds; never a bool."""
    if type(value) is not int or not low <= value <= high:
        raise ValueError
    return value


def hexed(value: Any, size: int) -> bytes:
    """`size` bytes written in lower-case hex."""
    if type(value) is not str or len(value) != 2 * size:
        raise ValueError
    raw = bytes.fromhex(value)
    if raw.hex() != value:
        raise ValueError
    return raw


def name_set(value: Any) -> list[str]:
    """A set of at most 64 strings, spelled as a sorted list."""
    if type(value) is not list or len(value) > LIST_ITEMS:
        raise ValueError
    last = None
    for item in value:
        if type(item) is not str or (last is not None and item <= last):
            raise ValueError
        last = item
    return value


def members(value: Any, names: list[str]) -> dict[str, Any]:
    """An object with exactly these keys, given in sorted order: canonical JSON keeps it."""
    if type(value) is not dict or list(value) != names:
        raise ValueError
    return value

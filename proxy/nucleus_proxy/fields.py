"""Law: a field of the operator's file is what the schema says, or the whole file is refused.

What every part of the policy file reads its fields with. A refusal names the place.
"""

from __future__ import annotations

import unicodedata
from typing import Any, NoReturn

from nucleus_tokens.errors import CallerError


def bad(where: str, why: str) -> NoReturn:
    raise CallerError("policy.value", f"The policy file, {where}: {why}.")


def keys(where: str, table: Any, *allowed: str) -> dict[str, Any]:
    if type(table) is not dict:
        bad(where, "a table is needed")
    for key in table:
        if key not in allowed:
            raise CallerError(
                "policy.unknown_key",
                f"The policy file, {where}: unknown key {key!r}.",
                hint=f"Known are {', '.join(allowed)}.",
            )
    return table


def text(where: str, value: Any) -> str:
    if type(value) is not str or not value or "\0" in value or len(value) > 4096:
        bad(where, "a text is needed")
    if not unicodedata.is_normalized("NFC", value):
        bad(where, "the text is not in Unicode normal form C")
    return value


def texts(where: str, value: Any) -> tuple[str, ...]:
    if type(value) is not list:
        bad(where, "a list of texts is needed")
    return tuple(text(where, item) for item in value)


def flag(where: str, value: Any) -> bool:
    if type(value) is not bool:
        bad(where, "true or false is needed")
    return value


def count(where: str, value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        bad(where, f"a whole number from {low} to {high} is needed")
    return value


def pointer(where: str, value: Any) -> str:
    """RFC 6901, without the pointer to everything: a tool's arguments are named one by one."""
    read = text(where, value)
    if not read.startswith("/") or read.replace("~0", "").replace("~1", "").count("~"):
        bad(where, f"{read!r} is not a JSON pointer such as '/path'")
    return read


def table(where: str, value: Any) -> dict[str, Any]:
    """A table of any keys."""
    if type(value) is not dict:
        bad(where, "a table is needed")
    return value

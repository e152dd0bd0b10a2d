"""Law: of a request's body only the fields that are listed pass; one that is not refuses it whole.

A small language for shapes of JSON: each check takes a value and where it stands, and raises
CredentialError `model.field` for anything else than it lists. What may be anything (a tool's own
schema, its arguments) is data of the client's side and says so by `anything`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from nucleus_tokens.errors import CredentialError

Check = Callable[[Any, str], None]


def refuse(where: str, why: str) -> NoReturn:
    """Raise CredentialError `model.field`."""
    raise CredentialError(
        "model.field",
        f"The request's {where or 'body'} does not pass: {why}.",
        hint="A model route takes inline content and tools of the client, and nothing else.",
    )


def anything(value: Any, where: str) -> None:
    """Data that nobody but the model reads."""


def text(value: Any, where: str) -> None:
    if type(value) is not str:
        refuse(where, "it is no text")


def number(value: Any, where: str) -> None:
    if type(value) not in (int, float):
        refuse(where, "it is no number")


def whole(value: Any, where: str) -> None:
    if type(value) is not int or not 0 <= value <= 2**31:
        refuse(where, "it is no whole number")


def flag(value: Any, where: str) -> None:
    if type(value) is not bool:
        refuse(where, "it is neither true nor false")


def nothing(value: Any, where: str) -> None:
    if value is not None:
        refuse(where, "it is closed here")


def one_of(*values: Any) -> Check:
    """Exactly one of these."""

    def look(value: Any, where: str) -> None:
        if not any(type(value) is type(each) and value == each for each in values):
            refuse(where, "this value is not open here")

    return look


def each(item: Check) -> Check:
    """A list of such values."""

    def look(value: Any, where: str) -> None:
        if type(value) is not list:
            refuse(where, "it is no list")
        for i, one in enumerate(value):
            item(one, f"{where}[{i}]")

    return look


def maybe(item: Check) -> Check:
    """Such a value, or null."""
    return lambda value, where: None if value is None else item(value, where)


def by_kind(**kinds: Check) -> Check:
    """The check for a text, a list or a table, by what the value is."""
    types = {"texts": str, "lists": list, "tables": dict}

    def look(value: Any, where: str) -> None:
        for name, check in kinds.items():
            if type(value) is types[name]:
                check(value, where)
                return
        refuse(where, "it is of another kind")

    return look


def table(need: tuple[str, ...] = (), **fields: Check) -> Check:
    """An object with only these fields, and all of `need`."""

    def look(value: Any, where: str) -> None:
        if type(value) is not dict:
            refuse(where, "it is no object")
        dot = f"{where}." if where else ""
        for key, item in value.items():
            if key not in fields:
                refuse(f"{dot}{str(key)[:64]!r}", "it is not listed")
            fields[key](item, f"{dot}{key}")
        for key in need:
            if key not in value:
                refuse(f"{dot}{key}", "it is missing")

    return look


def tagged(tag: str, kinds: Mapping[str, Check], missing: str = "") -> Check:
    """An object whose field `tag` says which of `kinds` it is; `missing` where it says nothing."""

    def look(value: Any, where: str) -> None:
        if type(value) is not dict:
            refuse(where, "it is no object")
        kind = value.get(tag, missing)
        if type(kind) is not str or kind not in kinds:
            refuse(f"{where}.{tag}", f"{str(kind)[:64]!r} is not open here")
        kinds[kind](value, where)

    return look


def inline(value: Any, where: str) -> None:
    """A `data:` URL: content in the request itself. Any other would be fetched by the provider."""
    if type(value) is not str or not value.startswith("data:"):
        refuse(where, "only content inside the request passes (data:)")

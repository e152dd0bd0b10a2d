"""Law: arguments that a tool's own schema does not admit have no evidence, whatever they hold.

A part of JSON Schema: types, `enum` and `const`, members, items, bounds of lengths and numbers, and
the combinations of these. A keyword that is not known here admits everything: it is the server's
affair, and whatever it admits is still judged. Bounded: a walk has so many steps and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

_STEPS: Final = 10_000
_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "string": lambda value: type(value) is str,
    "boolean": lambda value: type(value) is bool,
    "null": lambda value: value is None,
    "object": lambda value: type(value) is dict,
    "array": lambda value: type(value) is list,
    "number": lambda value: type(value) in (int, float),
    "integer": lambda value: type(value) is int or (type(value) is float and value.is_integer()),
}


class _TooMuch(Exception):
    """The schema takes more steps than it is worth."""


def mismatch(schema: Any, value: Any) -> str | None:
    """The pointer of the first part of `value` that `schema` does not admit; None if there is none.
    A schema nobody can read, or that takes too long, admits everything. Total."""
    try:
        return _Walk(schema).mismatch(schema, value, "")
    except (_TooMuch, TypeError, RecursionError, OverflowError):
        return None


class _Walk:
    """One walk through a schema, of so many steps at most."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = _STEPS

    def mismatch(self, schema: Any, value: Any, at: str) -> str | None:
        self._left -= 1
        if self._left < 0:
            raise _TooMuch
        if schema is False:
            return at
        if type(schema) is not dict:
            return None
        if not (_of_type(schema, value) and _listed(schema, value) and _bounded(schema, value)):
            return at
        where = schema.get("$ref")
        every = _list(schema.get("allOf"))
        if type(where) is str:
            every = [_referred(self._root, where), *every]
        found = self._first((part, value, at) for part in every)
        for key in ("anyOf", "oneOf"):
            parts = _list(schema.get(key))
            if parts and all(self.mismatch(part, value, at) is not None for part in parts):
                return at
        if found is None and type(value) is dict:
            found = self._members(schema, value, at)
        if found is None and type(value) is list and "prefixItems" not in schema:
            items = schema.get("items")
            found = self._first((items, item, f"{at}/{n}") for n, item in enumerate(value))
        return found

    def _first(self, parts: Iterable[tuple[Any, Any, str]]) -> str | None:
        return next((w for w in (self.mismatch(*part) for part in parts) if w is not None), None)

    def _members(self, schema: dict[str, Any], value: dict[str, Any], at: str) -> str | None:
        for name in _list(schema.get("required")):
            if name not in value:
                return f"{at}/{name}"
        known = schema.get("properties")
        properties: dict[str, Any] = known if type(known) is dict else {}
        others = schema.get("additionalProperties", True)
        if "patternProperties" in schema:
            others = True
        return self._first(
            (properties.get(name, others), member, f"{at}/{name}") for name, member in value.items()
        )


def _of_type(schema: dict[str, Any], value: Any) -> bool:
    types = schema.get("type")
    listed: list[Any] = types if type(types) is list else [types]
    named = [_TYPES[each] for each in listed if type(each) is str and each in _TYPES]
    return not named or any(test(value) for test in named)


def _listed(schema: dict[str, Any], value: Any) -> bool:
    """`enum` and `const`; true and 1 are two values."""
    allowed = _list(schema.get("enum")) + ([schema["const"]] if "const" in schema else [])
    return not allowed or any(
        each == value and (type(each) is bool) is (type(value) is bool) for each in allowed
    )


def _bounded(schema: dict[str, Any], value: Any) -> bool:
    low, high, size = "minimum", "maximum", value
    if type(value) is str:
        low, high, size = "minLength", "maxLength", len(value)
    elif type(value) is list:
        low, high, size = "minItems", "maxItems", len(value)
    elif type(value) not in (int, float):
        return True
    least, most = schema.get(low), schema.get(high)
    numbers = (int, float)
    return not (type(least) in numbers and size < least) and not (
        type(most) in numbers and size > most
    )


def _list(value: Any) -> list[Any]:
    return value if type(value) is list else []


def _referred(root: Any, where: str) -> Any:
    """What a local reference names; everything is admitted where it names nothing."""
    found = root
    for part in where.removeprefix("#").split("/")[1:] if where.startswith("#") else ["?"]:
        if type(found) is not dict:
            return None
        found = found.get(part.replace("~1", "/").replace("~0", "~"))
    return found

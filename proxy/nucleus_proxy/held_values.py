"""Law: a reference is a claim that is checked: the value is the very one that was held, or nothing.

The proxy holds no values, only what tells them again: the digest of every text and number of a
result, by its pointer. A reference is `TAG-NODE` or `TAG-NODE#/pointer`; the arguments still carry
the value itself, so what is judged, approved, signed and forwarded is what it says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any, Final

from nucleus_proxy.flowtracker import Labelled
from nucleus_tokens import releases
from nucleus_tokens.authority import MISSING, lookup

# pointer of an argument -> (node, label) of the value that it is
References = Mapping[str, tuple[int, Labelled]]
# pointer into a result -> the same
_Places = Mapping[str, tuple[int, Labelled]]

MOST_VALUES: Final = 1024
MOST_PARTS: Final = 256  # of one result; beyond them only the whole can be passed on
MOST_REFERENCES: Final = 64  # in one call


class Held:
    """The values of one session that can be passed on. Old ones are forgotten."""

    def __init__(self, tag: str) -> None:
        """`tag` tells these references from those of other sessions and processes."""
        self._tag = tag
        self._values: dict[int, tuple[dict[str, bytes], _Places]] = {}

    def keep(
        self, node: int, value: Any, label: Labelled, places: _Places = MappingProxyType({})
    ) -> str:
        """Hold a value; its reference. `places` are parts of it that are nodes of their own."""
        parts: dict[str, bytes] = {}
        apart: dict[str, tuple[int, Labelled]] = {"": (node, label)}
        for pointer, part in chain([("", value)], _parts(value, "")):
            if len(parts) >= MOST_PARTS:
                break
            try:
                parts[pointer] = releases.commitment(part)
            except ValueError:
                continue  # what has no one spelling cannot be told again
            if pointer in places:
                apart[pointer] = places[pointer]
        self._values[node] = (parts, apart)
        if len(self._values) > MOST_VALUES:
            del self._values[next(iter(self._values))]
        return f"{self._tag}-{node}"

    def resolve(self, claims: Mapping[str, str], args: Any) -> References:
        """Which arguments are what their references say. Everything else is left out."""
        found: dict[str, tuple[int, Labelled]] = {}
        for pointer, reference in list(claims.items())[:MOST_REFERENCES]:
            name, _, inside = reference.partition("#")
            tag, _, number = name.rpartition("-")
            if tag != self._tag or not (number.isascii() and number.isdigit()) or number[9:]:
                continue
            held = self._values.get(int(number))
            value = lookup(args, pointer)
            if held is None or value is MISSING or value is None:
                continue
            parts, apart = held
            if parts.get(inside) == releases.commitment(value):
                found[pointer] = apart.get(inside, apart[""])
        return found


def _parts(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Every text and number, by its pointer."""
    if type(value) is dict:
        for key, item in value.items():
            yield from _parts(item, f"{at}/{key.replace('~', '~0').replace('/', '~1')}")
    elif type(value) is list:
        for i, item in enumerate(value):
            yield from _parts(item, f"{at}/{i}")
    elif type(value) in (str, int, float):
        yield at, value

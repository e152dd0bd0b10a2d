"""Law: what is offered to be approved at once holds the call that is asked about, and says its
bounds in the language they are enforced in.

An offer is a pattern of caveats, in words and exactly. It names the tool, and every kind of
resource that the call touches: nothing that the person did not see is left open silently.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from nucleus import shapes
from nucleus_tokens import canonical, caveats
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_tokens.limits import PATTERN_SEGMENTS

Caveats = tuple[list[Any], ...]

COUNT: Final = 20
SECONDS: Final = 30 * 60
MOST_CALLS: Final = 1000
MOST_MINUTES: Final = 24 * 60
NARROWS: Final = ("path", "host", "ref")  # kinds of one more demand
_BYTES: Final = 2048  # of a pattern: an approval has 4,096 in all
_KINDS: Final = ("path", "host", "cmd", "ref")
# A folder so near the root is no bound that a person means.
_DEPTH: Final = 2


class Offer(NamedTuple):
    """A pattern, and what it lets through."""

    words: str
    pattern: Caveats

    @property
    def exactly(self) -> str:
        """The pattern as it is signed."""
        return canonical.encode([list(each) for each in self.pattern]).decode()


def offers(
    tool: str, resources: Mapping[str, tuple[Any, ...] | None], arguments: str
) -> tuple[Offer, ...]:
    """What can be offered beside this one call, the narrowest first. `arguments` is their whole
    JSON; empty where it is not known."""
    found = [_again(tool, arguments)]
    exact = _exact(resources)
    if exact:
        named = ", ".join(_words(*each) for each in exact)
        found.append(Offer(f"calls of {tool} {named}", (["tool", "in", [tool]], *exact)))
        wider = _wider(exact)
        if wider:
            named = ", ".join(_words(*each) for each in wider)
            found.append(Offer(f"calls of {tool} {named}", (["tool", "in", [tool]], *wider)))
    kept: dict[str, Offer] = {}
    for offer in found:
        if offer is not None and _can_be(offer):
            kept.setdefault(offer.exactly, offer)
    return tuple(kept.values())


def narrowed(offer: Offer, kind: str, value: str) -> Caveats:
    """The offer's pattern under one more demand: a conjunction only narrows. Without a `value`,
    the pattern as it is. Raises CallerError `approval.narrow`."""
    value = value.strip()
    if not value:
        return offer.pattern
    if kind not in NARROWS:
        kinds = ", ".join(NARROWS)
        raise CallerError("approval.narrow", f"A pattern is narrowed by one of {kinds}.")
    demand = [kind, "in", [os.path.normpath(value) if kind == "path" else value]]
    return (*offer.pattern, demand)


def whole(text: str, most: int, what: str) -> int:
    """A number that a person typed. Raises CallerError `approval.number`."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= most):
        raise CallerError("approval.number", f"The number of {what} is from 1 to {most}.")
    return int(text)


def _again(tool: str, arguments: str) -> Offer | None:
    """The same call, several times."""
    try:
        args = shapes.table(json.loads(arguments))
    except ValueError:
        return None
    if not args or not all(type(v) in (str, int, bool) for v in args.values()):
        return None
    rules = {f"/{k.replace('~', '~0').replace('/', '~1')}": ["equals", v] for k, v in args.items()}
    return Offer("exactly this call, again", (["arg", tool, dict(sorted(rules.items()))],))


def _exact(resources: Mapping[str, tuple[Any, ...] | None]) -> list[list[Any]]:
    """A scope for each kind that is touched; none where one of them is not known."""
    made: list[list[Any]] = []
    for kind in _KINDS:
        values = resources.get(kind, ())
        if values is None:
            return []
        if values:
            if any("*" in str(v) for v in values):
                return []  # it would be read as a pattern
            made.append([kind, "in", _ordered(values)])
    return made


def _ordered(values: tuple[Any, ...]) -> list[Any]:
    once = {json.dumps(v): v for v in values}
    return [once[key] for key in sorted(once)]


def _wider(exact: list[list[Any]]) -> list[list[Any]]:
    """The same with folders for files, and with a command's first words for all of it."""
    made: list[list[Any]] = []
    for kind, way, values in exact:
        wide = values
        if kind == "path":
            wide = _ordered(tuple(str(v).rpartition("/")[0] for v in values))
            if any(v.count("/") < _DEPTH for v in wide):
                wide = values
        elif kind == "cmd":
            wide = _ordered(tuple(list(v)[: max(2, len(v) - 1)] for v in values))
        made.append([kind, way, wide])
    return [] if made == exact else made


def _words(kind: str, _: str, values: list[Any]) -> str:
    listed = " or ".join(v if type(v) is str else json.dumps(v, ensure_ascii=False) for v in values)
    return {
        "path": f"at or below {listed}",
        "host": f"with {listed}",
        "cmd": f"that start with {listed}",
        "ref": f"on {listed}",
    }[kind]


def _can_be(offer: Offer) -> bool:
    try:
        if len(offer.exactly) > _BYTES:
            return False
        for each in offer.pattern:
            caveats.from_value(each)
            if each[0] == "cmd" and any(len(v) > PATTERN_SEGMENTS for v in each[2]):
                return False
    except (ValueError, CredentialError):
        return False
    return True

"""Law: what is approved ahead is what a person signed: one tool, a pattern, a number, an end.

An approval given ahead is the same signed statement as an answer to a waiting call, for the same
token and cell; only nobody waits yet. It names every obligation that a call of this tool can have,
and turns them from Ask into Allow as often as it says. It permits nothing that the token does not.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nucleus.home import Home
from nucleus_issuer.keys import Key
from nucleus_issuer.store import Store
from nucleus_proxy.toolrules import ToolBinding
from nucleus_tokens import canonical, names
from nucleus_tokens.errors import CallerError
from nucleus_verifier.ports import PendingRequest

DEFAULT_SECONDS: Final = 3600
_ITEMS: Final = 8  # of an argument that is a list, such as several paths


@dataclass(frozen=True, slots=True)
class Whom:
    """Exactly one token prefix in one session."""

    tid: str
    rid: str
    cell: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What may happen unasked: `count` calls of `tool` that satisfy every caveat of `pattern`,
    within `seconds` from now."""

    tool: ToolBinding
    pattern: tuple[list[Any], ...] = ()
    count: int = 1
    seconds: int = DEFAULT_SECONDS


def grant(place: Home, store: Store, key: Key, whom: Whom, given: Grant) -> str:
    """Sign and keep one approval ahead; its id. Raises CallerError `approval.*` or `desk.*`."""
    now = place.clock()
    request = PendingRequest(
        id=place.random(8).hex(),
        created=now,
        expires=now + given.seconds,
        tid=whom.tid,
        rid=whom.rid,
        cell=whom.cell,
        operation=given.tool.operation,
        tool=given.tool.tool,
        call_digest="",
        obligations=tuple((id_, "approved ahead") for id_ in owed_by(given.tool)),
        shown=canonical.encode({"ahead": True, "by": key.id}).decode(),
    )
    pattern = [["tool", "in", [given.tool.tool]], *given.pattern]
    store.ask(request)
    try:
        return place.desk(store).approve(
            request.id, key, pattern=pattern, count=given.count, ttl=given.seconds
        )
    except CallerError:
        store.withdraw(request.id)
        raise


def owed_by(tool: ToolBinding) -> list[str]:
    """Every obligation that a call of this tool can have."""
    owed = [f"op:{names.OPERATIONS[tool.operation]}", "gate:exposure", "input:"]
    owed += [f"flow:{rule}" for rule in names.FLOW_RULES[1:]]
    for rule in tool.selectors:
        owed.append(f"input:{rule.pointer}")
        if rule.pointer.endswith("s"):
            owed += [f"input:{rule.pointer}/{number}" for number in range(_ITEMS)]
    return owed


def pattern(where: Mapping[str, Sequence[str]]) -> tuple[list[Any], ...]:
    """A pattern from words; each kind is demanded, its values are alternatives. A command is a
    text, and means every one that starts with its words. Raises CallerError `granting.command`."""
    return tuple(
        [kind, "in", _commands(values) if kind == "cmd" else sorted(set(values))]
        for kind, values in where.items()
        if values
    )


def _commands(values: Sequence[str]) -> list[list[str]]:
    try:
        made = sorted({tuple(shlex.split(value)) for value in values})
    except ValueError as error:
        raise CallerError(
            "granting.command", "A command is words, quoted as in a shell."
        ) from error
    if () in made:
        raise CallerError("granting.command", "A command has at least one word.")
    return [list(words) for words in made]

"""Law: what is approved ahead is what a person signed: one tool, a pattern, a number, an end.

An approval given ahead is the same signed statement as an answer to a waiting call, for the same
token and cell; only nobody waits yet. It names every obligation that a call of this tool can have,
and turns them from Ask into Allow as often as it says. It permits nothing that the token does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from nucleus.home import Home
from nucleus_issuer.keys import Key
from nucleus_issuer.store import Store
from nucleus_proxy.policy import ToolBinding
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


def pattern(
    *, hosts: Sequence[str], paths: Sequence[str], refs: Sequence[str]
) -> tuple[list[Any], ...]:
    """A pattern from words; each kind is demanded, its values are alternatives."""
    kinds = (("host", hosts), ("path", paths), ("ref", refs))
    return tuple([kind, "in", sorted(set(values))] for kind, values in kinds if values)

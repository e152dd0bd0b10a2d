"""Law: what an approver's surface shows is read from the store in one place, bounded, and changes
nothing.

The console and the queue in a terminal show the same: what waits, what each session has seen, who
holds what, and what was denied of late."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from nucleus import running, shapes
from nucleus.approver import Answering, Question
from nucleus.asked import Seen
from nucleus.home import Home
from nucleus.standing import Rule
from nucleus_issuer.revoking import Node, Tree
from nucleus_issuer.store import Store
from nucleus_issuer.store_approvals import Standing as Approved
from nucleus_tokens import names
from nucleus_tokens.errors import NucleusError
from nucleus_verifier.decision import Deny
from nucleus_verifier.hints import detail, hint
from nucleus_verifier.repairs import repairs

_CELLS: Final = 40
_TREES: Final = 20
_DENIALS: Final = 20
_TAIL: Final = 400  # records of the trace that are looked through for them


@dataclass(frozen=True, slots=True)
class Session:
    """One exposure cell: a wall, a run or a tree of tokens."""

    cell: str
    about: str  # where it works, if it says so
    exposure: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class Denial:
    """One call that was refused, and what would let it pass."""

    seq: int
    at: int
    who: str
    tool: str
    code: str
    detail: str
    hint: str
    repairs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """All of it, at one moment."""

    now: int
    approver: str  # whose key is open
    questions: tuple[Question, ...]
    sessions: tuple[Session, ...]
    trees: tuple[Tree, ...]
    denials: tuple[Denial, ...]
    approved: tuple[Approved, ...]
    rules: tuple[Rule, ...]


def look(place: Home, store: Store, desk: Answering) -> Look:
    """Read everything once. Raises NucleusError."""
    now = place.clock()
    return Look(
        now=now,
        approver=desk.key().id,
        questions=tuple(desk.questions()),
        sessions=_sessions(place, store),
        trees=_trees(place, store, now),
        denials=_denials(store),
        approved=tuple(store.in_force()),
        rules=tuple(rule for rule in desk.standing.rules() if rule.until > now),
    )


def held(node: Node) -> tuple[Node, int]:
    """A prefix that narrows and hands nothing over is shown as the one it leads to: that one, and
    how many steps it is away."""
    steps = 0
    while not node.delegated and len(node.children) == 1 and node.revoked is None:
        below = node.children[0]
        if below.delegated or below.revoked is not None:
            break
        node, steps = below, steps + 1
    return node, steps


def _sessions(place: Home, store: Store) -> tuple[Session, ...]:
    working: dict[str, str] = {}
    for each in running.sessions(place):
        working[each.cell] = f"{each.profile} in {each.workspace}"
    made: list[Session] = []
    for cell, bits in store.cells(_CELLS):
        legs = {leg.bit: leg for leg in store.legs((cell, cell))}
        seen: list[Seen] = []
        for name in names.exposure_names(bits):
            leg = legs.get(names.exposure_bits((name,)))
            seen.append(Seen(name, 0, "") if leg is None else Seen(name, leg.seq, leg.tool))
        made.append(Session(cell, working.get(cell, ""), tuple(seen)))
    return tuple(sorted(made, key=lambda each: (not each.about, each.cell)))


def _trees(place: Home, store: Store, now: int) -> tuple[Tree, ...]:
    revoker = place.revoker(store)
    made: list[Tree] = []
    for issued, dead in revoker.list():
        if dead or issued.exp <= now or len(made) >= _TREES:
            continue
        try:
            made.append(revoker.tree(issued.tid))
        except NucleusError:
            continue  # known to the inventory alone
    return tuple(made)


def _denials(store: Store) -> tuple[Denial, ...]:
    head, _ = store.trace_head()
    found: list[Denial] = []
    for seq, line in store.trace_lines(max(0, head - _TAIL), _TAIL):
        record = shapes.table((shapes.table(json.loads(line)) or {}).get("record")) or {}
        decision = shapes.table(record.get("decision")) or {}
        if record.get("type") == "decision" and decision.get("verdict") == "deny":
            found.append(_denial(seq, record, decision))
    return tuple(reversed(found[-_DENIALS:]))


def _denial(seq: int, record: dict[str, Any], decision: dict[str, Any]) -> Denial:
    call = shapes.table(record.get("call")) or {}
    token = shapes.table(record.get("token")) or {}
    facts = shapes.table(record.get("facts")) or {}
    deny = Deny(int(decision["step"]), str(decision["code"]))
    return Denial(
        seq=seq,
        at=int(facts.get("now", 0)),
        who=str(token.get("sub", "")),
        tool=str(call.get("tool", "")),
        code=deny.code,
        detail=detail(deny),
        hint=hint(deny),
        repairs=tuple(f"{r.kind} ({r.way})" for r in repairs(deny)),
    )

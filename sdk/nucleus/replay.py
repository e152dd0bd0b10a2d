"""Law: a replay shows of every decision what it was computed from, and believes no record for it.

Step by step the kernel decides again on what a record and its reveal hold: which authority the
chain folds to, what the session had seen and sees now, which label the value carried, and which
caveat of whom decided. Exposure is carried from step to step as well: a record that claims that a
cell has seen less than earlier records let it see is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nucleus import shapes
from nucleus_tokens import exposure, label_names, labels, names
from nucleus_tokens.errors import NucleusError
from nucleus_tokens.lattice import known, level_of, obliged
from nucleus_verifier import trace
from nucleus_verifier.authenticate import Refused
from nucleus_verifier.decision import Deny
from nucleus_verifier.facts import Keys
from nucleus_verifier.hints import Explanation, explain, located
from nucleus_verifier.record import Again, again, spell_decision
from nucleus_verifier.trace import Entry

Reveals = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a session had seen before a call, what the call adds, and what it has seen after."""

    before: tuple[str, ...]
    adds: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One decision, computed again. `problem` is empty where the record agrees."""

    seq: int
    tool: str
    operation: str
    who: tuple[str, ...]
    verdict: str
    came_from: Explanation
    authority: Mapping[str, Any]
    exposure: Seen
    label: Mapping[str, str | tuple[str, ...]]
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        said = self.came_from
        return {
            "authority": dict(self.authority),
            "came_from": {
                "added_by": said.added_by,
                "caveat": said.caveat,
                "code": said.code,
                "detail": said.detail,
                "enough": said.enough,
                "step": said.step,
                "step_name": said.step_name,
            },
            "exposure": {
                "adds": list(self.exposure.adds),
                "after": list(self.exposure.after),
                "before": list(self.exposure.before),
            },
            "label": dict(self.label),
            "operation": self.operation,
            "problem": self.problem,
            "seq": self.seq,
            "tool": self.tool,
            "verdict": self.verdict,
            "who": list(self.who),
        }


@dataclass(frozen=True, slots=True)
class Unread:
    """A decision that could not be computed again, and why."""

    seq: int
    why: str

    def as_json(self) -> dict[str, Any]:
        return {"problem": self.why, "seq": self.seq}


def replay(lines: Iterable[bytes], reveals: Reveals, keys: Keys) -> Iterator[Step | Unread]:
    """Every decision of a trace, in order. Total: whatever the lines are, it yields or reports."""
    entries, broken = trace.read(lines)
    cells: dict[str, int] = {}
    judged: dict[int, tuple[str, str]] = {}
    for entry in entries:
        if entry.record.get("type") == "decision":
            judged[entry.seq] = _cells(entry)
            yield _step(entry, reveals, keys, cells)
        elif entry.record.get("type") == "seen":
            decision = entry.record.get("decision")
            for cell in judged.get(decision, ()) if type(decision) is int else ():
                cells[cell] = cells.get(cell, 0) | _bits(entry.record.get("adds"))
    if broken is not None:
        yield Unread(broken.seq or 0, f"the trace ends here: {broken.why}")


def _cells(entry: Entry) -> tuple[str, str]:
    """The ids of the two cells that a decision was made under."""
    facts = shapes.table(entry.record.get("facts")) or {}
    wall, tree = (shapes.items(facts.get(name)) or ("",) for name in ("wall", "tree"))
    return str(wall[0]), str(tree[0])


def _bits(adds: Any) -> int:
    """Exposure by its names; what is no name is everything."""
    try:
        return names.exposure_bits(map(str, shapes.items(adds) or ()))
    except ValueError:
        return exposure.ALL


def _step(entry: Entry, reveals: Reveals, keys: Keys, cells: dict[str, int]) -> Step | Unread:
    named = shapes.table(entry.record.get("call")) or {}
    reveal = reveals.get(shapes.text(named.get("digest")) or "")
    if reveal is None:
        return Unread(entry.seq, "its reveal is not here")
    try:
        return _shown(entry, again(entry.record, reveal, keys), cells)
    except Refused as refused:
        return Unread(entry.seq, f"its token is refused: {refused.deny.code}")
    except NucleusError as error:
        return Unread(entry.seq, error.message)


def _shown(entry: Entry, found: Again, cells: dict[str, int]) -> Step:
    decision, credential, call, facts = found
    prefix = credential.prefix
    seen = facts.wall.bits | facts.tree.bits
    if isinstance(decision, Deny):
        decision = located(decision, credential, call.operation, seen)
    spelled = spell_decision(found.decision)
    verdict = str(spelled["verdict"])
    problem = "" if spelled == entry.record.get("decision") else "the record says otherwise"
    for cell in (facts.wall, facts.tree):
        if cells.get(cell.id, 0) & ~cell.bits:
            problem = problem or f"the cell {cell.id} has seen less than it had before"
        if cell.version:  # nobody has written down yet what an unopened cell is read as
            cells[cell.id] = cells.get(cell.id, 0) | cell.bits
        if verdict == "allow":
            cells[cell.id] = cells.get(cell.id, 0) | cell.bits | call.records
    adds = call.records if verdict == "allow" else 0
    return Step(
        seq=entry.seq,
        tool=call.tool,
        operation=names.OPERATIONS[call.operation] if known(call.operation) else "unclassified",
        who=(prefix.opened.header.sub, *(hop.to for hop in prefix.hops)),
        verdict=verdict,
        came_from=explain(decision, credential),
        authority=_authority(found),
        exposure=Seen(*map(names.exposure_names, (seen, adds, seen | adds))),
        label=_label(call.label),
        problem=problem,
    )


def _authority(found: Again) -> dict[str, Any]:
    """What the chain folds to, as far as this call could touch it."""
    prefix, call = found.credential.prefix, found.call
    authority = prefix.authority
    owed = prefix.opened.obligations | authority.obligations
    spent = found.facts.spent
    return {
        "asks_for": [name for i, name in enumerate(names.OPERATIONS) if obliged(owed, i)],
        "budgets": [
            {"limit": c.limit, "spent": spent.get(c.id), "unit": c.unit} for c in authority.counters
        ],
        "level": names.LEVELS[level_of(authority.levels, call.operation)]
        if known(call.operation)
        else "never",
        "not_after": authority.exp,
        "rid": prefix.rids[-1],
        "scopes": [
            f"{s.kind} {'in' if s.allow else 'not in'} {_patterns(s.patterns)}"
            for _, s in authority.scopes
        ],
    }


def _patterns(patterns: Iterable[Any]) -> str:
    return ", ".join(p if isinstance(p, str) else " ".join(p) for p in patterns)


def _label(label: int) -> dict[str, str | tuple[str, ...]]:
    """A label in words, axis by axis."""
    if not labels.valid(label):
        return {"unknown": hex(label)}
    words = label_names.describe_label(label)
    return {
        "confidentiality": words["confidentiality"],
        "integrity": words["integrity"],
        "authority": words["authority"],
        "provenance": words["provenance"],
        "derivation": words["derivation"],
    }

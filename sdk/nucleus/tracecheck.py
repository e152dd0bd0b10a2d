"""Law: a trace is believed as far as it can be computed again, and what could not be is counted.

Five things are checked: that no record was changed, moved or taken out (the chain); that signed
checkpoints say what the records say; that every decision follows from its record, its reveal and
the pinned keys; that nothing was allowed after it was revoked; and that every outcome belongs to
one call that was allowed before it. It proves decisions, not facts. A tail that was cut off shows
only against a checkpoint kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nucleus import shapes
from nucleus_tokens import arguments
from nucleus_tokens.errors import NucleusError
from nucleus_verifier import trace
from nucleus_verifier.facts import Keys
from nucleus_verifier.record import recompute, reveal_digest
from nucleus_verifier.trace import Entry

# Records that decide nothing.
_QUIET: Final = frozenset(("refused", "list", "opened", "session", "taken_back"))
_GONE: Final = "a prefix of its token was revoked in record {} before it"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it should be. `seq` is the record, or None for something beside."""

    seq: int | None
    code: str
    why: str


@dataclass(slots=True)
class Report:
    """What was checked, and what was found."""

    records: int = 0
    decisions: int = 0
    recomputed: int = 0
    outcomes: int = 0
    checkpoints: int = 0
    unchecked_checkpoints: int = 0
    missing_reveals: list[int] = field(default_factory=list[int])
    problems: list[Problem] = field(default_factory=list[Problem])
    head: str = trace.GENESIS

    @property
    def holds(self) -> bool:
        """Nothing is wrong with what could be checked."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        first = self.problems[0] if self.problems else None
        return {
            "checkpoints": self.checkpoints,
            "decisions": self.decisions,
            "first_bad_record": None if first is None else first.seq,
            "head": self.head,
            "holds": self.holds,
            "missing_reveals": self.missing_reveals,
            "outcomes": self.outcomes,
            "problems": [{"code": p.code, "seq": p.seq, "why": p.why} for p in self.problems],
            "recomputed": self.recomputed,
            "records": self.records,
            "unchecked_checkpoints": self.unchecked_checkpoints,
        }


def index_reveals(lines: Iterable[bytes]) -> dict[str, Mapping[str, Any]]:
    """Reveals by the digest that a record names. What is not a reveal is of no use and left out."""
    found: dict[str, Mapping[str, Any]] = {}
    for line in lines:
        try:
            value = shapes.table(arguments.parse(line.rstrip(b"\n")))
            if value is not None:
                found[reveal_digest(value)] = value
        except NucleusError:
            continue
    return found


def check(
    lines: Iterable[bytes],
    reveals: Mapping[str, Mapping[str, Any]],
    keys: Keys,
    *,
    trace_key: bytes | None,
    kept: Iterable[Mapping[str, Any]] = (),
) -> Report:
    """Check a whole trace from its first record. `trace_key` is the public key of checkpoints,
    `kept` are checkpoints that were kept elsewhere. Total: whatever the lines are, it reports."""
    entries, broken = trace.read(lines)
    report = Report(records=len(entries), head=entries[-1].hash if entries else trace.GENESIS)
    verdicts: dict[int, str] = {}
    done: set[int] = set()
    revoked: dict[str, int] = {}
    for entry in entries:
        kind = entry.record.get("type")
        if kind == "decision":
            _decision(entry, reveals, keys, report)
            verdicts[entry.seq] = _verdict(entry)
            if verdicts[entry.seq] == "allow":
                _not_revoked(entry, revoked, report)
        elif kind == "revocation":
            revoked.setdefault(str(entry.record.get("rid")), entry.seq)
        elif kind == "outcome":
            _outcome(entry, verdicts, done, report)
        elif kind == "charge":
            _charge(entry, verdicts, done, report)
        elif kind == "seen":
            _seen(entry, verdicts, report)
        elif kind == "checkpoint":
            _checkpoint(entry, entries, trace_key, report)
        elif kind not in _QUIET:
            report.problems.append(
                Problem(entry.seq, "trace.unknown_record", "it is of a type that is not known")
            )
    if broken is not None:
        report.problems.append(Problem(broken.seq, "trace.broken", broken.why))
    for checkpoint in kept:
        if trace_key is None or not trace.checkpoint_holds(checkpoint, entries, trace_key):
            report.problems.append(
                Problem(
                    _place(checkpoint),
                    "trace.checkpoint",
                    "a checkpoint that was kept elsewhere says something else of it",
                )
            )
    report.problems.sort(key=lambda p: (p.seq is None, p.seq or 0))
    return report


def _decision(
    entry: Entry, reveals: Mapping[str, Mapping[str, Any]], keys: Keys, report: Report
) -> None:
    report.decisions += 1
    call = shapes.table(entry.record.get("call")) or {}
    reveal = reveals.get(shapes.text(call.get("digest")) or "")
    if reveal is None:
        report.missing_reveals.append(entry.seq)
        return
    try:
        again = recompute(entry.record, reveal, keys)
    except NucleusError as error:
        report.problems.append(Problem(entry.seq, error.code, _clause(error.message)))
        return
    report.recomputed += 1
    if again != entry.record.get("decision"):
        report.problems.append(
            Problem(
                entry.seq,
                "trace.other_decision",
                f"its facts give {again.get('verdict')}, and it says {_verdict(entry)}",
            )
        )


def _verdict(entry: Entry) -> str:
    decision = shapes.table(entry.record.get("decision")) or {}
    return shapes.text(decision.get("verdict")) or "nothing"


def _not_revoked(entry: Entry, revoked: Mapping[str, int], report: Report) -> None:
    token = shapes.table(entry.record.get("token")) or {}
    for rid in shapes.items(token.get("rids")) or ():
        if str(rid) in revoked:
            why = _GONE.format(revoked[str(rid)])
            report.problems.append(Problem(entry.seq, "trace.revoked", why))
            return


def _outcome(entry: Entry, verdicts: Mapping[int, str], done: set[int], report: Report) -> None:
    report.outcomes += 1
    seq = entry.record.get("decision")
    if type(seq) is not int or verdicts.get(seq) != "allow":
        why = "it is the outcome of a call that was not allowed before it"
        report.problems.append(Problem(entry.seq, "trace.outcome", why))
    elif seq in done:
        why = f"it is a second outcome of the call that record {seq} allowed once"
        report.problems.append(Problem(entry.seq, "trace.outcome", why))
    else:
        done.add(seq)


def _charge(entry: Entry, verdicts: Mapping[int, str], done: set[int], report: Report) -> None:
    """What a running effect paid: of a call that was allowed, before its outcome, and no less
    than nothing."""
    seq, amounts = entry.record.get("decision"), shapes.table(entry.record.get("charge"))
    if type(seq) is not int or verdicts.get(seq) != "allow" or seq in done:
        why = "it is a payment of a call that was not allowed before it, or that had ended"
        report.problems.append(Problem(entry.seq, "trace.charge", why))
    elif amounts is None or not all(type(n) is int and n >= 0 for n in amounts.values()):
        why = "it is a payment of no whole amounts"
        report.problems.append(Problem(entry.seq, "trace.charge", why))


def _seen(entry: Entry, verdicts: Mapping[int, str], report: Report) -> None:
    """What a result showed the session: of a call that was allowed before."""
    seq = entry.record.get("decision")
    if type(seq) is not int or verdicts.get(seq) != "allow":
        why = "it is what a call brought that was not allowed before it"
        report.problems.append(Problem(entry.seq, "trace.seen", why))


def _checkpoint(
    entry: Entry, entries: list[Entry], trace_key: bytes | None, report: Report
) -> None:
    report.checkpoints += 1
    if trace_key is None:
        report.unchecked_checkpoints += 1
    elif not trace.checkpoint_holds(entry.record, entries[: entry.seq - 1], trace_key):
        why = "its signature does not hold, or the records before it are others"
        report.problems.append(Problem(entry.seq, "trace.checkpoint", why))


def _place(checkpoint: Mapping[str, Any]) -> int | None:
    seq = checkpoint.get("seq")
    return seq if type(seq) is int else None


def _clause(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")

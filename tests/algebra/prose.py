"""The decision table once more, as the prose has it, sentence by sentence."""

from dataclasses import dataclass
from itertools import product

from tests.algebra.reference import Level


@dataclass(frozen=True)
class Case:
    level: Level
    to_exfil: bool
    bad_declassification: bool
    static: bool
    gate: bool
    payload_ok: bool
    reversible: bool
    evidence: bool
    gate_by_evidence: bool


def cases() -> list[Case]:
    return [Case(level, *flags) for level in Level for flags in product((False, True), repeat=8)]


def prose(case: Case) -> tuple[str, set[str]]:
    """Verdict and open obligations with nothing discharged, following the text sentence by
    sentence. At deny no obligations are listed."""
    if case.level == Level.NEVER:
        return "deny", set()
    if case.to_exfil or case.bad_declassification:
        return "deny", set()
    owed = set()
    if case.static:
        owed.add("static")
    if case.level == Level.LOW_RISK and not case.evidence:
        owed.add("inputs")
    evidence_is_enough = case.gate_by_evidence and case.evidence
    if not (case.payload_ok or case.reversible or evidence_is_enough):
        owed.add("payload")
    if case.gate and not evidence_is_enough:
        owed.add("gate")
    return ("ask" if owed else "allow"), owed

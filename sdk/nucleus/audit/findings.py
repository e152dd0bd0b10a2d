"""Law: a finding is one rule at one place; its fingerprint stays when lines move.

The fingerprint is made of the rule, the file and what the place is called, and of nothing that a
secret could be guessed from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

from nucleus.audit.facts import Place


class Severity(IntEnum):
    """How bad it is. A build fails from a chosen one upwards."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        return self.name.lower()


NAMES: Final[Mapping[str, Severity]] = {each.word: each for each in Severity}


@dataclass(frozen=True, slots=True)
class Rule:
    """What is looked for. `id` never changes its meaning."""

    id: str
    severity: Severity
    title: str
    help: str  # why it matters
    fix: str  # what to do about it


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule at one place. `message` holds no secret."""

    rule: str
    severity: Severity
    place: Place
    message: str
    fix: str = ""  # more exact than the rule's
    fingerprint: str = ""
    reason: str | None = None  # why somebody suppressed it
    known: bool = False  # it stands in the baseline

    @property
    def counts(self) -> bool:
        """Whether it may fail a build."""
        return self.reason is None and not self.known


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found. `files` is how many were read, `looked` how many were looked at."""

    findings: tuple[Finding, ...]
    files: int
    looked: int
    root: str
    groups: tuple[Group, ...] = ()
    notes: tuple[str, ...] = ()

    def counting(self, least: Severity = Severity.LOW) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.counts and f.severity >= least)

    def count(self) -> dict[str, int]:
        """How many of each severity count."""
        found = self.counting()
        return {each.word: sum(f.severity is each for f in found) for each in reversed(Severity)}


@dataclass(frozen=True, slots=True)
class Holder:
    """One thing an agent has, and which legs it brings. `sure` is False where nobody knows what
    it is; `mediated` where it is behind the proxy, which gates it."""

    name: str
    place: Place
    legs: int
    why: Mapping[int, str] = field(default_factory=dict[int, str])  # by leg
    operations: tuple[str, ...] = ()
    sure: bool = True
    mediated: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """What one agent has together: the tools of one client in one folder."""

    client: str
    folder: str
    holders: tuple[Holder, ...]

    @property
    def legs(self) -> int:
        """Those that stand for sure, and behind no proxy."""
        return self._join(h for h in self.holders if h.sure and not h.mediated)

    @property
    def possible(self) -> int:
        return self._join(h for h in self.holders if not h.mediated)

    @staticmethod
    def _join(holders: Iterable[Holder]) -> int:
        bits = 0
        for holder in holders:
            bits |= holder.legs
        return bits


def numbered(findings: Iterable[Finding]) -> list[Finding]:
    """Sorted, without doubles, each with its fingerprint."""
    made: dict[str, Finding] = {}
    for finding in sorted(findings, key=_order):
        print_ = _fingerprint(finding)
        made.setdefault(print_, replace(finding, fingerprint=print_))
    return sorted(made.values(), key=lambda f: (-f.severity, f.place.path, f.place.line, f.rule))


def _order(finding: Finding) -> tuple[str, str, int]:
    return finding.rule, finding.place.path, finding.place.line


def _fingerprint(finding: Finding) -> str:
    digest = hashlib.sha256(b"nucleus/audit/v1\0")
    for part in (finding.rule, finding.place.path, finding.place.what):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.hexdigest()[:32]

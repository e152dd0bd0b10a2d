"""Law: a finding is left out only by somebody who said why, and it is still counted as left out.

In a comment on the line or on the one before it: `nucleus-audit: ignore RULE -- REASON`. In
`.nucleus-audit.toml` for files that have no comments. In a baseline: what was there before.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Final

from nucleus.audit.catalogue import RULES
from nucleus.audit.facts import Place
from nucleus.audit.findings import Finding
from nucleus.shapes import items, table, text
from nucleus_tokens.errors import CallerError

FILE: Final = ".nucleus-audit.toml"
_MARK: Final = re.compile(
    r"nucleus-audit:\s*ignore(?P<all>-file)?\s+(?P<rule>[a-z-]+)(?:\s+--\s*(?P<why>.*?))?\s*"
    r"(?:-->|\*/|$)"
)
# In prose only a comment is meant: a text that speaks of the mark is none.
_COMMENT: Final = re.compile(r"^\s*(?:<!--|#|//|/\*)\s*$")


_NOWHERE: Final = Place("")


@dataclass(frozen=True, slots=True)
class Mark:
    """One suppression."""

    path: str  # a pattern, where it stands in the file of all
    rule: str
    reason: str
    line: int = 0  # 0: the whole file
    place: Place = _NOWHERE
    contains: str = ""


def marks(path: str, source: str, *, prose: bool) -> list[Mark]:
    """Those in a file's comments."""
    if "nucleus-audit:" not in source:
        return []
    made: list[Mark] = []
    for number, line in enumerate(source.splitlines(), 1):
        found = _MARK.search(line)
        if found is None or (prose and not _COMMENT.match(line[: found.start()])):
            continue
        where = 0 if found["all"] else number
        why = (found["why"] or "").strip()
        made.append(
            Mark(path, found["rule"], why, where, Place(path, number, f"ignore {found['rule']}"))
        )
    return made


def listed(raw: str) -> list[Mark]:
    """Those of the file of all. Raises CallerError `audit.suppressions`."""
    try:
        value = tomllib.loads(raw)
        rows = items(value.get("ignore", []))
        if set(value) - {"ignore"} or rows is None:
            raise ValueError("only [[ignore]] tables stand in it")
        made: list[Mark] = []
        for number, row in enumerate(rows):
            each = table(row) or {}
            if set(each) - {"rule", "path", "contains", "reason"} or each.get("rule") not in RULES:
                raise ValueError(
                    f"table {number + 1} needs a known rule, and has path, contains, reason"
                )
            made.append(
                Mark(
                    path=text(each.get("path")) or "**",
                    rule=each["rule"],
                    reason=(text(each.get("reason")) or "").strip(),
                    place=Place(FILE, 1, f"ignore/{each['rule']}/{each.get('path')}"),
                    contains=text(each.get("contains")) or "",
                )
            )
    except (ValueError, RecursionError) as error:
        raise CallerError("audit.suppressions", f"{FILE} is refused: {error}.") from error
    return made


def apply(findings: Iterable[Finding], given: Sequence[Mark]) -> list[Finding]:
    """The findings, those that were suppressed with the reason."""
    by_file: dict[str, list[Mark]] = {}
    patterns = [mark for mark in given if mark.place.path == FILE]
    for mark in given:
        if mark.place.path != FILE:
            by_file.setdefault(mark.path, []).append(mark)
    made: list[Finding] = []
    for finding in findings:
        reason = None
        for mark in (*by_file.get(finding.place.path, ()), *patterns):
            if mark.reason and mark.rule == finding.rule and _covers(mark, finding):
                reason = mark.reason
                break
        made.append(finding if reason is None else replace(finding, reason=reason))
    made += [
        Finding(
            "suppression-without-reason", RULES["suppression-without-reason"].severity, mark.place,
            f"The suppression of {mark.rule} says no reason, so it suppresses nothing."
            if mark.rule in RULES
            else f"There is no rule {mark.rule}.",
        )
        for mark in given
        if not mark.reason or mark.rule not in RULES
    ]  # fmt: skip
    return made


def _covers(mark: Mark, finding: Finding) -> bool:
    if mark.place.path == FILE:
        said = f"{finding.place.what} {finding.message}"
        return _matches(finding.place.path, mark.path) and mark.contains in said
    return mark.line == 0 or finding.place.line in (mark.line, mark.line + 1)


def _matches(path: str, pattern: str) -> bool:
    return (
        pattern == "**"
        or fnmatchcase(path, pattern)
        or fnmatchcase(path, pattern.removeprefix("**/"))
    )


# A baseline ----------------------------------------------------------------------------------


def baseline(findings: Iterable[Finding]) -> dict[str, Any]:
    """What stands today, to be measured against tomorrow."""
    rows = {
        f.fingerprint: {"rule": f.rule, "path": f.place.path} for f in findings if f.reason is None
    }
    return {"version": 1, "findings": rows}


def read_baseline(raw: bytes) -> frozenset[str]:
    """Raises CallerError `audit.baseline`."""
    try:
        value = table(json.loads(raw)) or {}
        found = table(value.get("findings"))
        if value.get("version") != 1 or found is None:
            raise ValueError("it is no baseline of this program")
    except (ValueError, RecursionError) as error:
        raise CallerError("audit.baseline", f"The baseline cannot be read: {error}.") from error
    return frozenset(found)


def against(findings: Iterable[Finding], known: frozenset[str]) -> list[Finding]:
    """The findings, those of the baseline marked as known."""
    return [replace(f, known=f.fingerprint in known) for f in findings]

"""Law: the report as a comment on a pull request, and as the summary of a job.

What came from the files stands in code spans that nothing in it can end, so that a configuration
cannot write the comment. The marker says which comment to replace.
"""

from __future__ import annotations

import re
from typing import Final

from nucleus.audit.catalogue import RULES
from nucleus.audit.combination import LEG_NAMES
from nucleus.audit.findings import Finding, Group, Report, Severity
from nucleus_tokens import exposure

MARKER: Final = "<!-- nucleus-audit -->"
_SIGNS: Final = {
    Severity.CRITICAL: "🔴 critical",
    Severity.HIGH: "🟠 high",
    Severity.MEDIUM: "🟡 medium",
    Severity.LOW: "⚪ low",
}
_MOST_ROWS: Final = 200
_MOST_CHARS: Final = 60_000  # a comment holds 65,536


def comment(report: Report, least: Severity | None) -> str:
    """The comment, marker first."""
    found = report.counting()
    failing = [f for f in found if least is not None and f.severity >= least]
    title = "nucleus audit: " + (
        f"{len(failing)} to look at"
        if failing
        else ("passed" if not found else "passed, with notes")
    )
    lines = [MARKER, f"### {title}", "", _counts(report)]
    for group in report.groups:
        if exposure.complete(group.legs):
            lines += ["", *_picture(group)]
    if found:
        lines += ["", "| | where | what | do |", "|---|---|---|---|"]
        lines += [_row(each) for each in found[:_MOST_ROWS]]
        if len(found) > _MOST_ROWS:
            lines.append(f"\n… and {len(found) - _MOST_ROWS} more.")
    left = [f for f in report.findings if not f.counts]
    if left:
        lines += ["", "<details><summary>" + _left_out(left) + "</summary>", ""]
        lines += [
            f"- {code(f.place.path)} {f.rule}: {code(f.reason) if f.reason else 'in the baseline'}"
            for f in left[:_MOST_ROWS]
        ]
        lines += ["", "</details>"]
    lines += ["", "<sub>What to do about it: <code>nucleus audit --suggest</code></sub>"]
    text = "\n".join(lines) + "\n"
    if len(text) <= _MOST_CHARS:
        return text
    cut = text[:_MOST_CHARS].rpartition("\n")[0]
    return cut + "\n\nThe rest does not fit into a comment.\n"


def summary(report: Report, least: Severity | None) -> str:
    """For a job: the same without the marker."""
    return comment(report, least).removeprefix(MARKER + "\n")


def marked_lines(report: Report) -> list[str]:
    """Lines by which a job marks the lines of a change."""
    words = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning"}
    return [
        f"::{words.get(f.severity, 'notice')} file={_escaped(f.place.path, True)},"
        f"line={f.place.line},title={_escaped(f.rule, True)}::{_escaped(f.message)}"
        for f in report.counting()
    ]


def _escaped(text: str, is_property: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if is_property else text


def _counts(report: Report) -> str:
    counts = [f"{n} {word}" for word, n in report.count().items() if n]
    return (", ".join(counts) or "Nothing found") + f" in {report.files} configurations."


def _left_out(left: list[Finding]) -> str:
    suppressed = sum(f.reason is not None for f in left)
    return f"{suppressed} suppressed, {len(left) - suppressed} known from the baseline"


def _picture(group: Group) -> list[str]:
    made = [f"**{group.client}** in {code(group.folder)} has all three legs:", ""]
    for leg, name in LEG_NAMES.items():
        who = [code(h.name) for h in group.holders if h.legs & leg and h.sure and not h.mediated]
        made.append(f"- {name}: {', '.join(who[:8])}{' …' if len(who) > 8 else ''}")
    return made


def _row(finding: Finding) -> str:
    where = f"{code(finding.place.path)}:{finding.place.line}"
    what = f"**{finding.rule}**: {code(finding.message)}"
    fix = finding.fix or RULES[finding.rule].fix
    return f"| {_SIGNS[finding.severity]} | {where} | {what} | {code(fix)} |"


def code(text: str) -> str:
    """Text from outside, as code that it cannot leave."""
    flat = re.sub(r"\s+", " ", "".join(c if c.isprintable() else "�" for c in text)).strip()
    flat = flat.replace("|", "\\|") or " "
    longest = max((len(m) for m in re.findall(r"`+", flat)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if flat[0] == "`" or flat[-1] == "`" else ""
    return f"{fence}{pad}{flat[:400]}{pad}{fence}"

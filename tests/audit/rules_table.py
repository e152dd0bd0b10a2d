"""Writes the rules' part of docs/audit.md from the catalogue.

Run it after changing a rule: `python -m tests.audit.rules_table`.
"""

from __future__ import annotations

from nucleus.audit.catalogue import RULES
from tests.house.source import ROOT

PAGE = ROOT / "docs" / "audit.md"
BEGIN, END = "<!-- rules: begin -->", "<!-- rules: end -->"


def section() -> str:
    """Every rule, under a heading that is its id."""
    parts = [
        f"### {rule.id}\n\n**{rule.severity.word}.** {rule.title}. {rule.help}\n\n*Do:* {rule.fix}"
        for rule in sorted(RULES.values(), key=lambda r: (-r.severity, r.id))
    ]
    return "\n\n".join(parts)


def page(text: str) -> str:
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{section()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

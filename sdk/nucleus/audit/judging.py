"""Law: all facts, judged once; the report is the same whatever it is written as."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from nucleus.audit import (
    combination,
    rules_servers,
    rules_settings,
    rules_text,
    suppressing,
    walking,
)
from nucleus.audit.facts import (
    Container,
    Doubled,
    EnvFile,
    Fact,
    Instructions,
    NucleusPolicy,
    Server,
    Settings,
    Unread,
    Workflow,
)
from nucleus.audit.findings import Finding, Report, numbered
from nucleus.audit.making import finding


def audit(
    root: Path, *, home: Path | None = None, known: frozenset[str] = frozenset()
) -> tuple[Report, walking.Found]:
    """Read and judge. With `home` also this user's own clients."""
    found = walking.read(root)
    if home is not None:
        walking.user(home, found)
    return judged(found, known=known), found


def judged(found: walking.Found, *, known: frozenset[str] = frozenset()) -> Report:
    """The report of what was read."""
    marks = list(found.marks)
    listing = found.root / suppressing.FILE
    if listing.is_file():
        marks += suppressing.listed(walking.listing(listing))
    groups = combination.groups(found.facts)
    findings = [each for fact in found.facts for each in of(fact)]
    findings += [each for group in groups for each in combination.judge(group)]
    findings += writable(found.facts)
    findings = suppressing.apply(findings, marks)
    return Report(
        tuple(suppressing.against(numbered(findings), known)),
        found.files,
        found.looked,
        str(found.root),
        groups,
        tuple(found.notes),
    )


def of(fact: Fact) -> Iterable[Finding]:
    """The findings of one fact by itself."""
    match fact:
        case Server():
            return rules_servers.judge(fact)
        case Settings():
            return rules_settings.judge(fact)
        case Instructions():
            return rules_text.instructions(fact)
        case EnvFile():
            return rules_text.env_file(fact)
        case Workflow():
            return rules_text.workflow(fact)
        case Container():
            return rules_text.container(fact)
        case NucleusPolicy():
            return rules_text.policy(fact)
        case Unread():
            return [finding("unreadable-config", fact.place, "", f"It is not judged: {fact.why}.")]
        case Doubled():
            return [
                finding("duplicate-key", replace(fact.place, what=f"key/{fact.place.what}"), "",
                        f"The key {fact.place.what!r} stands twice.")
            ]  # fmt: skip


def writable(facts: Sequence[Fact]) -> Iterator[Finding]:
    """File servers whose folder holds what agents obey: a rule over several files."""
    obeyed = [f.place.path for f in facts if isinstance(f, Instructions)]
    if not obeyed:
        return
    for fact in facts:
        if not isinstance(fact, Server) or fact.disabled or rules_servers.is_mediated(fact):
            continue
        if not rules_servers.writes_files(fact) or "readonly" in " ".join(fact.args).lower():
            continue
        for word in fact.args[1:]:
            if re.fullmatch(r"\.|\./|\$\{?(?:workspaceFolder|PWD|CLAUDE_PROJECT_DIR)\}?/?", word):
                yield finding(
                    "writable-instructions", fact.place, "",
                    f"{fact.name}: it writes in {word}, where {obeyed[0]} stands.",
                )  # fmt: skip
                break

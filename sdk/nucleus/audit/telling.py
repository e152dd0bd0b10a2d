"""Law: the report as one JSON document; its keys are stable."""

from __future__ import annotations

from typing import Any

from nucleus.audit.catalogue import RULES
from nucleus.audit.findings import Finding, Group, Holder, Report, Severity
from nucleus_tokens import exposure, names


def document(report: Report, least: Severity | None) -> dict[str, Any]:
    """Everything that was found."""
    return {
        "version": 1,
        "passed": least is None or not report.counting(least),
        "files": report.files,
        "looked": report.looked,
        "count": report.count(),
        "agents": [_group(group) for group in report.groups],
        "findings": [_finding(each) for each in report.findings],
        "notes": list(report.notes),
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "client": group.client,
        "folder": group.folder,
        "legs": list(names.exposure_names(group.legs)),
        "possible": list(names.exposure_names(group.possible)),
        "uninhabitable": exposure.complete(group.legs),
        "holders": [_holder(each) for each in group.holders],
    }


def _holder(holder: Holder) -> dict[str, Any]:
    return {
        "name": holder.name,
        "path": holder.place.path,
        "line": holder.place.line,
        "legs": list(names.exposure_names(holder.legs)),
        "operations": sorted(set(holder.operations)),
        "known": holder.sure,
        "mediated": holder.mediated,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.word,
        "path": finding.place.path,
        "line": finding.place.line,
        "what": finding.place.what,
        "message": finding.message,
        "fix": finding.fix or RULES[finding.rule].fix,
        "help": RULES[finding.rule].help,
        "fingerprint": finding.fingerprint,
        "suppressed": finding.reason,
        "known": finding.known,
    }

"""Law: the report as SARIF 2.1.0, as code scanning reads it; one report gives the same bytes."""

from __future__ import annotations

from typing import Any, Final

from nucleus.audit.catalogue import RULES
from nucleus.audit.findings import Finding, Report, Rule, Severity

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
# A name and no address: what is not ours to reserve is not written into others' files.
_ABOUT: Final = "urn:nucleus-runtime:audit"
_LEVEL: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
}
# Code scanning sorts by these: critical from 9, high from 7, medium from 4.
_SCORE: Final = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "2.0",
}
FINGERPRINT: Final = "nucleusAudit/v1"


def document(report: Report, version: str) -> dict[str, Any]:
    """One run."""
    used = list(RULES.values())
    index = {rule.id: number for number, rule in enumerate(used)}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "nucleus audit",
                        "fullName": f"nucleus audit {version}",
                        "informationUri": _ABOUT,
                        "version": version,
                        "semanticVersion": version,
                        "rules": [_rule(rule) for rule in used],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {
                    "%SRCROOT%": {"description": {"text": "The folder that was scanned."}}
                },
                "results": [_result(each, index[each.rule]) for each in report.findings],
            }
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    name = "".join(word.capitalize() for word in rule.id.split("-"))
    text = f"{rule.help} {rule.fix}"
    return {
        "id": rule.id,
        "name": name,
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": rule.help},
        "help": {"text": text, "markdown": f"{rule.help}\n\n**Do:** {rule.fix}"},
        "defaultConfiguration": {"level": _LEVEL[rule.severity]},
        "properties": {
            "security-severity": _SCORE[rule.severity],
            "precision": "high",
            "tags": ["security", "agents"],
        },
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVEL[finding.severity],
        "message": {"text": finding.message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(finding.place.path), "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": max(1, finding.place.line)},
                }
            }
        ],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
        "baselineState": "unchanged" if finding.known else "new",
    }
    if finding.reason is not None:
        made["suppressions"] = [{"kind": "inSource", "justification": finding.reason}]
    return made


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path, safe="/~!$&'()*+,;=@-._")

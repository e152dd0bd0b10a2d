"""Writes the vectors: `python -m tests.vectors.generate`; with `--check` it only compares.

Deterministic, so that a diff of the files is a diff of the format. `jcs.json` is not written here:
its numbers come from an ECMAScript engine (`jcs.mjs`).
"""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.vectors import (
    cases_approvals,
    cases_exchange,
    cases_invalid,
    cases_malleable,
    cases_revocation,
    cases_valid,
)
from tests.vectors.frozen import document
from tests.vectors.reading import HERE


def documents() -> dict[str, dict[str, Any]]:
    """Every file by name."""
    return {
        "valid": document(
            "Authentic credentials, and what each allows, asks or denies.", cases_valid.cases()
        ),
        "invalid": document("Credentials with one defect each.", cases_invalid.cases()),
        "malleable": document(
            "Other spellings of one valid token; each is refused.",
            cases_malleable.cases(),
            spells=cases_malleable.subject().text(),
        ),
        "approvals": document("Approvals of what a credential asks for.", cases_approvals.cases()),
        "exchange": document(
            "A holder's statements that ask for an exchange, and which of them holds.",
            cases_exchange.cases(),
        ),
        "revocation": document(
            "Revocation ids, preimages and what dies with which id.",
            cases_revocation.cases(),
            preimages=cases_revocation.preimages(),
        ),
    }


def spelled(value: dict[str, Any]) -> str:
    """ASCII, one field a line, so that diffs can be read."""
    return json.dumps(value, indent=1, ensure_ascii=True) + "\n"


def main(arguments: list[str]) -> int:
    stale = []
    for name, value in documents().items():
        path = HERE / f"{name}.json"
        if "--check" not in arguments:
            path.write_text(spelled(value), encoding="ascii")
        elif not path.exists() or path.read_text(encoding="ascii") != spelled(value):
            stale.append(path.name)
    for name in stale:
        print(f"{name} is not what the generator writes")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

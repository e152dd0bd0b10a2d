"""Lays out a corpus, and puts in what looks like credentials and is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from nucleus.audit import judging
from nucleus.audit.findings import Report

_BODY: Final = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
CREDENTIALS: Final = {
    "@@GITHUB@@": "gh" + "p_" + _BODY,
    "@@OPENAI@@": "s" + "k-proj-" + _BODY,
    "@@ANTHROPIC@@": "s" + "k-ant-" + _BODY,
}


def lay(root: Path, files: dict[str, str]) -> Path:
    """The files, below `root`."""
    for name, written in files.items():
        text = written
        for mark, value in CREDENTIALS.items():
            text = text.replace(mark, value)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def audit(root: Path, **more: Any) -> Report:
    return judging.audit(root, **more)[0]


def found(report: Report) -> set[tuple[str, str, int]]:
    """Rule, file and line of what counts."""
    return {(f.rule, f.place.path, f.place.line) for f in report.counting()}

"""Every bound is what the format says it is: whoever writes another verifier reads it there."""

from __future__ import annotations

import re

from nucleus_tokens import limits
from tests.house.source import ROOT

ROW = re.compile(r"^\| `([A-Z_]+)` \| ([0-9,]+) \| .+ \|$", re.MULTILINE)


def test_every_bound_is_the_formats() -> None:
    text = (ROOT / "docs" / "spec" / "token.md").read_text(encoding="utf-8")
    said = {name: int(bound.replace(",", "")) for name, bound in ROW.findall(text)}
    kept = {name: value for name, value in vars(limits).items() if name.isupper()}
    assert kept == said

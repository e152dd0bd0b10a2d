"""A person who answers the routine once is asked rarely; the page says how rarely."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.week.measure import measure, written
from tests.week.script import KINDS, sessions


def test_the_week_is_what_it_is_said_to_be() -> None:
    steps = [step for session in sessions() for step in session]
    assert len(steps) >= 300
    assert {step.kind for step in steps} == set(KINDS)
    assert len(KINDS) == 10


@pytest.mark.slow
def test_less_than_one_call_in_thirty_is_asked_about(tmp_path: Path) -> None:
    found = measure(tmp_path, "standing")
    asked = sum(found[kind] for kind in KINDS)
    assert asked * 30 < found["calls"]
    (row,) = [line for line in written().splitlines() if line.startswith("| all |")]
    assert row.split("|")[-2].strip() == str(asked), "python -m tests.week.measure"

"""What the syntax trees say of the kernel, checked once more on a running one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT

WORLD = ROOT / "tests" / "support" / "world.py"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One world in a file: the same token, call and facts for every run."""
    if not WORLD.exists():
        pytest.skip("tests/support/world.py does not stand yet")
    path = tmp_path_factory.mktemp("world") / "world.pickle"
    made = _child("make", path)
    assert made.returncode == 0, made.stderr
    return path


def test_decide_touches_nothing_and_answers_the_same_twice(world: Path) -> None:
    """A decision that looked at the world cannot be recomputed from its record."""
    done = _child("judge", world)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("Allow(", "Ask("))


def test_decide_does_not_depend_on_the_process_it_runs_in(world: Path) -> None:
    """Hash seed, time zone, locale and folder change; the decision must not."""
    answers = {
        _child("judge", world, **surroundings).stdout
        for surroundings in (
            {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C"},
            {"PYTHONHASHSEED": "2", "TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8"},
            {"PYTHONHASHSEED": "3", "PYTHONOPTIMIZE": "2", "HOME": "/nonexistent"},
        )
    }
    assert len(answers) == 1, "\n".join(sorted(answers))
    assert answers != {""}


def _child(job: str, path: Path, **surroundings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.house.pure_child", job, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **surroundings},
        capture_output=True,
        text=True,
        check=False,
    )

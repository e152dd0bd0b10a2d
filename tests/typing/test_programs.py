"""Programs that must type-check, and programs that must not, each for the reason it states.

A line that must fail ends in `# E: CODE RULE: why`: mypy's code and pyright's rule. Every marked
line fails in both, for that, and no other line does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import PACKAGES

HERE = Path(__file__).parent
PROGRAMS = sorted(HERE.glob("must_*/*.py"))
_MARK = re.compile(r"# E: (\S+) (\w+): \w")
Found = set[tuple[str, int, str]]


def marked(which: int) -> Found:
    return {
        (shown(path), number, match[which])
        for path in PROGRAMS
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (match := _MARK.search(line))
    }


def shown(path: str | Path) -> str:
    """The last two parts: the programs are checked in a directory of their own."""
    return "/".join(Path(path).parts[-2:])


@pytest.fixture
def apart(tmp_path: Path) -> Path:
    """A copy outside of this checkout, where no configuration of ours is found."""
    for each in ("must_pass", "must_fail"):
        shutil.copytree(HERE / each, tmp_path / each)
    return tmp_path


def roots() -> list[str]:
    return [str(path.parent) for path in PACKAGES.values()]


def run(*words: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=cwd, check=False, env={**os.environ, **env}
    )
    assert done.returncode in (0, 1), done.stderr + done.stdout
    return done.stdout


def test_there_is_something_to_check() -> None:
    assert len(marked(1)) > 20
    for path in PROGRAMS:
        assert ("# E: " in path.read_text()) == (path.parent.name == "must_fail")
        assert path.read_text().count("# E: ") == sum(m[0] == shown(path) for m in marked(1))


@pytest.mark.slow
def test_mypy_refuses_exactly_the_marked_lines(apart: Path) -> None:
    out = run(
        sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file=",
        "--explicit-package-bases", "--namespace-packages", "--no-pretty", "--show-absolute-path",
        f"--cache-dir={apart / 'cache'}", str(apart / "must_pass"), str(apart / "must_fail"),
        cwd=apart, MYPYPATH=os.pathsep.join([*roots(), str(apart)]),
    )  # fmt: skip
    assert set(_mypy(out)) == marked(1), out


def _mypy(out: str) -> Iterator[tuple[str, int, str]]:
    for line in out.splitlines():
        match = re.fullmatch(r"(.*?\.py):(\d+): error: .*\[([\w-]+)\]\s*", line)
        if match is not None:
            yield shown(match[1]), int(match[2]), match[3]


@pytest.mark.slow
def test_pyright_refuses_exactly_the_marked_lines(apart: Path) -> None:
    config = {
        "include": ["must_pass", "must_fail"],
        "extraPaths": roots(),
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
    }
    (apart / "pyrightconfig.json").write_text(json.dumps(config))
    out = run(
        str(Path(sys.executable).parent / "pyright"), "--project", str(apart), "--outputjson",
        cwd=apart, PYRIGHT_PYTHON_IGNORE_WARNINGS="1",
    )  # fmt: skip
    said = json.loads(out)
    assert said["summary"]["filesAnalyzed"] == len(PROGRAMS)
    found = {
        (shown(d["file"]), d["range"]["start"]["line"] + 1, d.get("rule", d["message"]))
        for d in said["generalDiagnostics"]
        if d["severity"] == "error"
    }
    assert found == marked(2), out

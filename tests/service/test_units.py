"""The systemd units: systemd itself reads them, and calls each of them well confined."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from nucleus.cli.app import build
from tests.house.source import ROOT

UNITS = sorted((ROOT / "docs" / "systemd").glob("*.service"))
PROGRAM = "/usr/bin/nucleus"
# Of 10, in systemd's own count; less is better. A host half makes namespaces and has a network.
MOST_EXPOSED = 1.5
MAKES_CELLS = {"nucleus-run-vm@": 3.2}

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)


def analyze(*words: object) -> str:
    done = subprocess.run(
        ["systemd-analyze", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(params=UNITS, ids=lambda path: path.stem)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """As it is, but for the program, which is not installed where tests run."""
    path: Path = request.param
    made = tmp_path / path.name
    made.write_text(path.read_text().replace(PROGRAM, "/bin/true"))
    return made


def test_systemd_reads_it(unit: Path) -> None:
    assert analyze("verify", "--recursive-errors=no", unit) == ""


def test_it_is_confined(unit: Path) -> None:
    most = MAKES_CELLS.get(unit.stem, MOST_EXPOSED)
    said = analyze("security", "--offline=true", f"--threshold={int(most * 10)}", unit)
    assert "Overall exposure level" in said


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_it_starts_a_command_that_there_is(path: Path) -> None:
    text = path.read_text()
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    program, home, at, *words = line.split()
    assert (program, home) == (PROGRAM, "--home")
    # A template is as many homes as it has instances.
    assert at == f"/var/lib/{path.stem.replace('@', '/%i')}"
    command = typer.main.get_command(build())
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    known = {name for each in command.params for name in each.opts}
    ours = words[: words.index("--")] if "--" in words else words
    assert {word for word in ours if word.startswith("--")} <= known


def test_there_is_one_for_each_service() -> None:
    assert [path.stem for path in UNITS] == [
        "nucleus-identity", "nucleus-issuer", "nucleus-run-vm@", "nucleus-verifier",
    ]  # fmt: skip

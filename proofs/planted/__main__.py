"""Law: a gate nobody has seen red shows nothing: each bug planted here makes the claim that it
breaks fall, by name, and each theorem deleted, weakened or admitted is named as well.

    python -m proofs.planted           every bug of bugs.toml, every change of records.toml
    python -m proofs.planted ci        those that `gate` marks
    python -m proofs.planted CLAIM     one claim's

Everything happens in copies of the checkout. A battery that is red with nothing planted shows
nothing, so tests and schedules are asked that first. Exit 1 names what was not caught.
"""

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proofs.sources import ROOT

HERE: Final = Path(__file__).resolve().parent
ROOMS: Final = (".", "tokens", "verifier", "issuer", "proxy", "vmhost", "sdk")
LANES: Final = 2
SECONDS: Final = 300
NOT_COPIED: Final = shutil.ignore_patterns(".*", "__pycache__", "dist", "build")
# What is not asked elsewhere in the same job with nothing planted.
ASKED_FIRST: Final = ("pytest", "schedules")


@dataclass(frozen=True)
class Bug:
    """One change, and who must notice: a claim's proofs of one tool, or the step that is named."""

    file: str
    old: str
    new: str
    claim: str = ""
    tool: str = ""
    step: str = ""
    told: str = ""
    gate: bool = False

    @property
    def name(self) -> str:
        return f"{self.claim} by {self.tool}" if self.claim else f"{self.step}: {self.told}"


def bugs() -> list[Bug]:
    rows = tomllib.loads((HERE / "bugs.toml").read_text(encoding="utf-8"))["bug"]
    more = tomllib.loads((HERE / "records.toml").read_text(encoding="utf-8"))["bug"]
    return [Bug(**row) for row in (*rows, *more)]


@contextmanager
def planted(place: Path, bug: Bug) -> Iterator[None]:
    """The copy with this bug in it, and without it afterwards."""
    path = place / bug.file
    before = path.read_text(encoding="utf-8")
    if before.count(bug.old) != 1 or bug.old == bug.new:
        raise SystemExit(f"planted: {bug.name}: {bug.file} holds {bug.old!r} not exactly once")
    path.write_text(before.replace(bug.old, bug.new), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


def asked(place: Path, *words: str) -> tuple[int, str]:
    """What a module of the copy says. No bytecode: a bug may be as long as what it replaces."""
    path = os.pathsep.join(str(place / room) for room in ROOMS)
    env = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=place, env=env, check=False, timeout=SECONDS,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return -1, f"no answer in {SECONDS} s"
    return done.returncode, done.stdout


def noticed(place: Path, bug: Bug) -> str:
    """What fell, or "" and why not on the standard output."""
    if bug.step:
        code, told = asked(place, *bug.step.split())
        return bug.told if code == 1 and bug.told in told else ""
    code, told = asked(place, "proofs.planted.batteries", bug.tool, bug.claim)
    fell = [line[6:] for line in told.splitlines() if line.startswith("fell: ")]
    if code != 1 or not fell:
        print(f"planted: {bug.name}: exit {code}\n{told[-2000:]}", flush=True)
        return ""
    return fell[0]


def judge(chosen: Sequence[Bug]) -> list[str]:
    """Everything that was not caught, or is red with nothing planted."""
    wrong: list[str] = []
    copies: queue.SimpleQueue[Path] = queue.SimpleQueue()

    def clean(pair: tuple[str, str]) -> None:
        tool, claim = pair
        place = copies.get()
        code, told = asked(place, "proofs.planted.batteries", tool, claim)
        copies.put(place)
        if code != 0:
            print(told[-2000:], flush=True)
            wrong.append(f"{claim} by {tool}: red with nothing planted")

    def one(bug: Bug) -> None:
        started = time.perf_counter()
        place = copies.get()
        with planted(place, bug):
            fell = noticed(place, bug)
        copies.put(place)
        took = time.perf_counter() - started
        print(f"planted: {bug.name}: {f'caught: {fell}' if fell else 'NOT CAUGHT'} in {took:.1f} s",
              flush=True)  # fmt: skip
        if not fell:
            wrong.append(bug.name)

    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(LANES) as lanes:
        for lane in range(LANES):
            copies.put(shutil.copytree(ROOT, Path(home) / str(lane), ignore=NOT_COPIED))
        first = dict.fromkeys((b.tool, b.claim) for b in chosen if b.tool in ASKED_FIRST)
        list(lanes.map(clean, first))
        list(lanes.map(one, chosen))
    return wrong


def main(arguments: Sequence[str]) -> int:
    chosen = bugs()
    if arguments == ["ci"]:
        chosen = [bug for bug in chosen if bug.gate]
    elif arguments:
        chosen = [bug for bug in chosen if bug.claim in arguments or bug.step in arguments]
    if not chosen:
        print(__doc__, file=sys.stderr)
        return 2
    wrong = judge(chosen)
    for line in wrong:
        print(f"planted: NOT CAUGHT: {line}", file=sys.stderr)
    print(f"planted: {len(chosen)} planted, {len(chosen) - len(wrong)} caught")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

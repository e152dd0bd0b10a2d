"""Law: a theorem counts when Coq has compiled it, coqchk has checked it again from the compiled
file, nothing stands behind it as an axiom, and its statement is the recorded one; and Coq
computes from Generated.v what Python computes from its source.

    python -m proofs.theorems
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from proofs import statements
from proofs.agreement import CASES, questions

FILES = ("Generated", *statements.LAWS)
CLOSED = "Closed under the global context"


def run(*command: str, cwd: Path) -> str | None:
    """What the command wrote; None, after telling, if it failed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"theorems: {' '.join(command)} failed\n{done.stdout}{done.stderr}", file=sys.stderr)
        return None
    return done.stdout + done.stderr


def check(place: Path) -> bool:
    names = sorted(statements.recorded())
    for name in FILES:
        shutil.copy(statements.COQ / f"{name}.v", place)
    (place / "Agree.v").write_text(questions(), encoding="utf-8")
    asked = "\n".join(f"Print Assumptions {name}." for name in names)
    (place / "Ask.v").write_text(f"Require Import {' '.join(FILES)}.\n{asked}\n", encoding="utf-8")
    for name in FILES:
        started = time.perf_counter()
        if run("coqc", f"{name}.v", cwd=place) is None:
            return False
        print(f"theorems: {name} compiled in {time.perf_counter() - started:.1f} s")
    started = time.perf_counter()
    if run("coqc", "Agree.v", cwd=place) is None:
        return False
    took = time.perf_counter() - started
    print(f"theorems: Python and Coq agree, {CASES} cases a function, in {took:.1f} s")
    answers = run("coqc", "Ask.v", cwd=place)
    if answers is None or answers.split("\n") != [CLOSED] * len(names) + [""]:
        print(f"theorems: something stands on an axiom\n{answers}", file=sys.stderr)
        return False
    started = time.perf_counter()
    checked = run("coqchk", "-silent", "-o", *FILES, cwd=place)
    if checked is None or "* Axioms: <none>" not in " ".join(checked.split()):
        print(f"theorems: coqchk names an axiom\n{checked}", file=sys.stderr)
        return False
    print(f"theorems: coqchk agrees, no axioms, in {time.perf_counter() - started:.1f} s")
    print(f"theorems: {len(names)} theorems stand as recorded")
    return True


def main() -> int:
    if statements.main([]):
        return 1
    with tempfile.TemporaryDirectory() as place:
        return 0 if check(Path(place)) else 1


if __name__ == "__main__":
    sys.exit(main())

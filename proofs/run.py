"""Law: a rung that cannot run is a failed rung; nothing is skipped in silence.

    python proofs/run.py fast    the Coq form is current (rung 0), every finite claim (rung 1)
    python proofs/run.py all     those, and every theorem, its statement and its axioms (rung 2)

Needs z3-solver in the environment; `all` also needs coqc and coqchk on the PATH. Everything is
built in a directory of its own, so nothing is left in the checkout.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
Rungs = tuple[tuple[str, ...], ...]
FAST: Rungs = (
    ("translate", "proofs.translate", "--check"),
    ("symbolic", "proofs.symbolic"),
)
ALL: Rungs = (*FAST, ("theorems", "proofs.theorems"))


def missing(rungs: Rungs) -> list[str]:
    """What is not installed, and how to get it."""
    lacks = []
    if importlib.util.find_spec("z3") is None:
        lacks.append("z3: pip install z3-solver")
    if rungs is ALL:
        lacks += [
            f"{tool}: apt-get install coq" for tool in ("coqc", "coqchk") if not shutil.which(tool)
        ]
    return lacks


def main(arguments: list[str]) -> int:
    rungs = {"fast": FAST, "all": ALL}.get(" ".join(arguments))
    if rungs is None:
        print(__doc__, file=sys.stderr)
        return 2
    lacks = missing(rungs)
    if lacks:
        print("proofs: not installed: " + "; ".join(lacks), file=sys.stderr)
        return 2
    path = os.pathsep.join(str(ROOT / room) for room in (".", "tokens", "verifier"))
    failed = []
    for name, *command in rungs:
        started = time.perf_counter()
        code = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        ).returncode
        word = "passed" if code == 0 else "FAILED"
        print(f"[proofs] {name} {word} in {time.perf_counter() - started:.1f} s", flush=True)
        failed += [name] * (code != 0)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

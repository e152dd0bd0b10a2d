"""Law: a rung that cannot run is a failed rung; nothing is skipped in silence.

    python proofs/run.py fast    rungs 0 and 1, the records, the claims      (30 s)
    python proofs/run.py ci      every rung, the dear ones with small bounds (5 minutes, 2 cores)
    python proofs/run.py soak    every rung, with full bounds                (10 minutes, 2 cores)
    python proofs/run.py all     the same as soak
    python proofs/run.py NAME    one step of them, as `ci` runs it

Needs z3-solver in the environment; all but `fast` also need coqc, coqchk and OCaml on the PATH, and
PostgreSQL's server.
Everything is built in a directory of its own, so nothing is left in the checkout. `--list` prints
the steps.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
ROOMS: Final = (".", "tokens", "verifier", "issuer", "proxy", "vmhost", "sdk")
COQ: Final = {"coqc": "coq", "coqchk": "coq", "ocamlopt": "ocaml-nox"}
PACKAGES: Final = {**COQ, "postgres": "postgresql"}


@dataclass(frozen=True)
class Step:
    """One step: what it is called, what it runs in each job, what it shows when it is red."""

    name: str
    module: str
    shows: str
    fast: tuple[str, ...] | None
    ci: tuple[str, ...] | None
    soak: tuple[str, ...] | None
    tools: tuple[str, ...] = ()

    def words(self, job: str) -> tuple[str, ...] | None:
        chosen = {"fast": self.fast, "ci": self.ci, "soak": self.soak}[job]
        return None if chosen is None else ("-m", self.module, *chosen)


# In the order in which a reader wants to be told.
STEPS: Final = (
    Step("translate", "proofs.translate", "Generated.v is not this source any more",
         ("--check",), ("--check",), ("--check",)),
    Step("statements", "proofs.statements", "a theorem or a meaning is gone, weaker or open",
         (), (), ()),
    Step("sentences", "proofs.sentences", "a claim asked of z3 is gone or weaker", (), (), ()),
    Step("claims", "proofs.claims", "the matrix is stale or names what is not there", (), (), ()),
    Step("symbolic", "proofs.symbolic", "a claim about the running functions is false", (), (), ()),
    Step("theorems", "proofs.theorems", "a theorem does not hold any more", None, (), (),
         tuple(COQ)[:2]),
    Step("oracle", "proofs.oracle", "Python and the model answer differently", None,
         ("40000",), ("1000000",), tuple(COQ)),
    Step("unforgeability", "proofs.unforgeability", "a credential nobody issued can be made", None,
         (), ("--deep",)),
    Step("forging-theorems", "proofs.unforgeability", "a theorem of the model does not hold", None,
         ("theorems",), ("theorems",), tuple(COQ)[:2]),
    Step("schedules", "proofs.schedules", "an order of running breaks a law", None,
         ("small",), ("full",), ("postgres",)),
    Step("planted", "proofs.planted", "a bug or a lost theorem is not noticed", None,
         ("ci",), (), tuple(PACKAGES)),
    Step("mutation", "proofs.mutation", "mutants of changed code were not asked, or survive",
         ("stale",), (), ()),
)  # fmt: skip
JOBS: Final = ("fast", "ci", "soak")
ALONE: Final = ("theorems", "schedules")


def there(tool: str) -> bool:
    # Debian keeps the server's programs off the PATH.
    found = Path("/usr/lib/postgresql").glob(f"*/bin/{tool}")
    return shutil.which(tool) is not None or any(found)


def missing(steps: tuple[Step, ...]) -> list[str]:
    """What is not installed, and how to get it."""
    lacks = []
    if importlib.util.find_spec("z3") is None:
        lacks.append("z3: pip install z3-solver")
    tools = dict.fromkeys(tool for step in steps for tool in step.tools)
    lacks += [f"{t}: apt-get install {PACKAGES[t]}" for t in tools if not there(t)]
    return lacks


def run(step: Step, job: str) -> bool:
    """Run one step, and tell how it went: what it wrote comes whole, since another runs beside."""
    words = step.words(job)
    assert words is not None
    path = os.pathsep.join(str(ROOT / room) for room in ROOMS)
    started = time.perf_counter()
    print(f"[proofs] {step.name} started", flush=True)
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    word = "passed" if done.returncode == 0 else f"FAILED ({step.shows})"
    took = f"[proofs] {step.name} {word} in {time.perf_counter() - started:.1f} s\n"
    print(done.stdout + took, end="", flush=True)
    return done.returncode == 0


def main(arguments: list[str]) -> int:
    if arguments == ["--list"]:
        print("\n".join(f"{step.name:12} {step.shows}" for step in STEPS))
        return 0
    word = "soak" if arguments == ["all"] else " ".join(arguments)
    job = word if word in JOBS else "ci"
    steps = tuple(s for s in STEPS if s.words(job) is not None and word in (job, s.name))
    if not steps:
        print(__doc__, file=sys.stderr)
        return 2
    lacks = missing(steps)
    if lacks:
        print("proofs: not installed: " + "; ".join(lacks), file=sys.stderr)
        return 2
    started = time.perf_counter()
    # Two lanes. What waits for one core alone most of its time starts first.
    order = sorted(steps, key=lambda step: step.name not in ALONE)
    with ThreadPoolExecutor(2) as lanes:
        passed = dict(zip(order, lanes.map(lambda step: run(step, job), order), strict=True))
    failed = [step.name for step in steps if not passed[step]]
    told = f"FAILED: {', '.join(failed)}" if failed else "passed"
    print(f"[proofs] {word} {told} in {time.perf_counter() - started:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Law: a theorem counts when Coq has compiled it, coqchk has checked it again from the compiled
file, nothing stands behind it as an axiom, and its statement is the recorded one; and Coq
computes from Generated.v what Python computes from its source.

    python -m proofs.theorems
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from proofs import statements
from proofs.agreement import CASES, questions

FILES = ("Generated", *statements.LAWS)
SECONDS = 600  # a proof that has lost its way may search for ever
CLOSED = "Closed under the global context"


def run(*command: str, cwd: Path) -> str | None:
    """What the command wrote; None, after telling, if it failed."""
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        print(f"theorems: {' '.join(command)}: no answer in {SECONDS} s", file=sys.stderr)
        return None
    if done.returncode:
        broken = property_at(done.stderr, cwd)
        print(f"theorems: {' '.join(command)} failed{broken}\n{done.stdout}{done.stderr}",
              file=sys.stderr)  # fmt: skip
        return None
    return done.stdout + done.stderr


def property_at(error: str, place: Path) -> str:
    """Which property broke: the statement above the line that Coq stumbles over."""
    found = re.search(r'File "\./(\w+)\.v", line (\d+)', error)
    if found is None:
        return ""
    lines = (place / f"{found[1]}.v").read_text(encoding="utf-8").split("\n")[: int(found[2])]
    stated = re.findall(r"\b(?:Theorem|Lemma|Goal)\s+(\w+)|\(\* (\S+) \*\)", "\n".join(lines))
    return f": {found[1]}.{stated[-1][0] or stated[-1][1]} does not hold any more" if stated else ""


def needs(source: str) -> set[str]:
    """The files of FILES that this one requires."""
    lines = re.findall(r"^Require (?:Import )?(.*)\.$", source, re.M)
    return {word for line in lines for word in line.split() if word in FILES}


def compiled(place: Path, sources: Mapping[str, str]) -> bool:
    """Every file in order of need, two at a time; tells where a proof breaks."""
    with ThreadPoolExecutor(2) as pool:
        jobs: dict[str, Future[bool]] = {}

        def one(name: str, before: list[Future[bool]]) -> bool:
            if not all(job.result() for job in before):
                return False
            started = time.perf_counter()
            if run("coqc", f"{name}.v", cwd=place) is None:
                return False
            print(f"theorems: {name} compiled in {time.perf_counter() - started:.1f} s", flush=True)
            return True

        for name, text in sources.items():
            jobs[name] = pool.submit(one, name, [jobs[n] for n in needs(text)])
        return all(job.result() for job in jobs.values())


def check(place: Path) -> bool:
    names = statements.theorems()
    sources = {name: (statements.COQ / f"{name}.v").read_text("utf-8") for name in FILES}
    sources["Agree"] = questions()
    for name, text in sources.items():
        (place / f"{name}.v").write_text(text, encoding="utf-8")
    asked = "\n".join(f"Print Assumptions {name}." for name in names)
    (place / "Ask.v").write_text(f"Require {' '.join(FILES)}.\n{asked}\n", encoding="utf-8")
    if not compiled(place, sources):
        return False
    print(f"theorems: Python and Coq agree, {CASES} cases a function")
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

"""Law: a claim falls when one of the very proofs it names fails, and not by something beside it.

    python -m proofs.planted.batteries TOOL CLAIM     in the checkout (or copy) it stands in

Prints each of the claim's proofs of this tool that fell; exit 1 if one did, 0 if all hold, 2 if the
battery could not be asked.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from proofs.claims.registry import EVERY, Proof, load
from proofs.sources import ROOT

COQ_SECONDS: Final = 120


def z3(proofs: Sequence[Proof]) -> list[str]:
    from proofs.symbolic.__main__ import judge

    failed = {r.sentence: r.detail for r in judge() if not r.passed}
    return [f"{p.name}: {failed[p.name]}" for p in proofs if p.name in failed]


def coq(proofs: Sequence[Proof]) -> list[str]:
    """The theorems that do not hold of the source as it is now.

    A statement that fails is admitted and the rest goes on, since the proof of the claim's own
    theorem may only lean on what fell: then Coq names that as what it stands on.
    """
    from proofs import statements
    from proofs.theorems import FILES, needs
    from proofs.translate.__main__ import generated

    sources = {name: (statements.COQ / f"{name}.v").read_text("utf-8") for name in FILES}
    sources["Generated"] = generated()
    wanted = {Path(p.artifact).stem for p in proofs}
    while True:
        more = set().union(*(needs(sources[name]) for name in wanted)) | wanted
        if more == wanted:
            break
        wanted = more
    names = [f"{Path(p.artifact).stem}.{p.name}" for p in proofs]
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        for name in FILES:
            if name not in wanted:
                continue
            while broken := _stumbles(place, name, sources[name]):
                if f"{name}.{broken}" in names:
                    return [f"{name}.{broken}"]
                sources[name] = _admitted(sources[name], broken)
        fell = []
        for name in names:
            text = f"Require {' '.join(sorted(wanted))}.\nPrint Assumptions {name}.\n"
            (place / "Ask.v").write_text(text, encoding="utf-8")
            told = _coqc(place, "Ask")
            if told.returncode == 0 and "Closed under the global context" not in told.stdout:
                on = re.findall(r"^(\w+(?:\.\w+)*)", told.stdout.partition("Axioms:")[2], re.M)
                fell.append(f"{name}, which stands on {', '.join(on)}")
        return fell


def _coqc(place: Path, name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["coqc", f"{name}.v"], cwd=place, capture_output=True, text=True, check=False,
        timeout=COQ_SECONDS,
    )  # fmt: skip


def _stumbles(place: Path, name: str, source: str) -> str:
    """The first statement of a file whose proof fails."""
    (place / f"{name}.v").write_text(source, encoding="utf-8")
    done = _coqc(place, name)
    if done.returncode == 0:
        return ""
    found = re.search(r'File "\./\w+\.v", line (\d+)', done.stderr)
    head = "\n".join(source.split("\n")[: int(found[1])]) if found else ""
    stated = re.findall(r"\b(?:Theorem|Lemma)\s+(\w+)", head)
    if not stated:
        raise SystemExit(f"planted: {name}.v does not compile at all\n{done.stderr}")
    return str(stated[-1])


def _admitted(source: str, name: str) -> str:
    return re.sub(
        rf"(\b(?:Theorem|Lemma)\s+{name}\b.*?\.\s+)Proof\..*?\bQed\.", r"\1Admitted.", source,
        count=1, flags=re.S,
    )  # fmt: skip


def oracle(proofs: Sequence[Proof]) -> list[str]:
    from proofs.oracle.__main__ import run

    with tempfile.TemporaryDirectory() as place:
        return [f"{p.name}: {line}" for p in proofs for line in run(4000, 1, Path(place))[:1]]


def schedules(proofs: Sequence[Proof]) -> list[str]:
    """The sound scenarios that a law named by the claim judges."""
    from proofs.schedules.__main__ import SOUND, run

    laws = {p.name for p in proofs}
    fell = []
    for scenario in SOUND:
        law = scenario.judge.__qualname__.partition(".")[0]
        if law in laws and (wrong := run(scenario, scenario.small).wrong):
            if not wrong.startswith("a worker failed"):
                fell.append(f"{law}: {scenario.name}: {wrong.splitlines()[0]}")
                break
    return fell


def unforgeability(proofs: Sequence[Proof]) -> list[str]:
    """The forgery that a control must lead to, found in what ships."""
    from proofs.unforgeability.__main__ import shipped_code_has_no_forgery
    from proofs.unforgeability.controls import CONTROLS

    names = {p.name for p in proofs}
    words = [c.forgery for c in CONTROLS if c.broken.__name__ in names]
    words += [""] if shipped_code_has_no_forgery.__name__ in names else []
    found = shipped_code_has_no_forgery().forgeries
    return [f"forged: {why}" for why in found if any(word in why for word in words)]


def pytest(proofs: Sequence[Proof]) -> list[str]:
    tests = [p.artifact if p.name == EVERY else f"{p.artifact}::{p.name}" for p in proofs]
    words = ("-q", "-rf", "--tb=short", "-x", "-p", "no:cacheprovider", "-p", "no:xdist")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, *tests],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        raise SystemExit(f"planted: pytest {done.returncode}\n{done.stdout}{done.stderr}")
    failed = {each.partition("[")[0] for each in re.findall(r"^FAILED (\S+)", done.stdout, re.M)}
    return [each for each in failed if each in tests or each.partition("::")[0] in tests]


TOOLS: Final[dict[str, Callable[[Sequence[Proof]], list[str]]]] = {
    "z3": z3, "coq": coq, "oracle": oracle, "schedules": schedules,
    "unforgeability": unforgeability, "pytest": pytest,
}  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 2 or arguments[0] not in TOOLS:
        print(__doc__, file=sys.stderr)
        return 2
    tool, id_ = arguments
    proofs = [p for c in load() if c.id == id_ for p in c.proofs if p.tool == tool]
    if not proofs:
        print(f"planted: {id_} names no proof by {tool}", file=sys.stderr)
        return 2
    fell = TOOLS[tool](proofs)
    for line in fell:
        print(f"fell: {' '.join(line.split())[:300]}", flush=True)
    return 1 if fell else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

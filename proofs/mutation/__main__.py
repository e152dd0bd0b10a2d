"""Mutants of the kernel's algebra, and the claims that must kill them.

    python -m proofs.mutation                    functions that changed since the record (CI)
    python -m proofs.mutation full [MODULE ...]  every mutant of these modules, or of all (soak)
    python -m proofs.mutation --record …         the same, and write what became of them down
    python -m proofs.mutation --second FILE …    the mutants that `cosmic.py` made

The algebra is asked by its claims (`killing.py`), the rest of the kernel by its vectors, named
attacks and laws (`battery.py`).

Exit 1 when a mutant survives that the record does not list with its reason.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from proofs.mutation import battery
from proofs.mutation.killing import Fate, fate, fates, look
from proofs.mutation.mutants import Mutant, function_hashes, of_source
from proofs.sources import MODULES, source_of

RECORD = Path(__file__).resolve().parent / "record.json"
WORDS = ("killed", "equivalent", "no answer", "survived")


def recorded() -> dict[str, Any]:
    """What became of every mutant, when it was last asked: by mutator and module."""
    loaded: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return loaded


def stale(record: dict[str, Any]) -> dict[str, list[str]]:
    """By module, the functions that are not what they were when their mutants were asked about."""
    found = {}
    for module, entry in record["own"].items():
        now = function_hashes(source_of(module))
        changed = [f for f in now if entry["functions"].get(f) != now[f]]
        changed += [f for f in entry["functions"] if f not in now]
        if changed:
            found[module] = changed
    return found


def pending(record: dict[str, Any]) -> list[str]:
    """Modules of the kernel whose mutants were never all asked about."""
    return [module for module in every() if module not in record["own"]]


def every() -> list[str]:
    """The modules of the kernel, the algebra first."""
    return [*MODULES, *battery.modules()]


def second(path: str, modules: Iterable[str]) -> list[Mutant]:
    wanted = set(modules)
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [Mutant(*row) for row in rows if row[0] in wanted]


def judged(
    mutants: list[Mutant], known: dict[str, str], whole: bool
) -> tuple[dict[str, Counter[str]], list[Any]]:
    """Counts by module, and every survivor; those without a reason are printed."""
    counts: dict[str, Counter[str]] = {}
    left = []

    def hear(mutant: Mutant, what: Fate) -> None:
        counts.setdefault(mutant.module, Counter())[what.verdict] += 1
        if what.verdict in ("no answer", "survived"):
            left.append((mutant, what))
            _tell(mutant, what, known)

    algebra = [mutant for mutant in mutants if mutant.module in MODULES]
    rest = [mutant for mutant in mutants if mutant.module not in MODULES]
    if algebra:
        groups = look()
        for mutant, what in fates(algebra, lambda mutant: fate(mutant, groups)):
            hear(mutant, what)
    if rest:
        battery.ask(rest, hear, whole)
    return counts, left


def _tell(mutant: Mutant, what: Fate, known: dict[str, str]) -> None:
    if mutant.id not in known:
        where = f"{mutant.module}.{mutant.function}, line {mutant.line}"
        print(f"mutation: {what.verdict.upper()}: {where}: {mutant.what} [{mutant.id}]", flush=True)


def write(which: str, counts: Any, left: list[Any]) -> None:
    """Put these modules' results into the record as it is now; reasons that stood there stay."""
    record = recorded()
    for module, counted in counts.items():
        before = record[which].get(module, {}).get("survivors", {})
        entry: dict[str, Any] = {word: counted[word] for word in WORDS}
        entry["survivors"] = {
            m.id: before.get(m.id, {"what": f"line {m.line}: {m.what}", "reason": ""})
            for m, _ in left
            if m.module == module
        }
        if which == "own":
            entry["functions"] = function_hashes(source_of(module))
        record[which][module] = entry
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main(words: list[str]) -> int:
    record = recorded()
    started, keep, which, rows = time.perf_counter(), "--record" in words, "own", ""
    words = [word for word in words if word != "--record"]
    if words[:1] == ["--second"] and len(words) > 1:
        which, rows, words = "cosmic-ray", words[1], words[2:]
    elif words[:1] == ["full"]:
        words = words[1:]
    elif words:
        print(__doc__, file=sys.stderr)
        return 2
    else:
        changed = stale(record)
        wanted = [
            m for module in changed for m in of_source(module, source_of(module))
            if m.function in changed[module]
        ]  # fmt: skip
        if pending(record):
            print(f"mutation: never asked in full: {', '.join(pending(record))}")
        return _end(record, wanted, False, which, started, whole=False)
    modules = words or every()
    mutants = (
        second(rows, modules)
        if which != "own"
        else [m for module in modules for m in of_source(module, source_of(module))]
    )
    return _end(record, mutants, keep, which, started)


def _end(
    record: dict[str, Any], mutants: list[Mutant], keep: bool, which: str, started: float,
    whole: bool = True,
) -> int:  # fmt: skip
    known = {
        id_: each["reason"]
        for entry in record[which].values()
        for id_, each in entry["survivors"].items()
        if each["reason"]
    }
    counts, left = judged(mutants, known, whole) if mutants else ({}, [])
    if keep:
        write(which, counts, left)
    total = sum(counts.values(), Counter[str]())
    unexplained = [m for m, _ in left if m.id not in known]
    shown = ", ".join(f"{total[word]} {word}" for word in WORDS)
    took = time.perf_counter() - started
    print(f"mutation: {len(mutants)} mutants: {shown}; {len(unexplained)} without a reason; "
          f"{took:.0f} s")  # fmt: skip
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

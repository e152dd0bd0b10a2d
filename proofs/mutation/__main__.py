"""Mutants of the kernel, and the claims and tests that must kill them.

    python -m proofs.mutation                    functions that changed since, and a sample (CI)
    python -m proofs.mutation stale              only say what changed since
    python -m proofs.mutation full [MODULE ...]  every mutant of these modules, or of all
    python -m proofs.mutation again [MODULE ...] those that survived without a reason on record
    python -m proofs.mutation --record …         the same, and write what became of them down
    python -m proofs.mutation --second FILE …    the mutants that `cosmic.py` made

The algebra is asked by its claims (`killing.py`), the rest of the kernel by its vectors, named
attacks and laws (`battery.py`).

Exit 1 when a mutant survives that the record does not list with its reason, and when the record is
of other code than this or lacks a module of the kernel.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from proofs.mutation import battery
from proofs.mutation.killing import Fate, fate, fates, look
from proofs.mutation.mutants import Mutant, at, function_hashes, of_source, sites
from proofs.sources import MODULES, source_of

RECORD = Path(__file__).resolve().parent / "record.json"
SAMPLE = (4, 24)  # of the algebra, whose claims are dear, and of the rest
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


def sample(record: dict[str, Any]) -> list[Mutant]:
    """A few mutants of what is on record. Which, the kernel itself says: other code, others; the
    same code, the same."""
    drawn = []
    on_record = [[m for m in MODULES if m in record["own"]],
                 [m for m in battery.modules() if m in record["own"]]]  # fmt: skip
    for modules, count in zip(on_record, SAMPLE, strict=True):
        hashes = {module: function_hashes(source_of(module)) for module in modules}
        # Drawn to be spread, not to be secret.
        random = Random(json.dumps(hashes, sort_keys=True))
        sources = {module: source_of(module) for module in modules}
        places = {module: list(sites(source)) for module, source in sources.items()}
        for module in random.choices(modules, k=count) if modules else ():
            drawn.append(at(random.choice(places[module]), module, sources[module]))
    return [mutant for mutant in drawn if mutant is not None]


def judged(
    mutants: list[Mutant], known: dict[str, str], done: Callable[[str, Any, Any], None]
) -> tuple[dict[str, Counter[str]], list[Any]]:
    """Counts by module, and every survivor; those without a reason are printed. `done` hears of
    each module when its last mutant was asked."""
    counts: dict[str, Counter[str]] = {}
    left = []
    waiting = Counter(mutant.module for mutant in mutants)

    def hear(mutant: Mutant, what: Fate) -> None:
        module = mutant.module
        counts.setdefault(module, Counter())[what.verdict] += 1
        if what.verdict in ("no answer", "survived"):
            left.append((mutant, what))
            _tell(mutant, what, known)
        waiting[module] -= 1
        if waiting[module] == 0:
            done(module, counts[module], [m for m, _ in left if m.module == module])

    algebra = [mutant for mutant in mutants if mutant.module in MODULES]
    rest = [mutant for mutant in mutants if mutant.module not in MODULES]
    if algebra:
        groups = look()
        for mutant, what in fates(algebra, lambda mutant: fate(mutant, groups)):
            hear(mutant, what)
    if rest:
        battery.ask(rest, hear)
    return counts, left


def _tell(mutant: Mutant, what: Fate, known: dict[str, str]) -> None:
    if mutant.id not in known:
        where = f"{mutant.module}.{mutant.function}, line {mutant.line}"
        print(f"mutation: {what.verdict.upper()}: {where}: {mutant.what} [{mutant.id}]", flush=True)


def write(which: str, module: str, counted: Counter[str], left: list[Mutant], again: bool) -> None:
    """Put a module's results into the record as it is now; reasons that stood there stay. `again`:
    these are only the survivors of before."""
    record = recorded()
    old = record.setdefault(which, {}).get(module, {})
    before = old.get("survivors", {})
    entry: dict[str, Any] = {word: counted[word] for word in WORDS}
    kept = {}
    if again:
        kept = {id_: each for id_, each in before.items() if each["reason"]}
        for word in ("killed", "equivalent"):
            entry[word] += old[word]
        entry["survived"] += len(kept)
    entry["survivors"] = kept | {
        m.id: before.get(m.id, {"what": f"line {m.line}: {m.what}", "reason": ""}) for m in left
    }
    if which == "own":
        entry["functions"] = function_hashes(source_of(module))
    record[which][module] = entry
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main(words: list[str]) -> int:
    record = recorded()
    keep = "--record" in words
    words = [word for word in words if word != "--record"]
    changed = stale(record)
    for module, functions in changed.items():
        print(f"mutation: the record is not of this {module}: {', '.join(functions)}; "
              f"python -m proofs.mutation --record full {module}")  # fmt: skip
    missing = pending(record)
    for module in missing:
        print(f"mutation: {module} is in the kernel and not on record; "
              f"python -m proofs.mutation --record full {module}")  # fmt: skip
    match words:
        case ["stale"]:
            return 1 if changed or missing else 0
        case []:
            some = [m for module in changed for m in of_source(module, source_of(module))
                    if m.function in changed[module]]  # fmt: skip
            return _end(record, [*some, *sample(record)]) or (1 if changed or missing else 0)
        case ["--second", rows, *modules]:
            mutants = second(rows, modules or every())
            return _end(record, mutants, keep=keep, which="cosmic-ray")
        case ["full", *modules]:
            return _end(record, _all_of(modules or every()), keep=keep)
        case ["again", *modules]:
            if changed:
                return 1
            open_ = {id_ for entry in record["own"].values()
                     for id_, each in entry["survivors"].items() if not each["reason"]}  # fmt: skip
            where = {id_.partition(":")[0] for id_ in open_} & set(modules or every())
            mutants = [m for m in _all_of(sorted(where)) if m.id in open_]
            return _end(record, mutants, keep=keep, again=True)
    print(__doc__, file=sys.stderr)
    return 2


def _all_of(modules: Iterable[str]) -> list[Mutant]:
    return [mutant for module in modules for mutant in of_source(module, source_of(module))]


def _end(
    record: dict[str, Any], mutants: list[Mutant], *, keep: bool = False,
    which: str = "own", again: bool = False,
) -> int:  # fmt: skip
    started = time.perf_counter()
    known = {
        id_: each["reason"]
        for entry in record.get(which, {}).values()
        for id_, each in entry["survivors"].items()
        if each["reason"]
    }

    def done(module: str, counted: Counter[str], left: list[Mutant]) -> None:
        if keep:
            write(which, module, counted, left, again)

    counts, left = judged(mutants, known, done) if mutants else ({}, [])
    total = sum(counts.values(), Counter[str]())
    unexplained = [m for m, _ in left if m.id not in known]
    shown = ", ".join(f"{total[word]} {word}" for word in WORDS)
    took = time.perf_counter() - started
    print(f"mutation: {len(mutants)} mutants: {shown}; {len(unexplained)} without a reason; "
          f"{took:.0f} s")  # fmt: skip
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

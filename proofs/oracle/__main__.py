"""Law: the running Python and the extracted model give one answer to each question.

    python -m proofs.oracle [CASES]      default 20,000; the soak asks 1,000,000

Each batch of questions goes through a pipe to the model's own program; the functions are the ones
the kernel imports. A disagreement is printed as the call, Python's answer and the model's.
"""

import importlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from proofs.oracle.build import Broken, NoTools, build
from proofs.oracle.signatures import MAKERS, SHARES, SIGNATURES, Value
from proofs.sources import MODULES

SEED: Final = 20_261_125
BATCH: Final = 20_000
Answer = int | bool
Functions = Mapping[str, Callable[..., Answer]]


def functions() -> Functions:
    """Every function of the algebra as the kernel imports it, by `module.name`."""
    found: dict[str, Callable[..., Answer]] = {}
    for module in MODULES:
        loaded = importlib.import_module(module)
        for name, value in vars(loaded).items():
            if callable(value) and getattr(value, "__module__", "") == module:
                found[f"{module.rpartition('.')[2]}.{name}"] = value
    return found


def booleans(of: Functions) -> frozenset[str]:
    """The functions that answer yes or no."""
    return frozenset(n for n, f in of.items() if f.__annotations__["return"] is bool)


def written(value: Value) -> str:
    """A value as the model's program reads and writes it."""
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, tuple):
        return ",".join(format(v, "x") for v in value) or "_"
    return format(value, "x")


def questions(number: int, count: int) -> list[tuple[str, list[Value]]]:
    """Batch `number`: the same on every machine."""
    rng = random.Random(SEED + number)
    names = [name for name in SIGNATURES for _ in range(SHARES.get(name, 1))]
    makers = {name: [MAKERS[k] for k in kinds.split()] for name, kinds in SIGNATURES.items()}
    asked = []
    for _ in range(count):
        name = rng.choice(names)
        asked.append((name, [maker(rng) for maker in makers[name]]))
    return asked


def compare(program: Path, number: int, count: int, of: Functions) -> list[str]:
    """Where Python and the model disagree in one batch."""
    asked = questions(number, count)
    lines = "".join(f"{name} {' '.join(map(written, given))}\n" for name, given in asked)
    done = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    told = done.stdout.split()
    if len(told) != len(asked):
        return [f"the model answered {len(told)} of {len(asked)} questions"]
    found = []
    for (name, given), answer in zip(asked, told, strict=True):
        mine = written(of[name](*given))
        if mine != answer:
            call = f"{name}({', '.join(map(shown, given))})"
            found.append(f"{call}: Python {mine}, the model {answer}")
    return found


def shown(value: Value) -> str:
    if isinstance(value, bool | tuple) or -10 < value < 10:
        return str(value)
    return hex(value)


def batch(program: Path, number: int, count: int) -> list[str]:
    """One batch against the kernel, in a process of its own."""
    return compare(program, number, count, functions())


def run(cases: int, workers: int, place: Path) -> list[str]:
    """All disagreements of so many cases. Raises NoTools, Broken."""
    of = functions()
    if lost := set(of) ^ set(SIGNATURES):
        return [f"not compared, or not there any more: {', '.join(sorted(lost))}"]
    started = time.perf_counter()
    program = build(place, booleans(of))
    print(f"oracle: the model is built in {time.perf_counter() - started:.1f} s", flush=True)
    started = time.perf_counter()
    sizes = [min(BATCH, cases - at) for at in range(0, cases, BATCH)]
    with ProcessPoolExecutor(workers) as pool:
        jobs = [pool.submit(batch, program, n, size) for n, size in enumerate(sizes)]
        found = [line for job in jobs for line in job.result()]
    print(
        f"oracle: {cases:,} cases over {len(of)} functions in "
        f"{time.perf_counter() - started:.1f} s, {len(found)} disagreements",
        flush=True,
    )
    return found


def main(arguments: Sequence[str]) -> int:
    cases = int(arguments[0]) if arguments else 20_000
    with tempfile.TemporaryDirectory() as place:
        try:
            found = run(cases, min(2, os.cpu_count() or 1), Path(place))
        except (NoTools, Broken) as error:
            print(f"oracle: {error}", file=sys.stderr)
            return 2
    for line in found[:5]:
        print(f"oracle: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

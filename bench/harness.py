"""Law: a number here is a ratio of medians from one process, or it is not a number.

Operations are interleaved: every round runs each of them once, in a new order, for a few
milliseconds. What is counted is the CPU time of the thread, so that neighbours on a shared machine
count little. Inputs are made before the clock starts.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
REPORT: Final = ROOT / "docs" / "benchmarks.md"
# Short, so that many rounds fit: a shared machine changes its speed while it is measured.
BLOCK_NS: Final = 2_000_000
_TITLE: Final = (
    "# Benchmarks\n\nWritten by the programs in [bench](../bench/README.md); not by hand.\n"
)


@dataclass(frozen=True, slots=True)
class Operation:
    """`run` is timed; `inputs` makes that many arguments for it and is not."""

    name: str
    run: Callable[[Any], object]
    inputs: Callable[[int], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. A `target` is the highest value that was promised."""

    name: str
    microseconds: float
    ratio: float | None = None
    target: float | None = None
    low: float | None = None  # quartiles
    high: float | None = None

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return (self.microseconds if self.ratio is None else self.ratio) <= self.target


class Samples:
    """Microseconds per operation, one per round."""

    def __init__(self, rounds: Mapping[str, list[float]]) -> None:
        self.rounds = rounds

    def median(self, name: str) -> float:
        return statistics.median(self.rounds[name])

    def row(self, name: str, base: str | None = None, target: float | None = None) -> Row:
        """An operation, as a ratio of its median to that of `base`."""
        low, _, high = statistics.quantiles(self.rounds[name], n=4)
        middle = self.median(name)
        ratio = None if base is None else middle / self.median(base)
        return Row(name, middle, ratio, target, low, high)

    def difference(self, name: str, more: str, less: str, base: str, target: float) -> Row:
        """What `more` costs beyond `less`."""
        extra = self.median(more) - self.median(less)
        return Row(name, extra, extra / self.median(base), target)


def constantly(value: Any) -> Callable[[int], Sequence[Any]]:
    """The same input each time."""
    return lambda count: [value] * count


def cycling(values: Sequence[Any]) -> Callable[[int], Sequence[Any]]:
    """The values in turn, going on where the last block stopped."""
    at = 0

    def take(count: int) -> Sequence[Any]:
        nonlocal at
        taken = [values[(at + i) % len(values)] for i in range(count)]
        at = (at + count) % len(values)
        return taken

    return take


def _block(operation: Operation, count: int) -> int:
    run, inputs = operation.run, operation.inputs(count)
    began = time.thread_time_ns()
    for value in inputs:
        run(value)
    return time.thread_time_ns() - began


def measure(operations: Sequence[Operation], rounds: int) -> Samples:
    """Every operation once per round, in a new order each time."""
    counts = {}
    for operation in operations:
        _block(operation, 5)
        each = max(1, _block(operation, 20) // 20)
        counts[operation.name] = max(1, min(20_000, BLOCK_NS // each))
    taken: dict[str, list[float]] = {operation.name: [] for operation in operations}
    order = list(operations)
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            random.shuffle(order)
            for operation in order:
                count = counts[operation.name]
                taken[operation.name].append(_block(operation, count) / count / 1000)
            gc.collect()
    finally:
        gc.enable()
    return Samples(taken)


def one_by_one(operation: Operation, count: int) -> list[float]:
    """Each single run in microseconds, the garbage collector at work, sorted."""
    run, clock = operation.run, time.thread_time_ns
    taken = []
    for value in operation.inputs(count):
        began = clock()
        run(value)
        taken.append((clock() - began) / 1000)
    return sorted(taken)


def percentile(ordered: Sequence[float], part: float) -> float:
    """The smallest value that is not below `part` of all."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


# Reports --------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """What a reader needs to know of the machine, and nothing that names it."""
    return {
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def described() -> str:
    """The same as a sentence."""
    about = machine()
    return (
        f"{about['python']} on {about['system']}, {about['architecture']}, {about['cpus']} CPUs, "
        f"load average {about['load']} when this was written."
    )


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def table(rows: Sequence[Row], what: str, value: str, against: str | None = None) -> str:
    """A Markdown table. A target is on the ratio where there is one, else on the time."""
    heads = [what, value, *([against] if against else []), "to reach", ""]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 2) + "---|"]
    for row in rows:
        cells = [row.name, _number(row.microseconds, 1)]
        if against:
            cells.append(_number(row.ratio, 3))
        unit = "" if row.ratio is not None else " µs"
        cells.append("" if row.target is None else f"≤ {row.target:g}{unit}")
        cells.append({None: "", True: "reached", False: "**missed**"}[row.met])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows for machines."""
    return [{**asdict(row), "met": row.met} for row in rows]


def write_section(path: Path, name: str, text: str) -> None:
    """Replace this program's part of the report and leave the others'."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    old = path.read_text(encoding="utf-8") if path.exists() else _TITLE
    part = f"{begin}\n{text.strip()}\n{end}\n"
    if begin in old and end in old:
        head, _, rest = old.partition(begin)
        new = head + part + rest.partition(end)[2].lstrip("\n")
    else:
        new = old.rstrip("\n") + "\n\n" + part
    path.write_text(new.rstrip("\n") + "\n", encoding="utf-8")


def parser(doc: str | None, rounds: int | None = None) -> argparse.ArgumentParser:
    """What every program here understands; with `rounds`, so many unless it is said."""
    made = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    made.add_argument("--json", action="store_true", help="print JSON instead of tables")
    made.add_argument("--write", nargs="?", type=Path, const=REPORT, help="into a report")
    if rounds is not None:
        made.add_argument("--rounds", type=int, default=rounds)
    return made


def publish(name: str, text: str, data: Mapping[str, Any], as_data: bool, to: Path | None) -> None:
    """Standard output gets the tables or the JSON; `to`, if given, the tables."""
    if to is not None:
        write_section(to, name, text)
    sys.stdout.write(json.dumps(data, indent=1) + "\n" if as_data else text)

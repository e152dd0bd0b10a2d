"""Law: how long `nucleus audit` looks at ten thousand files, beside walking them.

    audit.py [--json] [--rounds N] [--files N] [--write [FILE]]

A repository of source files of which one in fifty configures an agent, and one of nothing but
configurations. Each round does every operation once, in a new order; CPU time of the thread.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

if not __package__:  # run as a file: its own directory would shadow other packages
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench import harness
from bench.harness import Row
from nucleus.audit import judging, sarif
from tests.audit.bad import BAD
from tests.audit.good import GOOD

FILES: Final = 10_000
MOST_US: Final = 2_000_000.0
WALK: Final = "walking the files alone"
MIXED: Final = "nucleus audit, one file in fifty a configuration"
ALL: Final = "nucleus audit, nothing but configurations"
SARIF: Final = "its report as SARIF"


def lay(root: Path, count: int, every: int) -> None:
    """`count` files; one in `every` is a configuration, out of the tests' corpus."""
    corpus = [
        (name, text)
        for files in (*GOOD.values(), *(files for files, _ in BAD.values()))
        for name, text in files.items()
        if name not in ("AGENTS.md", ".gitignore") and "node_modules" not in name
    ]
    for number in range(count):
        folder = root / f"d{number // 100}" / f"e{number}"
        if number % every:
            path, text = folder.parent / f"module{number}.py", "x = 1\n" * 50
        else:
            name, text = corpus[number // every % len(corpus)]
            path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def walk(root: Path) -> int:
    """What no audit can be faster than."""
    return sum(len(names) for _, _, names in os.walk(root))


def measure(rounds: int, count: int) -> dict[str, list[float]]:
    """Microseconds of each, sorted."""
    with tempfile.TemporaryDirectory(prefix="nucleus-bench-") as folder:
        mixed, every = Path(folder) / "mixed", Path(folder) / "all"
        lay(mixed, count, 50)
        lay(every, count, 1)
        report = judging.audit(mixed)[0]
        roads: dict[str, Callable[[], object]] = {
            WALK: lambda: walk(mixed),
            MIXED: lambda: judging.audit(mixed),
            ALL: lambda: judging.audit(every),
            SARIF: lambda: sarif.document(report, "0"),
        }
        times: dict[str, list[float]] = {name: [] for name in roads}
        order = list(roads)
        for _ in range(rounds):
            random.shuffle(order)
            for name in order:
                began = time.thread_time_ns()
                roads[name]()
                times[name].append((time.thread_time_ns() - began) / 1000)
    return {name: sorted(found) for name, found in times.items()}


def rows(taken: Mapping[str, Sequence[float]]) -> list[Row]:
    """The median of each; what is promised is a time."""
    return [
        Row(name, harness.percentile(times, 0.5), None, MOST_US if name == MIXED else None)
        for name, times in taken.items()
    ]


def report(made: list[Row], count: int) -> str:
    """The section of docs/benchmarks.md."""
    parts = (
        "## Auditing configurations",
        f"{harness.described()} Microseconds of CPU time, for {count} files each, in the cache of "
        "the file system. The configurations are those of the tests, good and bad in turn.",
        harness.table(made, "work", "µs").strip(),
    )
    return "\n\n".join(parts) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and perhaps write; 0 also when a target is missed: a run is no test."""
    parser = harness.parser(__doc__, 7)
    parser.add_argument("--files", type=int, default=FILES)
    options = parser.parse_args(argv)
    made = rows(measure(options.rounds, options.files))
    data = {
        "machine": harness.machine(),
        "rounds": options.rounds,
        "files": options.files,
        "rows": harness.as_json(made),
    }
    harness.publish("audit", report(made, options.files), data, options.json, options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())

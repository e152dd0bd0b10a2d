"""The targets under a coverage-guided fuzzer, where one is installed (`pip install atheris`).

    python -m tests.fuzz.atheris_targets [TARGET] [--seconds N] [libFuzzer options]

Without a target all of them take turns, chosen by the first byte. Seeds are the vectors. An input
that breaks a law is written to `crash-*` in the current directory.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

NEEDED = "atheris is not installed: pip install atheris"


def main(argv: list[str]) -> int:
    try:
        atheris: Any = importlib.import_module("atheris")  # optional, and without types
    except ImportError:
        print(NEEDED, file=sys.stderr)
        return 2
    with atheris.instrument_imports(
        include=["nucleus_tokens", "nucleus_verifier", "nucleus_issuer"]
    ):
        from tests.fuzz.targets import TARGETS, seeds

    seconds = "60"
    if "--seconds" in argv:
        at = argv.index("--seconds")
        seconds = argv[at + 1]
        argv = argv[:at] + argv[at + 2 :]
    chosen = argv[0] if argv and argv[0] in TARGETS else None
    order = [chosen] if chosen else list(TARGETS)
    rest = argv[1:] if chosen else argv

    def one(data: bytes) -> None:
        if data:
            TARGETS[order[data[0] % len(order)]](data[1:])

    with tempfile.TemporaryDirectory() as corpus:
        for number, name in enumerate(order):
            for i, seed in enumerate(seeds(name)[:60]):
                (Path(corpus) / f"{name}-{i}").write_bytes(bytes((number,)) + seed)
        options = [
            f"-max_total_time={seconds}",
            "-max_len=8000",
            "-len_control=0",
            "-timeout=20",
            *rest,
        ]
        atheris.Setup([sys.argv[0], *options, corpus], one)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Law: one door to the benchmarks; without a name, all of them.

    run.py [tokens|floor|worst|mcp|effects|sandbox|audit|sidecar|revocation|vm] [options]

Options go to each: `--json`, `--rounds N`, `--write [FILE]`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

if not __package__:  # run as a file: its own directory would shadow other packages
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

BENCHES: Final = (
    "tokens",
    "floor",
    "worst",
    "mcp",
    "effects",
    "sandbox",
    "audit",
    "sidecar",
    "revocation",
    "vm",
)


def main(argv: Sequence[str]) -> int:
    """Run one benchmark, or all; the first exit code that is not 0."""
    named = argv[:1] if argv and argv[0] in BENCHES else []
    codes = [
        importlib.import_module(f"bench.{name}").main(argv[len(named) :])
        for name in (named or BENCHES)
    ]
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

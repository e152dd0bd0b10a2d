"""The real token code over free terms, and an attacker who builds all it can.

    python -m proofs.unforgeability            chains one caveat longer than what was seen
    python -m proofs.unforgeability --deep     two caveats longer (soak)
    python -m proofs.unforgeability theorems   the unbounded statements, in Coq

Prints what was asked and taken; exit 1 on a forgery, or on a control that was not caught.
"""

import sys
import time

from proofs.unforgeability import theorems
from proofs.unforgeability.attacker import Search
from proofs.unforgeability.controls import CONTROLS, Control
from proofs.unforgeability.history import told
from proofs.unforgeability.symbols import Symbols


def shipped_code_has_no_forgery(depth: int = 1, rounds: int = 2, keep: int = 6) -> Search:
    """The search over what ships: `forgeries` must be empty."""
    symbols = Symbols()
    with symbols.injected():
        search = Search(told(symbols), depth, keep)
        search.run(rounds)
    return search


def control_is_caught(control: Control) -> Search:
    """The search over code that is broken in one way: `forgeries` must hold its forgery."""
    symbols = Symbols()
    with symbols.injected(), control.broken():
        search = Search(told(symbols), 1, stop_at=control.forgery)
        search.run(2)
    return search


def main(arguments: list[str]) -> int:
    if arguments == ["theorems"]:
        return theorems.main()
    deep = arguments == ["--deep"]
    if arguments and not deep:
        print(__doc__, file=sys.stderr)
        return 2
    started = time.perf_counter()
    search = shipped_code_has_no_forgery(*((2, 2, 6) if deep else (1, 2, 6)))
    for what, asked in search.asked.items():
        print(f"unforgeability: {what}: {asked} asked, {search.taken.get(what, 0)} taken")
    for why, example in search.forgeries.items():
        print(f"unforgeability: FORGED {why}: {example}")
    idle = [what for what in search.asked if not search.taken.get(what)]
    terms = len(search.history.symbols.terms)
    took = time.perf_counter() - started
    print(f"unforgeability: {terms} terms, {len(search.forgeries)} forgeries in {took:.1f} s")
    failed = bool(search.forgeries) or bool(idle)
    for control in CONTROLS:
        started = time.perf_counter()
        found = control_is_caught(control).forgeries
        caught = any(control.forgery in why for why in found)
        failed |= not caught
        word = "caught" if caught else "NOT CAUGHT"
        print(f"control: {control.name}: {word} in {time.perf_counter() - started:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Law: a verifier spends from a shared budget only what is its own part of it.

The issuer gives parts (`Allot`), each for this verifier's state alone and never taken back. The
local ledger counts what was spent; here stands how much of it there may be. A part that is known
needs no question: the issuer is asked once after a start, and when a part is used up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from nucleus_verifier.ports import Part

_MOST: Final = 65_536  # counters that are remembered; one that is forgotten is asked for again

# tid and parts to what may have been spent in all from each. Blocks; raises NucleusError.
Allot = Callable[[str, Sequence[Part]], Sequence[int]]


class Parts:
    """What of each counter is ours. For as many threads as use it."""

    def __init__(self, allot: Allot) -> None:
        self._allot = allot
        self._known: dict[str, int] = {}
        self._refused: dict[tuple[str, int], int] = {}  # of this limit no more than so much
        self._lock = threading.Lock()

    def of(self, counter: str) -> int:
        """What may have been spent in all; 0 for a counter nobody asked about yet."""
        return self._known.get(counter, 0)

    def enough(self, tid: str, parts: Sequence[Part]) -> bool:
        """Whether our parts suffice for this, now that the issuer was asked. Raises NucleusError.

        What is known only grows, and what is left for all only shrinks: who was refused once is
        not asked about again.
        """
        if any(_need(p) >= self._refused.get((p.counter, p.limit), _need(p) + 1) for p in parts):
            return False
        found = self._allot(tid, parts)
        with self._lock:
            for table in (self._known, self._refused):
                if len(table) > _MOST:
                    table.clear()
            for part, given in zip(parts, found, strict=True):
                self._known[part.counter] = max(given, self._known.get(part.counter, 0))
                if given < _need(part):
                    self._refused[part.counter, part.limit] = _need(part)
        return all(given >= _need(p) for p, given in zip(parts, found, strict=True))


def _need(part: Part) -> int:
    return part.spent + part.amount

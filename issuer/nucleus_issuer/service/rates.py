"""Law: one caller's haste is paid by that caller: so many calls at once, and so many a second."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_MOST: Final = 65_536  # callers that are remembered; whoever was forgotten begins anew


@dataclass(frozen=True, slots=True)
class Rate:
    """How much one caller may ask."""

    per_second: int = 500
    burst: int = 1000


class Rates:
    """What each caller has left. Use it from one event loop."""

    def __init__(self, rate: Rate, *, now: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._now = now
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # calls, at

    def take(self, who: str) -> bool:
        """One call of this caller's; False: it has none left."""
        now, most = self._now(), float(self._rate.burst)
        left, at = self._left.pop(who, (most, now))
        left = min(most, left + (now - at) * self._rate.per_second)
        taken = left >= 1
        self._left[who] = (left - 1 if taken else left, now)
        if len(self._left) > _MOST:
            self._left.popitem(last=False)
        return taken

"""Waiting for what comes: no test says how fast a machine is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

PATIENCE: Final = 60.0  # seconds; how long something may take on a busy machine


def until(found: Callable[[], T], what: str) -> T:
    """What `found` gives, once that is something."""
    end = time.monotonic() + PATIENCE
    while not (it := found()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)
    return it

"""How many random cases a law is tried on, and that a slow machine is no failure."""

from __future__ import annotations

import os

from hypothesis import settings

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))
LAW = settings(max_examples=100 * SCALE)
SLOW_LAW = settings(LAW, max_examples=40 * SCALE)

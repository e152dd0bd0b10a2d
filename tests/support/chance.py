"""Hypothesis's checks that fail by the machine's speed or by what was drawn."""

from __future__ import annotations

from typing import Final

from hypothesis import HealthCheck

CHANCE: Final = (
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.large_base_example,
    HealthCheck.too_slow,
)

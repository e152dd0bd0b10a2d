"""Law: whether a property holds depends on no clock, nor on what the drawing of an example cost."""

from __future__ import annotations

from hypothesis import settings

from tests.support.chance import CHANCE

settings.register_profile("nucleus", deadline=None, suppress_health_check=CHANCE)
settings.load_profile("nucleus")

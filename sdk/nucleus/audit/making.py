"""Law: a finding is made from its rule, so that none has a severity of its own making."""

from __future__ import annotations

from dataclasses import replace

from nucleus.audit.catalogue import RULES
from nucleus.audit.facts import Place
from nucleus.audit.findings import Finding


def finding(rule: str, place: Place, what: str, message: str, *, fix: str = "") -> Finding:
    """One finding. `what` is added to what the place is called."""
    if what:
        place = replace(place, what=f"{place.what}/{what}" if place.what else what)
    return Finding(rule, RULES[rule].severity, place, message, fix)

"""Law: a profile holds what is true of the work wherever it is done: levels, budgets, time.

Scopes are of one place: which folder, which host. A profile has no key for them, so that one of it
is not taken for a bound elsewhere; they go with the token, as caveats. The usual blocked paths
stand in it, but for those that were touched, and none where nobody knows what was.
"""

from __future__ import annotations

from nucleus.audit import suggesting
from nucleus.observe.generalising import Observed
from nucleus.observe.record import Record
from nucleus_issuer import profiles
from nucleus_tokens import names
from nucleus_tokens.authority import scope_admits
from nucleus_tokens.caveats import Scope
from nucleus_verifier.facts import RESOURCE_KINDS


def profile(made: Observed, record: Record) -> str:
    """The levels, budgets and time of a record's policy, in TOML."""
    budgets: dict[str, int] = {each[1]: each[2] for each in made.ceil if each[0] == "budget"}
    return suggesting.profile(
        profiles.normalise(made.name),
        made.levels,
        ttl=made.seconds,
        why=(*made.why, "Scopes do not stand in a profile: observe policy --token has them all."),
        blocked=_untouched(record),
        micro_usd=budgets.get("micro_usd", 0),
        tokens=budgets.get("tokens", 0),
    )


def _untouched(record: Record) -> list[str]:
    ran = [call for call in record.ran if call.operation]
    reaching = [c for c in ran if "path" in RESOURCE_KINDS.get(names.operation(c.operation), ())]
    if any(call.resources.get("path") is None for call in reaching):
        return []
    paths = tuple(path for call in ran for path in call.resources.get("path") or ())
    return [p for p in suggesting.BLOCKED if scope_admits(Scope("path", False, (p,)), paths)]

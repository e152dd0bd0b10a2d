"""Law: what holds of processes on one file holds of issuer nodes on one PostgreSQL server.

The same work and the same judges. Every order is tried at the boundaries that another node can see,
and some are drawn statement by statement; where three nodes have too many orders, they are drawn.
"""

from dataclasses import replace
from typing import Any, Final

from proofs.schedules.remembered import REMEMBERED
from proofs.schedules.scenarios import (
    APPROVED,
    BUDGET,
    CELLS,
    NONCE,
    REVOCATION,
    THREE_BUDGETS,
    AskedOnce,
    CheckedOutside,
    NonceOutside,
    NoVersions,
    Scenario,
    but,
)
from proofs.schedules.stepped_postgres import EarlyMoment, SteppedPostgres


def node(of: Scenario, how: str = "", **changes: Any) -> Scenario:
    given = {"every": False, "drawn": False, "small": 400, "most": 600, **changes}
    return replace(of, name=f"PostgreSQL: {of.name}{how}", database=SteppedPostgres, **given)


def steps(of: Scenario) -> Scenario:
    return node(of, ", each statement", every=True, drawn=True, small=20, most=200)


SOUND: Final = (
    *(node(each) for each in (BUDGET, NONCE, APPROVED, CELLS, REVOCATION, REMEMBERED)),
    node(THREE_BUDGETS, drawn=True, small=50),
    *(steps(each) for each in (BUDGET, REVOCATION)),
)
BROKEN: Final = (
    but(node(BUDGET), "checked outside the transaction", kind=CheckedOutside),
    but(node(NONCE), "looked up outside the transaction", kind=NonceOutside),
    but(node(CELLS), "without versions", kind=NoVersions),
    but(node(REVOCATION), "asked only when the facts are read", kind=AskedOnce),
    but(node(BUDGET), "a moment from before the lock", database=EarlyMoment),
)

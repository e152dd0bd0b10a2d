"""Law: what verifiers may spend from one budget adds up to no more than the budget, whoever dies.

Several verifiers share a counter by parts that are theirs alone: a part only grows, is durable here
before its verifier hears of it, and is never taken back. So a verifier that dies keeps what it had,
and one that asks again is told the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nucleus_issuer.batches import Connection, State, one
from nucleus_issuer.store_clock import HighWater
from nucleus_tokens.errors import CallerError
from nucleus_tokens.limits import COUNTERS_PER_TREE, INTEGER
from nucleus_verifier.ports import Part

# Of what is left one verifier gets at most this part beyond its need, so that others get some.
_SHARE: Final = 8
# Parts of one delegation tree: every counter at so many verifiers.
_PARTS: Final = 64 * COUNTERS_PER_TREE
_STATE: Final = 2**53


class SqlAllotments:
    """Who was given which part of which budget; and on a verifier's side, who this state is."""

    def __init__(self, database: State, time: HighWater) -> None:
        self._database = database
        self._time = time

    def allot(self, tid: str, verifier: str, parts: Sequence[Part]) -> list[int]:
        """What `verifier` may have spent in all from each counter: at least what it needs where
        that is left, else what it had. Raises CallerError `budget.*`."""

        def job(c: Connection) -> list[int]:
            now = self._time.note(c)
            root = _root(c, tid)
            return [_allot(c, root, verifier, part, now) for part in parts]

        return self._database.write(job)

    def state_id(self, draw: int) -> int:
        """The number of this state, drawn once: `draw` if it has none yet."""

        def job(c: Connection) -> int:
            row = one(c, "SELECT value FROM meta WHERE key = 'state'")
            if row is None:
                c.execute("INSERT INTO meta VALUES ('state', ?)", (draw % _STATE,))
                return draw % _STATE
            return int(row[0])

        return self._database.write(job)


def _root(c: Connection, tid: str) -> str:
    """The tree a token belongs to: what was exchanged spends from where it came from."""
    row = one(
        c,
        "SELECT i.rid0 FROM ancestors a JOIN inventory i ON i.rid0 = a.rid WHERE a.tid = ?"
        " AND NOT EXISTS (SELECT 1 FROM ancestors b WHERE b.tid = i.tid)",
        (tid,),
    ) or one(c, "SELECT rid0 FROM inventory WHERE tid = ?", (tid,))
    if row is None:
        raise CallerError("budget.unknown_token", "This issuer has issued no such token.")
    return str(row[0])


def _allot(c: Connection, root: str, verifier: str, part: Part, now: int) -> int:
    limit, need = part.limit, part.spent + part.amount
    if not 0 <= part.spent <= need <= INTEGER or not 0 <= limit <= INTEGER:
        raise CallerError("budget.numbers", "Budgets are whole numbers from 0.")
    # An account outlives the tokens that spend from it, and belongs to none of them.
    tree = "" if part.counter.startswith("account:") else root
    key = (tree, part.counter)
    row = one(
        c,
        "SELECT given, spent FROM allotments WHERE tree = ? AND counter = ? AND verifier = ?",
        (*key, verifier),
    )
    given, known = (0, 0) if row is None else (int(row[0]), int(row[1]))
    if part.spent < known:
        raise CallerError(
            "budget.rolled_back",
            "This verifier's state is not the one that was given this part: it is an older copy. "
            "Give it a new state.",
        )
    all_given = one(
        c,
        "SELECT COALESCE(SUM(given), 0) FROM allotments WHERE tree = ? AND counter = ?",
        key,
    )
    before = 0 if all_given is None else int(all_given[0])
    # What was spent before anybody asked was spent all the same.
    left = limit - before - max(0, part.spent - given)
    given = max(given, part.spent)
    more = need - given
    if 0 < more <= left:
        given += max(more, left // _SHARE)
    if row is None:
        count = one(c, "SELECT COUNT(*) FROM allotments WHERE tree = ?", (tree,))
        if tree and count is not None and count[0] >= _PARTS:
            raise CallerError("budget.too_many", "Too many verifiers share budgets of this tree.")
    c.execute(
        "INSERT INTO allotments VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (tree, counter, verifier)"
        " DO UPDATE SET given = excluded.given, spent = excluded.spent, used = excluded.used",
        (*key, verifier, given, part.spent, now),
    )
    return given

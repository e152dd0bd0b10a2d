"""Law: an approval that was taken back is one that is used up: no decision can spend it any more.

What was approved and still serves, for people; and the one transaction that ends it. Nothing is
deleted: the same count that makes an approval good once makes it good never again.
"""

from __future__ import annotations

from typing import NamedTuple

from nucleus_issuer.batches import Connection, State, one, rows
from nucleus_issuer.store_clock import HighWater
from nucleus_issuer.store_ledger import append_record
from nucleus_tokens import approvals
from nucleus_tokens.approvals import UnverifiedApproval
from nucleus_tokens.errors import CallerError


class Standing(NamedTuple):
    """One approval that still serves. What it says was checked when it was recorded, and is
    checked again by every decision that uses it."""

    approval: UnverifiedApproval
    request: str
    tool: str
    used: int


class SqlApprovals:
    """Approvals that were given and not used up."""

    def __init__(self, database: State, time: HighWater) -> None:
        self._database = database
        self._time = time

    def in_force(self, rid: str | None = None) -> list[Standing]:
        """Approvals that can still be used, of one prefix or of all, the latest first."""
        where = "" if rid is None else " AND a.rid = ?"
        sql = (
            "SELECT a.signed, a.request, r.tool, COALESCE(k.spent, 0) FROM approvals a"  # noqa: S608  only our own columns and placeholders
            " JOIN requests r ON r.id = a.request"
            " LEFT JOIN counters k ON k.id = 'approval:' || a.id || '/uses'"
            f" WHERE a.not_after > ? AND COALESCE(k.spent, 0) < a.uses{where} ORDER BY a.n DESC"
        )

        def job(c: Connection) -> list[Standing]:
            now = self._time.look(c)[0]
            given = (now,) if rid is None else (now, rid)
            found = rows(c, sql, given)
            return [Standing(approvals.parse(bytes(s)), *rest) for s, *rest in found]

        return self._database.read(job)

    def take_back(self, approval_id: str, *, by: str) -> None:
        """End an approval, durably and on record: no commit after this uses it. `by` says who
        does it. Raises CallerError `approval.unknown`."""

        def job(c: Connection) -> None:
            now = self._time.note(c)
            sql = (
                "SELECT a.tid, a.rid, a.request, a.uses, a.not_after, COALESCE(k.spent, 0)"
                " FROM approvals a LEFT JOIN counters k ON k.id = ? WHERE a.id = ?"
            )
            counter = f"approval:{approval_id}/uses"
            row = one(c, sql, (counter, approval_id))
            if row is None:
                raise CallerError("approval.unknown", "There is no approval of this id.")
            tid, rid, request, uses, until, used = row
            if used >= uses or until <= now:
                return  # nothing is left to take back
            c.execute(
                "INSERT INTO counters VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT (id) DO UPDATE SET"
                " spent = excluded.spent",
                (counter, tid, uses, now, until),
            )
            about = {"approval": approval_id, "request": request, "rid": rid, "tid": tid}
            left = uses - used
            append_record(c, {"at": now, "by": by, "left": left, "type": "taken_back", **about})

        self._database.write(job)

"""Law: a request has one answer; one that nobody waits for any longer has none.

This is `nucleus_verifier.ports.Desk` in SQL, and the half of the desk that people use: the list
of what waits, and the one transaction in which an answer and its approval become durable.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import Any, Final

from nucleus_issuer.batches import Connection, State, one, rows
from nucleus_issuer.store_clock import HighWater
from nucleus_tokens import approvals, canonical
from nucleus_tokens.errors import CallerError
from nucleus_verifier.ports import Leg, PendingRequest

# One cell is one session: a person who sees more than this at once approves without reading.
PENDING_PER_CELL: Final = 16
# Asked, and then denied or taken back: whoever goes on so is wearing a person down.
IN_VAIN_PER_MINUTE: Final = 60
# What a person can read of one call; the rest is in the trace.
_SHOWN_CHARS: Final = 64 * 1024
# Answered and expired requests stay for this long, to be looked at.
_KEPT_SECONDS: Final = 7 * 24 * 3600

_COLUMNS: Final = (
    "id, created, expires, tid, rid, cell, operation, tool, call_digest, obligations, shown,"
    " status, reason"
)
_SAME: Final = (
    f"SELECT {_COLUMNS} FROM requests WHERE rid = ? AND cell = ? AND call_digest = ?"  # noqa: S608  only our own columns and placeholders
    " AND status = 'pending' AND expires > ? ORDER BY created, id"
)


class SqlDesk:
    """The queue of calls that wait for a person."""

    def __init__(self, database: State, time: HighWater) -> None:
        self._database = database
        self._time = time

    def ask(self, request: PendingRequest, *, apart: Set[str] | None = None) -> PendingRequest:
        """Put a request on the desk, or find the one of the same call that waits there. Raises
        CallerError `desk.full`, `desk.duplicate`, `desk.too_large`, `desk.closed`."""
        if request.status != "pending":
            raise CallerError("desk.closed", "A new request is pending.")
        obligations = [list(o) for o in request.obligations]
        try:
            spelled = canonical.encode(obligations).decode()
        except ValueError as error:
            raise CallerError("desk.too_large", "The obligations cannot be written.") from error
        if len(request.shown) + len(spelled) + len(request.tool) > _SHOWN_CHARS:
            raise CallerError(
                "desk.too_large",
                f"A request shows at most {_SHOWN_CHARS} characters: show a digest instead.",
            )

        def job(c: Connection) -> PendingRequest:
            now = self._time.note(c)
            if apart is not None:
                for each in rows(c, _SAME, (request.rid, request.cell, request.call_digest, now)):
                    found = self._request(each, now)
                    if found.id not in apart and found.obligations == request.obligations:
                        return found
            c.execute(
                "DELETE FROM approvals WHERE not_after < ? AND request IN"
                " (SELECT id FROM requests WHERE expires < ?)",
                (now - _KEPT_SECONDS, now - _KEPT_SECONDS),
            )
            c.execute(
                "DELETE FROM requests WHERE expires < ? AND id NOT IN"
                " (SELECT request FROM approvals)",
                (now - _KEPT_SECONDS,),
            )
            if one(c, "SELECT 1 FROM requests WHERE id = ?", (request.id,)):
                raise CallerError("desk.duplicate", "A request of this id is on the desk.")
            row = one(
                c,
                "SELECT COUNT(*) FROM requests WHERE cell = ? AND status = 'pending'"
                " AND expires > ?",
                (request.cell, now),
            )
            if row is not None and row[0] >= PENDING_PER_CELL:
                raise CallerError(
                    "desk.full",
                    f"{PENDING_PER_CELL} calls of this session wait for a person already: "
                    "answer or withdraw some.",
                )
            row = one(
                c,
                "SELECT COUNT(*) FROM requests WHERE cell = ? AND status IN"
                " ('denied', 'withdrawn') AND created > ?",
                (request.cell, now - 60),
            )
            if row is not None and row[0] >= IN_VAIN_PER_MINUTE:
                raise CallerError(
                    "desk.full",
                    f"{IN_VAIN_PER_MINUTE} calls of this session were denied or withdrawn within a "
                    "minute: nobody is asked again before it is over.",
                )
            c.execute(
                f"INSERT INTO requests ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,'pending','')",  # noqa: S608  only our own columns and placeholders
                (
                    request.id, request.created, request.expires, request.tid, request.rid,
                    request.cell, request.operation, request.tool, request.call_digest, spelled,
                    request.shown,
                ),
            )  # fmt: skip
            return request

        return self._database.write(job)

    def legs(self, cells: tuple[str, str]) -> tuple[Leg, ...]:
        """What raised these cells."""
        sql = "SELECT cell, bit, seq, tool FROM legs WHERE cell IN (?, ?) ORDER BY seq, cell, bit"
        return self._database.read(lambda c: tuple(Leg(*row) for row in rows(c, sql, cells)))

    def status(self, request_id: str) -> PendingRequest:
        """The request as it stands. Raises CallerError `desk.unknown`."""
        return self._database.read(lambda c: self._status(c, request_id))

    def _status(self, c: Connection, request_id: str) -> PendingRequest:
        row = one(c, f"SELECT {_COLUMNS} FROM requests WHERE id = ?", (request_id,))  # noqa: S608  only our own columns and placeholders
        if row is None:
            raise CallerError("desk.unknown", "No request of this id is on the desk: list them.")
        return self._request(row, self._time.look(c)[0])

    def withdraw(self, request_id: str) -> None:
        """The caller no longer waits; a later answer does nothing. What was answered stays."""

        def job(c: Connection) -> None:
            self._status(c, request_id)
            c.execute(
                "UPDATE requests SET status = 'withdrawn' WHERE id = ? AND status = 'pending'",
                (request_id,),
            )

        self._database.write(job)

    def requests(self, *, pending_only: bool = True) -> list[PendingRequest]:
        """What is on the desk, the oldest first."""

        def job(c: Connection) -> list[PendingRequest]:
            now = self._time.look(c)[0]
            sql = f"SELECT {_COLUMNS} FROM requests ORDER BY created, id"  # noqa: S608  only our own columns and placeholders
            found = [self._request(row, now) for row in rows(c, sql)]
            return [r for r in found if r.status == "pending" or not pending_only]

        return self._database.read(job)

    def approval_of(self, request_id: str) -> bytes | None:
        """The signed approval that a request was answered with."""
        row = self._database.read(
            lambda c: one(c, "SELECT signed FROM approvals WHERE request = ?", (request_id,))
        )
        return None if row is None else bytes(row[0])

    def settle(self, request_id: str, *, approval: bytes | None, reason: str = "") -> None:
        """Answer a pending request, once: with a signed approval, or with a denial.

        Raises CallerError `desk.closed` when it was answered, withdrawn or has expired, and
        `approval.known` for an id that another approval has: then nothing is recorded. Raises
        CredentialError `approval.malformed`.
        """
        parsed = None if approval is None else approvals.parse(approval)

        def job(c: Connection) -> None:
            self._time.note(c)
            request = self._status(c, request_id)
            if request.status != "pending":
                raise CallerError(
                    "desk.closed", f"The request is {request.status}: an answer does nothing now."
                )
            if parsed and one(c, "SELECT 1 FROM approvals WHERE id = ?", (parsed.id,)):
                raise CallerError(
                    "approval.known",
                    "An approval of this id is on record already.",
                    hint="Sign it again under an id of its own.",
                )
            c.execute(
                "UPDATE requests SET status = ?, reason = ? WHERE id = ?",
                ("denied" if parsed is None else "approved", reason, request_id),
            )
            if parsed is not None:
                c.execute(
                    "INSERT INTO approvals (id, request, tid, rid, cell, signed, not_after, uses)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        parsed.id, request_id, parsed.tid, parsed.rid, parsed.cell, approval,
                        parsed.not_after, parsed.count,
                    ),
                )  # fmt: skip

        self._database.write(job)

    @staticmethod
    def _request(row: tuple[Any, ...], now: int) -> PendingRequest:
        id_, created, expires, tid, rid, cell, operation, tool, digest, owed, shown, *rest = row
        status, reason = rest
        made = PendingRequest(
            id=id_,
            created=created,
            expires=expires,
            tid=tid,
            rid=rid,
            cell=cell,
            operation=operation,
            tool=tool,
            call_digest=digest,
            obligations=tuple((name, why) for name, why in canonical.decode(owed.encode())),
            shown=shown,
            status=status,
            reason=reason,
        )
        if status == "pending" and now >= made.expires:
            return replace(made, status="expired")
        return made

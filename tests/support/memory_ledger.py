"""A fake ledger and desk: the whole protocol in memory, with faults and races on demand.

Only for tests of what stands above a ledger. What a ledger must do is tested on the real one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from typing import Any

from nucleus_tokens import approvals, canonical
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_tokens.exposure import PRIVATE_DATA, UNTRUSTED_CONTENT
from nucleus_verifier import trace
from nucleus_verifier.decision import Deny, Intent
from nucleus_verifier.facts import Cell
from nucleus_verifier.ports import Leg, PendingRequest, Snapshot, Wanted


class MemoryLedger:
    """Ledger, desk and trace of one host, forgotten when the test ends.

    `before_commit` runs before every commit: a test races there. While `broken` is true every
    write fails as a full disk does.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.broken = False
        self.before_commit: Callable[[], None] = lambda: None
        self.revoked: set[str] = set()
        self.cells: dict[str, Cell] = {}
        self.spent: dict[str, int] = {}
        self.nonces: set[tuple[str, str]] = set()
        self.lines: list[tuple[int, bytes]] = []
        self.desk: dict[str, PendingRequest] = {}
        self.approvals: list[bytes] = []
        self.raised: list[Leg] = []
        self._lock = threading.RLock()

    # Ledger -----------------------------------------------------------------------------------

    def read(self, wanted: Wanted) -> Snapshot:
        with self._lock:
            now = self.clock()
            read = [(approvals.parse(data), data) for data in self.approvals]
            mine = [
                (a, data)
                for a, data in read
                if (a.tid, a.rid) == (wanted.tid, wanted.rid) and a.not_after > now
            ]
            spent = {counter: self.spent.get(counter, 0) for counter in wanted.counters}
            for a, _ in mine:
                spent[f"approval:{a.id}/uses"] = self.spent.get(f"approval:{a.id}/uses", 0)
            return Snapshot(
                now=now,
                clock_ok=True,
                lease_ok=True,
                nonce_seen=wanted.nonce is not None and (wanted.rid, wanted.nonce) in self.nonces,
                revoked=self.revoked & {*wanted.rids, *wanted.ancestors},
                spent=spent,
                wall=self._cell(wanted.wall),
                tree=self._cell(wanted.tree),
                approvals=tuple(data for _, data in mine),
                revocation_seq=len(self.revoked),
            )

    def _cell(self, cell_id: str) -> Cell:
        return self.cells.get(cell_id, Cell(cell_id, 0, PRIVATE_DATA | UNTRUSTED_CONTENT))

    def commit(self, intent: Intent, record: Mapping[str, object]) -> Deny | int:
        self.before_commit()
        with self._lock:
            self._writable()
            if self.revoked & {*intent.rids, *intent.ancestors}:
                return Deny(6, "token.revoked")
            nonce = None if intent.nonce is None else (intent.rid, intent.nonce[0])
            if nonce is not None and nonce in self.nonces:
                return Deny(5, "request.replayed")
            after: dict[str, int] = {}
            for spend in intent.spends:
                before = after.get(spend.counter, self.spent.get(spend.counter, 0))
                if before + spend.amount > spend.limit:
                    return Deny(11, "budget.exhausted")
                after[spend.counter] = before + spend.amount
            if any(self._cell(cell.id).version != cell.version for cell in intent.cells):
                return Deny(14, "commit.lost_race")
            self.spent.update(after)
            if nonce is not None:
                self.nonces.add(nonce)
            by = (len(self.lines) + 1, intent.call.tool)
            for cell in intent.cells:
                self.open_cell(cell.id, self._cell(cell.id).bits | intent.call.records, by)
            return self.append(record)

    def append(self, record: Mapping[str, object]) -> int:
        with self._lock:
            self._writable()
            seq = len(self.lines) + 1
            prev = canonical.decode(self.lines[-1][1])["hash"] if self.lines else trace.GENESIS
            self.lines.append((seq, trace.line(seq, prev, dict(record))[0]))
            return seq

    def open_cell(self, cell_id: str, bits: int, by: tuple[int, str] | None = None) -> None:
        with self._lock:
            self._writable()
            cell = self.cells.get(cell_id)
            if by is not None:
                new = bits & ~self._cell(cell_id).bits
                self.raised += [Leg(cell_id, bit, *by) for bit in (1, 2, 4) if bit & new]
            if cell is None:
                self.cells[cell_id] = Cell(cell_id, 1, bits)
            elif cell.bits | bits != cell.bits:
                self.cells[cell_id] = Cell(cell_id, cell.version + 1, cell.bits | bits)

    def _writable(self) -> None:
        if self.broken:
            raise WorldError("store.full", "The disk is full: nothing was recorded.")

    # Desk -------------------------------------------------------------------------------------

    def ask(self, request: PendingRequest, *, apart: Set[str] | None = None) -> PendingRequest:
        with self._lock:
            self._writable()
            for other in self.desk.values() if apart is not None else ():
                same = (other.rid, other.cell, other.call_digest, other.obligations)
                wanted = (request.rid, request.cell, request.call_digest, request.obligations)
                if same == wanted and other.status == "pending" and other.id not in (apart or ()):
                    return other
            if sum(r.status == "pending" for r in self.desk.values()) >= 16:
                raise CallerError("desk.full", "Too many calls of this session wait already.")
            self.desk[request.id] = request
            return request

    def legs(self, cells: tuple[str, str]) -> tuple[Leg, ...]:
        return tuple(leg for leg in self.raised if leg.cell in cells)

    def status(self, request_id: str) -> PendingRequest:
        with self._lock:
            request = self.desk[request_id]
            if request.status == "pending" and self.clock() >= request.expires:
                return replace(request, status="expired")
            return request

    def withdraw(self, request_id: str) -> None:
        with self._lock:
            if self.desk[request_id].status == "pending":
                self.desk[request_id] = replace(self.desk[request_id], status="withdrawn")

    def settle(self, request_id: str, *, approval: bytes | None, reason: str = "") -> None:
        with self._lock:
            status = self.status(request_id).status
            if status != "pending":
                raise CallerError("desk.closed", f"The request is {status}.")
            answer: Any = "denied" if approval is None else "approved"
            self.desk[request_id] = replace(self.desk[request_id], status=answer, reason=reason)
            if approval is not None:
                self.approvals.append(approval)

    # Trace ------------------------------------------------------------------------------------

    def trace_lines(self, after_seq: int = 0, limit: int = 1000) -> list[tuple[int, bytes]]:
        with self._lock:
            return self.lines[after_seq : after_seq + limit]

    def records(self, kind: str = "") -> list[dict[str, Any]]:
        """The records so far, each with its `seq`."""
        with self._lock:
            found = [canonical.decode(line) for _, line in self.lines]
        return [
            {**line["record"], "seq": line["seq"]}
            for line in found
            if not kind or line["record"]["type"] == kind
        ]

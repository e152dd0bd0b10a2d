"""Law: what the verifier needs of durable state is these protocols; who keeps it is not its affair.

`Ledger` is the only road to spending: one transaction that spends nonce, budgets and approvals,
raises the cells and appends the decision to the trace, or does none of it. `Desk` is where a call
that needs a person waits. The embedded store implements both; a remote one may.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from nucleus_verifier.decision import Deny, Intent
from nucleus_verifier.facts import Cell


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a credential makes us look up: all of it in one consistent read."""

    rids: tuple[str, ...]
    ancestors: tuple[str, ...]
    counters: tuple[str, ...]
    nonce: str | None
    tid: str
    rid: str
    wall: str  # cell ids
    tree: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The durable half of the facts. Times are unix seconds."""

    now: int  # the clock, never below the persisted high-water mark
    clock_ok: bool
    lease_ok: bool
    nonce_seen: bool
    revoked: Set[str]  # those of `wanted` that are revoked, no others
    spent: Mapping[str, int]  # every wanted counter and every approval's uses; 0 if never spent
    wall: Cell
    tree: Cell
    approvals: tuple[bytes, ...]  # for exactly (tid, rid), not yet expired
    revocation_seq: int


@dataclass(frozen=True, slots=True)
class Part:
    """What one call needs of a budget that several verifiers share."""

    counter: str
    limit: int  # of the budget, for all
    spent: int  # so far, by the verifier that asks
    amount: int  # more


class Ledger(Protocol):
    """Durable state of one verifier host."""

    def read(self, wanted: Wanted) -> Snapshot:
        """One consistent read. Raises WorldError when the state cannot be read."""
        ...

    def commit(self, intent: Intent, record: Mapping[str, object]) -> Deny | int:
        """Spend, raise and record, durably, or refuse without any change.

        `record` is the trace record without its place in the chain. Returns the record's sequence
        number, or a Deny: `request.replayed`, `budget.exhausted`, `token.revoked`,
        `revocation.stale`, `commit.lost_race` (a cell's version moved: decide again).
        Raises WorldError when nothing could be made durable: then nothing may run.
        """
        ...

    def append(self, record: Mapping[str, object]) -> int:
        """Record something that spends nothing: a denial, an ask, an outcome, a checkpoint."""
        ...

    def open_cell(self, cell_id: str, bits: int, by: tuple[int, str] | None = None) -> None:
        """Make a cell if there is none, at these exposure bits; an existing one is only raised.
        `by` is the call that raises it: the record of its decision, and its tool."""
        ...


Status = Literal["pending", "approved", "denied", "withdrawn", "expired"]


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A call that waits for a person, as it is shown to them."""

    id: str
    created: int
    expires: int
    tid: str
    rid: str
    cell: str
    operation: int
    tool: str
    call_digest: str
    obligations: tuple[tuple[str, str], ...]  # (id, why)
    shown: str  # canonical JSON, see `asking`
    status: Status = "pending"
    reason: str = ""


class Leg(NamedTuple):
    """Where one leg of a cell's exposure came from: the record of the call that raised it."""

    cell: str
    bit: int
    seq: int
    tool: str


class Desk(Protocol):
    """The queue of calls that wait for a person."""

    def ask(self, request: PendingRequest, *, apart: Set[str] | None = None) -> PendingRequest:
        """Put a request on the desk; the one that waits there now.

        With `apart`, a request of the same call under the same prefix and cell that waits already
        is returned in its place, unless its id is among these: a proxy that was started again goes
        on waiting for what was asked before. Raises CallerError `desk.full` when a cell floods it.
        """
        ...

    def legs(self, cells: tuple[str, str]) -> tuple[Leg, ...]:
        """What raised these cells. A bit of which nothing is said was there from the start."""
        ...

    def status(self, request_id: str) -> PendingRequest:
        """The request as it stands. Raises CallerError `desk.unknown`."""
        ...

    def withdraw(self, request_id: str) -> None:
        """The caller no longer waits; a later answer does nothing."""
        ...


Clock = Callable[[], int]

"""Law: a decision is a value with its reasons. It is never a bool and never an exception."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, NoReturn

from nucleus_tokens.authority import Source
from nucleus_verifier.facts import Call, Cell

# Up to this step the caller may be a stranger, and gets one constant answer.
LAST_SILENT_STEP: Final = 5
REFUSED: Final = "credential.refused"


class _NoTruth:
    __slots__ = ()

    def __bool__(self) -> NoReturn:
        raise TypeError("a decision has no truth value: match on Allow, Ask and Deny")


class Obligation(NamedTuple):
    """Something a person must answer for before the call may run."""

    id: str
    why: str


class Spend(NamedTuple):
    """Add `amount` to a counter if it then stays within `limit`; otherwise the commit fails."""

    counter: str
    amount: int
    limit: int


class Intent(NamedTuple):
    """All that commit must make durable, in one transaction, before an effect may run."""

    call: Call
    tid: str
    rid: str  # of the presented prefix without req
    rids: tuple[str, ...]
    ancestors: tuple[str, ...]
    nonce: tuple[str, int] | None  # (nonce, unix seconds until which it must be remembered)
    spends: tuple[Spend, ...]
    cells: tuple[Cell, Cell]  # as they were read
    expires: int  # unix seconds: the authority under which this was decided ends then
    discharged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Allow(_NoTruth):
    """The call may run once `intent` is committed."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class Ask(_NoTruth):
    """The call may run if these obligations are discharged; all of them are listed."""

    obligations: tuple[Obligation, ...]
    tid: str
    rid: str
    cell: str
    operation: int
    call_digest: bytes


@dataclass(frozen=True, slots=True)
class Deny(_NoTruth):
    """The call may not run, and no approval changes that. `hints.py` has a sentence per code.

    `subject` is the kind of resource or the unit that the code is about.
    """

    step: int
    code: str
    source: Source | None = None
    subject: str = ""

    @property
    def public_code(self) -> str:
        """What a caller may be told: nothing but a constant while it may be a stranger."""
        return self.code if self.step > LAST_SILENT_STEP else REFUSED


Decision = Allow | Ask | Deny

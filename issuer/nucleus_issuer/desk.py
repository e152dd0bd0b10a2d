"""Law: a person answers exactly what was shown; an approval says that and no more, and is signed.

What is approved is copied from the request as it was recorded: its prefix, cell and obligations,
and either its one call or a pattern that the person wrote. What is shown to a person cannot move
the cursor, hide text or turn it around.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from nucleus_issuer.bundle import Bundle
from nucleus_issuer.keys import Key
from nucleus_tokens import approvals, names, writing
from nucleus_tokens.approvals import UnverifiedApproval
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_tokens.limits import APPROVAL_USES
from nucleus_verifier.ports import PendingRequest

# The waiting call asks again at once; what is left is for the answer to travel.
DEFAULT_TTL: Final = 600
_LONGEST_TTL: Final = 24 * 3600
_REASON_CHARS: Final = 1024


class DeskStore(Protocol):
    """The durable half of the desk."""

    def requests(self, *, pending_only: bool = True) -> list[PendingRequest]: ...
    def status(self, request_id: str) -> PendingRequest: ...
    def settle(self, request_id: str, *, approval: bytes | None, reason: str = "") -> None: ...


class ApprovalDesk:
    """Where people answer. `clock` gives unix seconds, `random` as many bytes as asked for."""

    def __init__(
        self, store: DeskStore, *, clock: Callable[[], int], random: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._clock = clock
        self._random = random

    def pending(self) -> list[PendingRequest]:
        """What waits for an answer, the oldest first."""
        return self._store.requests()

    def approve(
        self,
        request_id: str,
        approver: Key,
        *,
        pattern: Sequence[list[Any]] | None = None,
        count: int = 1,
        ttl: int = DEFAULT_TTL,
    ) -> str:
        """Sign exactly this request's obligations, durably; the approval's id.

        Without a `pattern` it is for the one call that was shown, once. With one (in caveat
        language) it is for `count` calls that satisfy it, under the same prefix and cell. Raises
        CallerError `desk.unknown`, `desk.closed` (answered, withdrawn, expired: nothing is done),
        `approval.*`.
        """
        if approver.kind != "approver":
            raise CallerError("approval.key", "An approval is signed with an approver's key.")
        if pattern is None and count != 1:
            raise CallerError(
                "approval.count", "One call is approved once: give a pattern to approve several."
            )
        if not 1 <= count <= APPROVAL_USES:
            raise CallerError("approval.count", f"An approval is for 1 to {APPROVAL_USES} calls.")
        if not 1 <= ttl <= _LONGEST_TTL:
            raise CallerError("approval.ttl", "An approval lives from one second to one day.")
        request = self.waiting(request_id)
        approval_id = self._random(16).hex()
        body = {
            "approver": approver.id,
            "cell": request.cell,
            "count": count,
            "digest": request.call_digest if pattern is None else None,
            "id": approval_id,
            "not_after": self._clock() + ttl,
            "obligations": sorted({id_ for id_, _ in request.obligations}),
            "pattern": None if pattern is None else list(pattern),
            "rid": request.rid,
            "tid": request.tid,
            "v": 1,
        }
        try:
            signed = writing.approval(body, approver.private)
        except CredentialError as error:
            raise CallerError(
                "approval.pattern", "This pattern is not one an approval can have."
            ) from error
        self._store.settle(request_id, approval=signed)
        return approval_id

    def deny(self, request_id: str, reason: str = "") -> None:
        """Refuse a request; the waiting call is told why. Raises CallerError `desk.unknown` or
        `desk.closed`."""
        self.waiting(request_id)
        self._store.settle(request_id, approval=None, reason=reason[:_REASON_CHARS])

    def waiting(self, request_id: str) -> PendingRequest:
        """A request, while it waits. Raises CallerError `desk.unknown` or `desk.closed`."""
        request = self._store.status(request_id)
        if request.status != "pending":
            raise CallerError(
                "desk.closed", f"The request is {request.status}: an answer does nothing now."
            )
        return request


def check_answer(given: UnverifiedApproval, waiting: PendingRequest, bundle: Bundle) -> None:
    """Whether an approval that came from elsewhere is about exactly this request, by an approver
    of the bundle who may approve all of it. Raises CredentialError or CallerError `approval.*`."""
    about = (given.tid, given.rid, given.cell, set(given.obligations))
    owed = {id_ for id_, _ in waiting.obligations}
    if about != (waiting.tid, waiting.rid, waiting.cell, owed) or (
        given.digest is not None and given.digest != waiting.call_digest
    ):
        raise CredentialError("approval.other", "This approval is about another request.")
    approver = next((a for a in bundle.approvers if a.id == given.approver), None)
    if approver is None or not approvals.signature_holds(given, approver.key):
        raise CredentialError("approval.signature", "No approver of the bundle signed this.")
    # As the kernel asks it: the operation, whatever of it is owed.
    if names.OPERATIONS[waiting.operation] not in approver.operations:
        raise CallerError("approval.operations", "This approver may not approve all of it.")


# Letters, marks, numbers, punctuation and symbols are shown; what controls or hides is spelled out.
_SHOWN: Final = frozenset("LMNPS")
_MARKS_IN_A_ROW: Final = 2
_VARIATIONS: Final = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0), range(0x180B, 0x1810))
# Letters and symbols by their category, and blank on the screen.
_BLANK: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")


def shown_safely(text: str) -> str:
    """`text` for a terminal: controls, escapes, bidirectional and invisible characters become
    visible escapes (`\\x1b`, `\\u202e`), a backslash becomes two, and it stays on one line."""
    made = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" else 0
        if character == "\\":
            made.append("\\\\")
        elif character == " ":
            made.append(character)
        elif (
            category[0] not in _SHOWN
            or category == "Me"
            or marks > _MARKS_IN_A_ROW
            or character in _BLANK
            or any(ord(character) in each for each in _VARIATIONS)
        ):
            made.append(_escaped(ord(character)))
        else:
            made.append(character)
    return "".join(made)


def _escaped(number: int) -> str:
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"

"""Law: the service keeps what waits and what was answered; it signs no approval and alters none.

An approver's key stays with the approver. What arrives signed must be about exactly the request
that waits, by an approver that the bundle lists for these operations; verifiers check it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from nucleus_issuer.bundle import Bundle
from nucleus_issuer.desk import check_answer
from nucleus_issuer.service.policy import Caller
from nucleus_issuer.store import Store
from nucleus_tokens import approvals, names
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_tokens.fields import hexed
from nucleus_verifier.ports import PendingRequest
from nucleus_verifier.rpc import issuer_pb2 as pb

# Nobody waits longer than this for a person.
_LONGEST_SECONDS: Final = 24 * 3600
_NAME_CHARS: Final = 512
_REASON_CHARS: Final = 1024
# Of one answer; what is shown of one request is bounded by the desk.
_ANSWER_BYTES: Final = 512 * 1024


class Approving:
    """What verifiers ask and people answer."""

    def __init__(
        self, store: Store, bundle: Callable[[], Bundle], clock: Callable[[], int]
    ) -> None:
        self._store = store
        self._bundle = bundle
        self._clock = clock

    # For verifiers ------------------------------------------------------------------------------

    async def request(self, _: Caller, request: pb.ApprovalRequest) -> pb.ApprovalStatus:
        asked = self._checked(request)
        try:
            await asyncio.to_thread(self._store.ask, asked)
        except CallerError as error:
            if error.code != "desk.duplicate":
                raise
            before = await asyncio.to_thread(self._store.status, asked.id)
            if (before.rid, before.call_digest) != (asked.rid, asked.call_digest):
                raise
        return await self._status(asked.id)

    async def get(self, _: Caller, request: pb.ApprovalId) -> pb.ApprovalStatus:
        return await self._status(request.id)

    async def withdraw(self, _: Caller, request: pb.ApprovalId) -> pb.ApprovalStatus:
        await asyncio.to_thread(self._store.withdraw, request.id)
        return await self._status(request.id)

    # For people ---------------------------------------------------------------------------------

    async def list(self, _: Caller, request: pb.ListApprovalsRequest) -> pb.ListApprovalsResponse:
        found = await asyncio.to_thread(self._store.requests, pending_only=not request.everything)
        made, size = pb.ListApprovalsResponse(), 0
        for each in found:
            status = _told(each, None)
            size += status.ByteSize()
            if size > _ANSWER_BYTES:
                break
            made.requests.append(status)
        return made

    async def approve(self, _: Caller, request: pb.ApproveRequest) -> pb.ApprovalStatus:
        parsed = approvals.parse(request.approval)
        waiting = await asyncio.to_thread(self._store.status, request.id)
        check_answer(parsed, waiting, self._bundle())
        await asyncio.to_thread(self._store.settle, request.id, approval=request.approval)
        return await self._status(request.id)

    async def deny(self, caller: Caller, request: pb.DenyRequest) -> pb.ApprovalStatus:
        reason = request.reason[:_REASON_CHARS]
        await asyncio.to_thread(
            self._store.settle, request.id, approval=None, reason=reason or f"by {caller.id}"
        )
        return await self._status(request.id)

    # --------------------------------------------------------------------------------------------

    def _checked(self, request: pb.ApprovalRequest) -> PendingRequest:
        try:
            for text in (request.tid, request.rid):
                hexed(text, 16)
            # A desk's own requests have short ids, which a person can type.
            hexed(request.id, 8 if len(request.id) == 16 else 16)
            hexed(request.call_digest, 32)
        except (ValueError, CredentialError) as error:
            raise CallerError("desk.request", "A request's ids and digest are hex.") from error
        if not 0 <= request.operation < len(names.OPERATIONS):
            raise CallerError("desk.request", "A request names one of the operations.")
        if max(len(request.cell), len(request.tool)) > _NAME_CHARS or not request.obligations:
            raise CallerError("desk.request", "A request names its cell, tool and obligations.")
        now = self._clock()
        if not now < request.expires <= now + _LONGEST_SECONDS:
            raise CallerError("desk.request", "A request waits for at most one day.")
        return pending(request, created=now)

    async def _status(self, request_id: str) -> pb.ApprovalStatus:
        def look() -> pb.ApprovalStatus:
            found = self._store.status(request_id)
            return _told(found, self._store.approval_of(request_id))

        return await asyncio.to_thread(look)


def pending(request: pb.ApprovalRequest, *, created: int | None = None) -> PendingRequest:
    """A request as the desk keeps it."""
    return PendingRequest(
        id=request.id,
        created=request.created if created is None else created,
        expires=request.expires,
        tid=request.tid,
        rid=request.rid,
        cell=request.cell,
        operation=request.operation,
        tool=request.tool,
        call_digest=request.call_digest,
        obligations=tuple((each.id, each.why) for each in request.obligations),
        shown=request.shown,
    )


def _told(found: PendingRequest, approval: bytes | None) -> pb.ApprovalStatus:
    return pb.ApprovalStatus(
        request=pb.ApprovalRequest(
            id=found.id,
            created=found.created,
            expires=found.expires,
            tid=found.tid,
            rid=found.rid,
            cell=found.cell,
            operation=found.operation,
            tool=found.tool,
            call_digest=found.call_digest,
            obligations=[pb.Obligation(id=id_, why=why) for id_, why in found.obligations],
            shown=found.shown,
        ),
        status=found.status,
        reason=found.reason,
        approval=approval or b"",
    )

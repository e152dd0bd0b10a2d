"""Law: the issuer's methods as they are called; a refusal is raised as an error of ours.

Use it from one event loop. Nothing is retried here: whoever calls knows what may be asked twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from nucleus_verifier.ports import Part
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.rpc.refusals import raised

M = TypeVar("M", bound=Message)
SERVICE: Final = "/nucleus.issuer.v1.Issuer/"
CALL_SECONDS: Final = 15.0


class IssuerClient:
    """`channel` gives the channel of now, as `mtls.Dialled.channel` does."""

    def __init__(
        self, channel: Callable[[], grpc.aio.Channel], *, seconds: float = CALL_SECONDS
    ) -> None:
        self.channel = channel
        self._seconds = seconds

    async def _ask(self, name: str, request: Message, answer: type[M]) -> M:
        call: Any = self.channel().unary_unary(SERVICE + name, _written, answer.FromString)
        try:
            made: M = await call(request, timeout=self._seconds)
        except grpc.RpcError as error:
            raise raised(error) from error
        return made

    async def issue(self, request: pb.IssueRequest) -> pb.Minted:
        return await self._ask("Issue", request, pb.Minted)

    async def exchange(self, request: pb.ExchangeRequest) -> pb.Minted:
        return await self._ask("Exchange", request, pb.Minted)

    async def register_audience(self, audience: str, akid: str, public: bytes) -> None:
        request = pb.RegisterAudienceRequest(audience=audience, akid=akid, public=public)
        await self._ask("RegisterAudience", request, pb.RegisterAudienceResponse)

    async def trust_bundle(self, audience: str) -> pb.TrustBundle:
        request = pb.GetTrustBundleRequest(audience=audience)
        return await self._ask("GetTrustBundle", request, pb.TrustBundle)

    async def list(self) -> list[pb.Issued]:
        """Everything, page after page."""
        found: list[pb.Issued] = []
        after = ""
        while True:
            page = await self._ask("List", pb.ListRequest(after=after), pb.ListResponse)
            found += page.tokens
            after = page.next
            if not after:
                return found

    async def tree(self, request: pb.TreeRequest) -> pb.TreeResponse:
        return await self._ask("Tree", request, pb.TreeResponse)

    async def revoke(self, request: pb.RevokeRequest) -> AsyncGenerator[pb.RevokeEvent, None]:
        """`recorded`, then `effective`. It has no deadline: a lease must run out."""
        call: Any = self.channel().unary_stream(
            SERVICE + "Revoke", _written, pb.RevokeEvent.FromString
        )
        try:
            async for event in call(request):
                yield event
        except grpc.RpcError as error:
            raise raised(error) from error

    async def watch(self, requests: AsyncIterator[pb.WatchRequest]) -> AsyncIterator[pb.WatchEvent]:
        """Until the connection ends, which is an error of ours as well."""
        call: Any = self.channel().stream_stream(
            SERVICE + "Watch", _written, pb.WatchEvent.FromString
        )
        try:
            async for event in call(requests):
                yield event
        except grpc.RpcError as error:
            raise raised(error) from error

    async def allot(self, tid: str, state: str, parts: Sequence[Part]) -> Sequence[int]:
        request = pb.AllotRequest(
            tid=tid,
            state=state,
            parts=[
                pb.AllotRequest.Part(
                    counter=part.counter, limit=part.limit, spent=part.spent, amount=part.amount
                )
                for part in parts
            ],
        )
        return (await self._ask("Allot", request, pb.AllotResponse)).given

    async def request_approval(self, request: pb.ApprovalRequest) -> pb.ApprovalStatus:
        return await self._ask("RequestApproval", request, pb.ApprovalStatus)

    async def get_approval(self, request_id: str) -> pb.ApprovalStatus:
        return await self._ask("GetApproval", pb.ApprovalId(id=request_id), pb.ApprovalStatus)

    async def withdraw_approval(self, request_id: str) -> pb.ApprovalStatus:
        return await self._ask("WithdrawApproval", pb.ApprovalId(id=request_id), pb.ApprovalStatus)

    async def list_approvals(self, *, everything: bool = False) -> pb.ListApprovalsResponse:
        request = pb.ListApprovalsRequest(everything=everything)
        return await self._ask("ListApprovals", request, pb.ListApprovalsResponse)

    async def approve(self, request_id: str, approval: bytes) -> pb.ApprovalStatus:
        request = pb.ApproveRequest(id=request_id, approval=approval)
        return await self._ask("Approve", request, pb.ApprovalStatus)

    async def deny(self, request_id: str, reason: str) -> pb.ApprovalStatus:
        request = pb.DenyRequest(id=request_id, reason=reason)
        return await self._ask("Deny", request, pb.ApprovalStatus)


def _written(message: Message) -> bytes:
    return message.SerializeToString()

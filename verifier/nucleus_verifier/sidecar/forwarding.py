"""Law: what waits at a sidecar's own desk waits at its issuer's as well, and the answer comes back.

A request is durable here before it is told there, so nothing that is asked is lost with a
connection; asking twice is asking once. An approval is believed for its signature alone, by the
kernel: whoever carries it can alter nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from nucleus_tokens.errors import NucleusError
from nucleus_verifier.ports import PendingRequest
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.rpc.client import IssuerClient
from nucleus_verifier.sidecar.gate import Log

_EVERY_SECONDS: Final = 1.0
_MOST: Final = 256  # that are told or asked about in one round


class Waits(Protocol):
    """The desk of this host."""

    def requests(self, *, pending_only: bool = True) -> list[PendingRequest]: ...

    def settle(self, request_id: str, *, approval: bytes | None, reason: str = "") -> None: ...


async def forward(desk: Waits, client: IssuerClient, instance: str, log: Log) -> None:
    """Tell and ask, again and again, until cancelled."""
    start = f"gate:{instance}:"
    while True:
        with suppress(NucleusError):  # told in the next round
            waiting = await asyncio.to_thread(desk.requests)
            ours = [each for each in waiting if each.cell.startswith(start)]
            await _round(desk, client, ours[:_MOST], log)
        await asyncio.sleep(_EVERY_SECONDS)


async def _round(
    desk: Waits, client: IssuerClient, waiting: Sequence[PendingRequest], log: Log
) -> None:
    for each in waiting:
        # Told each time: whoever knows it answers with how it stands.
        try:
            said = await client.request_approval(told(each))
        except NucleusError as error:
            if error.code == "service.unreachable":
                raise
            log("forwarding", {"request": each.id, "why": error.code})
            continue  # it waits here, where `nucleus approvals` may answer it
        if said.status == "approved":
            answer: tuple[bytes | None, str] = (said.approval, "")
        elif said.status == "denied":
            answer = (None, said.reason)
        else:
            continue
        with suppress(NucleusError):  # somebody has answered it here meanwhile
            await asyncio.to_thread(desk.settle, each.id, approval=answer[0], reason=answer[1])


def told(request: PendingRequest) -> pb.ApprovalRequest:
    """A request in the service's words."""
    return pb.ApprovalRequest(
        id=request.id,
        expires=request.expires,
        tid=request.tid,
        rid=request.rid,
        cell=request.cell,
        operation=request.operation,
        tool=request.tool,
        call_digest=request.call_digest,
        obligations=[pb.Obligation(id=id_, why=why) for id_, why in request.obligations],
        shown=request.shown,
    )

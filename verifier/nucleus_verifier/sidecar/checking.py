"""Law: the sidecar's own door gives the same answers as every gateway's, and `Remote` asks there.

`nucleus.verifier.v1.Verifier/Check` is for middleware and tools that see their requests themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import grpc
import grpc.aio

from nucleus_verifier.rpc import verifier_pb2 as pb
from nucleus_verifier.sidecar.answers import Admitted, Answer, Refused, Waiting, unavailable
from nucleus_verifier.sidecar.asked import Asked, Unreadable, claims
from nucleus_verifier.sidecar.envoy import only_gateway
from nucleus_verifier.sidecar.gate import Check, Log
from nucleus_verifier.sidecar.settings import Listener

SERVICE: Final = "nucleus.verifier.v1.Verifier"
SECONDS: Final = 5.0


def handler(listener: Listener, check: Check, log: Log) -> grpc.GenericRpcHandler:
    """The one method, for `add_generic_rpc_handlers`."""

    async def serve(request: pb.CheckRequest, context: Any) -> pb.CheckResponse:
        try:
            only_gateway(listener, context)
        except Unreadable as error:
            log("refused", {"listener": listener.name, "why": claims(str(error))})
            return written(Refused(str(error)))
        return written(await check(read(listener, request)))

    method = grpc.unary_unary_rpc_method_handler(
        serve, pb.CheckRequest.FromString, pb.CheckResponse.SerializeToString
    )
    made: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(SERVICE, {"Check": method})
    return made


def read(listener: Listener, request: pb.CheckRequest) -> Asked:
    """What a tool says of a request it got."""
    return Asked(
        request.credential,
        request.method,
        request.host,
        request.target,
        None if request.body_hidden else request.body,
        request.media,
        (request.peer or None) if listener.peer else None,
    )


def written(answer: Answer) -> pb.CheckResponse:
    """An answer as it travels; the reason for the log stays here."""
    match answer:
        case Admitted(seq, tool, sub, rid):
            return pb.CheckResponse(admitted=pb.Admitted(seq=seq, tool=tool, sub=sub, rid=rid))
        case Refused(_, code, sentence, hint):
            return pb.CheckResponse(refused=pb.Refused(code=code, sentence=sentence, hint=hint))
        case Waiting(request, obligations, hint):
            return pb.CheckResponse(
                waiting=pb.Waiting(request=request, obligations=obligations, hint=hint)
            )


class Remote:
    """A `Check` that asks a sidecar. `channel` gives the channel of now."""

    def __init__(
        self, channel: Callable[[], grpc.aio.Channel], *, seconds: float = SECONDS
    ) -> None:
        self._channel = channel
        self._seconds = seconds

    async def __call__(self, asked: Asked) -> Answer:
        """Total: a sidecar that does not answer is a refusal."""
        request = pb.CheckRequest(
            credential=asked.credential,
            method=asked.method,
            host=asked.host,
            target=asked.target,
            body=asked.body or b"",
            body_hidden=asked.body is None,
            media=asked.media,
            peer=asked.peer or "",
        )
        call: Any = self._channel().unary_unary(
            f"/{SERVICE}/Check", pb.CheckRequest.SerializeToString, pb.CheckResponse.FromString
        )
        try:
            said: pb.CheckResponse = await call(request, timeout=self._seconds)
        except grpc.RpcError:
            return unavailable("sidecar.gone")
        match said.WhichOneof("answer"):
            case "admitted":
                found = said.admitted
                return Admitted(found.seq, found.tool, found.sub, found.rid)
            case "waiting":
                wait = said.waiting
                return Waiting(wait.request, tuple(wait.obligations), wait.hint)
            case _:
                told = said.refused
                return Refused("sidecar", told.code, told.sentence, told.hint)

"""Law: a call by gRPC is a tools/call on a connection of its own; here nothing is decided.

One RPC is one conversation with the socket that speaks MCP: it is asked there, judged there,
answered there, and it is given up by hanging up. Metadata is not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, NoReturn

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from nucleus_proxy import methods, wire
from nucleus_proxy.rpc import results
from nucleus_proxy.rpc import tools_pb2 as pb
from nucleus_proxy.rpc.results import NotAnswered
from nucleus_tokens import arguments
from nucleus_tokens.errors import CredentialError, NucleusError
from nucleus_verifier.rpc.refusals import CODE

SERVICE: Final = "nucleus.tools.v1.Tools"
PAGE: Final = 64
_PROGRESS: Final = "notifications/progress"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
# A new connection to the socket that speaks MCP.
Reach = Callable[[], Awaitable[Streams]]


class Front:
    """The methods of the service."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    def handler(self) -> grpc.GenericRpcHandler:
        """For `add_generic_rpc_handlers`."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "List": grpc.unary_unary_rpc_method_handler(
                    self.list, lambda raw: _read(pb.ListRequest, raw), _written
                ),
                "Call": grpc.unary_stream_rpc_method_handler(
                    self.call, lambda raw: _read(pb.CallRequest, raw), _written
                ),
            },
        )

    async def list(self, request: pb.ListRequest | None, context: Any) -> pb.ListResponse:
        """One page, by name."""
        try:
            asked = _known(request)
            async with aclosing(self._heard(methods.TOOLS_LIST, {})) as heard:
                content = await anext(heard)
                while "tools" not in content:
                    content = await anext(heard)
        except (NotAnswered, StopAsyncIteration, NucleusError, OSError) as error:
            await _abort(context, error)
        rest = sorted(
            (tool for tool in content["tools"] if tool["name"] > asked.after),
            key=lambda tool: str(tool["name"]),
        )
        page = rest[:PAGE]
        return pb.ListResponse(
            tools=map(results.tool, page), next=page[-1]["name"] if len(rest) > PAGE else ""
        )

    async def call(
        self, request: pb.CallRequest | None, context: Any
    ) -> AsyncGenerator[pb.CallEvent, None]:
        """What the call waits for, and then its result."""
        try:
            async with aclosing(self._heard(methods.TOOLS_CALL, _params(_known(request)))) as heard:
                async for content in heard:
                    yield _event(content)
        except (NotAnswered, NucleusError, OSError) as error:
            await _abort(context, error)

    async def _heard(
        self, method: str, params: dict[str, Any]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """What the proxy says of one request, its result last. Raises NotAnswered."""
        reader, writer = await self._reach()
        try:
            writer.write(wire.request(1, method, params) + b"\n")
            await writer.drain()
            while line := await wire.read_line(reader, wire.ANSWER_BYTES):
                frame = wire.parse(line, from_server=True, limit=wire.ANSWER_BYTES)
                if frame.method == _PROGRESS:
                    yield frame.params
                elif frame.kind == "response":
                    if "error" in frame.value:
                        raise NotAnswered.read(frame.value["error"])
                    yield frame.value["result"]
                    return
            raise NotAnswered.ended()
        finally:
            writer.close()


def _params(asked: pb.CallRequest) -> dict[str, Any]:
    """The same call as MCP spells it. Raises CredentialError."""
    args = arguments.parse(asked.arguments or b"{}", wire.FRAME_BYTES)
    meta: dict[str, Any] = {"progressToken": 1, methods.WAIT: not asked.no_wait}
    if asked.references:
        meta[methods.REFERENCES] = dict(asked.references)
    return {"name": asked.tool, "arguments": args, "_meta": meta}


def _event(content: dict[str, Any]) -> pb.CallEvent:
    if "progressToken" in content:
        return pb.CallEvent(waiting=pb.Waiting(message=content["message"]))
    return pb.CallEvent(result=results.result(content))


def _read(kind: Any, raw: bytes) -> Any:
    """A request; None for what is none, and for one that says what nobody knows."""
    try:
        made = kind.FromString(raw)
    except DecodeError:
        return None
    return made if not len(UnknownFieldSet(made)) else None


def _known(request: Any) -> Any:
    if request is None:
        raise CredentialError(
            "call.params",
            "This is no request of this service.",
            hint="Its fields are those of nucleus_proxy/rpc/tools.proto.",
        )
    return request


def _written(message: Message) -> bytes:
    return message.SerializeToString()


async def _abort(context: Any, error: Exception) -> NoReturn:
    match error:
        case NotAnswered():
            why = error
        case NucleusError():
            why = NotAnswered.of(error)
        case _:
            why = NotAnswered.ended()
    metadata = ((CODE, why.code),) if why.code else ()
    await context.abort(why.status, why.says, metadata)
    raise AssertionError("an aborted call goes on")

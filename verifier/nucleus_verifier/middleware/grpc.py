"""Law: the method behind it runs only for calls that were admitted, on the bytes that were judged.

A gRPC server interceptor. A call is POST /package.Service/Method with the message as an opaque
body; one that streams its requests shows no body, so no credential may speak about it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn

import grpc
import grpc.aio

from nucleus_verifier.sidecar.answers import PUBLIC, Admitted, Refused
from nucleus_verifier.sidecar.asked import Asked
from nucleus_verifier.sidecar.gate import Check

_BEARER: Final = "Bearer "


class NucleusInterceptor(grpc.aio.ServerInterceptor):
    """`grpc.aio.server(interceptors=[NucleusInterceptor(check, host)])`; `host` as routes name it.
    The credential is in the metadata `authorization: Bearer …`."""

    def __init__(self, check: Check, host: str) -> None:
        self._check = check
        self._host = host

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        found = await continuation(details)
        if found is None:
            return None
        read = found.request_deserializer or (lambda data: data)
        if found.unary_unary or found.stream_unary:
            run = found.unary_unary or found.stream_unary

            async def unary(given: Any, context: Any) -> Any:
                return await run(await self._admit(given, context, details, read), _Bare(context))

            make: Any = grpc.stream_unary_rpc_method_handler
            if found.unary_unary:
                make = grpc.unary_unary_rpc_method_handler
            return make(unary, _raw(found, read), found.response_serializer)
        streams = found.unary_stream or found.stream_stream

        async def stream(given: Any, context: Any) -> Any:
            message = await self._admit(given, context, details, read)
            async for each in streams(message, _Bare(context)):
                yield each

        make = grpc.stream_stream_rpc_method_handler
        if found.unary_stream:
            make = grpc.unary_stream_rpc_method_handler
        return make(stream, _raw(found, read), found.response_serializer)

    async def _admit(self, given: Any, context: Any, details: Any, read: Any) -> Any:
        values = [v for k, v in context.invocation_metadata() or () if k == "authorization"]
        if len(values) != 1 or not str(values[0]).startswith(_BEARER):
            await _refuse(context, PUBLIC)
        body = given if isinstance(given, bytes) else None
        credential = str(values[0])[len(_BEARER) :]
        asked = Asked(credential, "POST", self._host, details.method, body)
        answer = await self._check(asked)
        if not isinstance(answer, Admitted):
            gone = isinstance(answer, Refused) and answer.code == "verifier.unavailable"
            fields = answer.fields()
            await _refuse(context, f"{fields['sentence']} [{fields['code']}]", gone)
        return given if body is None else read(body)


class _Bare:
    """A context without the credential."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def invocation_metadata(self) -> tuple[Any, ...]:
        found = self._context.invocation_metadata() or ()
        return tuple(each for each in found if each[0] != "authorization")


def _raw(handler: Any, read: Any) -> Any:
    return read if handler.request_streaming else None


async def _refuse(context: Any, why: str, gone: bool = False) -> NoReturn:
    code = grpc.StatusCode.UNAVAILABLE if gone else grpc.StatusCode.PERMISSION_DENIED
    await context.abort(code, why)
    raise AssertionError("abort returns to nobody")

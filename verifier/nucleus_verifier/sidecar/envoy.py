"""Law: what Envoy shows is what it will forward: all of the body, and the path it has settled on.

`envoy.service.auth.v3.Authorization/Check`, by a private reading of its messages
(rpc/ext_authz.proto). The credential is taken out before the upstream sees the request.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final

import grpc
import grpc.aio

from nucleus_verifier.rpc import ext_authz_pb2 as pb
from nucleus_verifier.sidecar import conventions
from nucleus_verifier.sidecar.answers import STRANGER, Admitted, Refused
from nucleus_verifier.sidecar.asked import Asked, Unreadable, claims
from nucleus_verifier.sidecar.gate import Check, Log
from nucleus_verifier.sidecar.http import DECISION
from nucleus_verifier.sidecar.settings import Listener

SERVICE: Final = "envoy.service.auth.v3.Authorization"
_PERMISSION_DENIED: Final = 7
_UNAVAILABLE: Final = 14
_OVERWRITE: Final = 2
_PARTIAL: Final = "x-envoy-auth-partial-body"


def handler(listener: Listener, check: Check, log: Log) -> grpc.GenericRpcHandler:
    """The one method, for `add_generic_rpc_handlers`."""

    async def serve(request: pb.CheckRequest, context: Any) -> pb.CheckResponse:
        try:
            only_gateway(listener, context)
            asked = read(listener, request)
        except Unreadable as error:
            log("refused", {"listener": listener.name, "why": claims(str(error))})
            return _refusal(403, STRANGER)
        answer = await check(asked)
        if isinstance(answer, Admitted):
            header = pb.HeaderValue(key=DECISION.lower(), value=str(answer.seq))
            option = pb.HeaderValueOption(header=header, append_action=_OVERWRITE)
            passed = pb.OkHttpResponse(headers=[option], headers_to_remove=[listener.header])
            return pb.CheckResponse(status=pb.Status(code=0), ok_response=passed)
        unavailable = isinstance(answer, Refused) and answer.code == "verifier.unavailable"
        return _refusal(503 if unavailable else 403, answer.fields())

    method = grpc.unary_unary_rpc_method_handler(
        serve, pb.CheckRequest.FromString, pb.CheckResponse.SerializeToString
    )
    made: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(SERVICE, {"Check": method})
    return made


def only_gateway(listener: Listener, context: Any) -> None:
    """Where a gateway is named, nobody else may ask. Raises Unreadable."""
    if not listener.gateway:
        return
    from nucleus_verifier.rpc import mtls  # heavy, and of no use where nobody is named

    named = mtls.parse_id(listener.gateway)
    found = mtls.peer(context.auth_context(), named.trust_domain)
    if found is None or found[0] != named:
        raise Unreadable("listener.gateway")
    # A connection outlives the identity it was made with.
    if time.time() >= found[1]:
        raise Unreadable("listener.gateway.expired")


def read(listener: Listener, request: pb.CheckRequest) -> Asked:
    """Raises Unreadable."""
    source, http = request.attributes.source, request.attributes.request.http
    headers = http.headers
    body = http.raw_body or http.body.encode()
    if headers.get("content-encoding"):
        raise Unreadable("body.encoding")
    if headers.get(_PARTIAL, "false") != "false":
        raise Unreadable("body.partial")
    if not body and (headers.get("transfer-encoding") or headers.get("content-length", "0") != "0"):
        # It has one, and this Envoy does not show it.
        raise Unreadable("body.missing")
    principal = source.principal if listener.peer else ""
    return Asked(
        conventions.credential(listener, headers.get(listener.header)),
        http.method,
        http.host,
        http.path,
        body,
        headers.get("content-type", ""),
        principal if principal.startswith("spiffe://") else None,
        headers.get("traceparent", ""),
    )


def _refusal(status: int, fields: dict[str, Any]) -> pb.CheckResponse:
    header = pb.HeaderValue(key="content-type", value="application/json")
    denied = pb.DeniedHttpResponse(
        status=pb.HttpStatus(code=status),
        headers=[pb.HeaderValueOption(header=header, append_action=_OVERWRITE)],
        body=json.dumps(fields),
    )
    code = _UNAVAILABLE if status == 503 else _PERMISSION_DENIED
    return pb.CheckResponse(status=pb.Status(code=code), denied_response=denied)

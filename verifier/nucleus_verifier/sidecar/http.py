"""Law: over HTTP the answer is a status, and for a refusal one small JSON object.

Serves nginx's auth_request, forward-auth (Caddy, Traefik) and Envoy's ext_authz over HTTP. One
listener speaks one convention.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

from aiohttp import HttpVersion10, HttpVersion11, web

from nucleus_verifier.sidecar import conventions
from nucleus_verifier.sidecar.answers import STRANGER, Admitted, Answer, Refused, Waiting
from nucleus_verifier.sidecar.asked import Asked, Unreadable, claims
from nucleus_verifier.sidecar.gate import Check, Log
from nucleus_verifier.sidecar.settings import Listener

# What Envoy puts before the path, and where the others ask.
PREFIX: Final = "/check"
DECISION: Final = "X-Nucleus-Decision"
BODY_BYTES: Final = 4 * 1024 * 1024
BODY_SECONDS: Final = 5.0
_PARTIAL: Final = "x-envoy-auth-partial-body"
_CREDENTIALS: Final = struct.Struct("3i")


def application(listener: Listener, check: Check, log: Log) -> web.Application:
    """The whole of one listener."""

    async def handle(request: web.Request) -> web.Response:
        try:
            _peer_admitted(listener, request)
            asked = await _read(listener, request)
        except Unreadable as error:
            log("refused", {"listener": listener.name, "why": claims(str(error))})
            return web.json_response(STRANGER, status=403)
        return respond(await check(asked))

    app = web.Application(client_max_size=BODY_BYTES)
    app.router.add_route("*", "/{any:.*}", handle)
    return app


def respond(answer: Answer) -> web.Response:
    """One answer as HTTP."""
    match answer:
        case Admitted():
            return web.Response(headers={DECISION: str(answer.seq)})
        case Waiting():
            return web.json_response(answer.fields(), status=403)
        case Refused():
            status = 503 if answer.code == "verifier.unavailable" else 403
            return web.json_response(answer.fields(), status=status)


def _peer_admitted(listener: Listener, request: web.Request) -> None:
    if listener.uid is None:
        return
    sock = None if request.transport is None else request.transport.get_extra_info("socket")
    if sock is None:
        raise Unreadable("listener.uid")
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    if _CREDENTIALS.unpack(data)[1] != listener.uid:
        raise Unreadable("listener.uid")


async def _read(listener: Listener, request: web.Request) -> Asked:
    if request.version not in (HttpVersion10, HttpVersion11):
        raise Unreadable("http.version")
    if listener.convention != "envoy-http":
        return conventions.from_subrequest(listener, request.headers)
    target = request.raw_path
    if not target.startswith(PREFIX + "/"):
        raise Unreadable("target.prefix")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise Unreadable("body.large") from error
    except (TimeoutError, web.RequestPayloadError) as error:
        raise Unreadable("body.arrival") from error
    if conventions.single(request.headers, _PARTIAL) == "true":
        raise Unreadable("body.partial")
    if conventions.single(request.headers, "content-encoding"):
        raise Unreadable("body.encoding")
    return Asked(
        conventions.credential(listener, conventions.single(request.headers, listener.header)),
        request.method,
        conventions.needed(request.headers, "host"),
        target[len(PREFIX) :],
        body,
        conventions.single(request.headers, "content-type") or "",
        trace=conventions.trace_of(request.headers),
    )

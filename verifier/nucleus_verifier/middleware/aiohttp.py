"""Law: the handler behind it sees only requests that were admitted, as they were judged.

aiohttp middleware: `web.Application(middlewares=[nucleus(check)])`. The body is read, within the
application's `client_max_size`, before it is judged; the handler gets the same bytes. Run the
application with `auto_decompress=False`, or packed bodies are refused anyway.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from nucleus_verifier.sidecar.answers import STRANGER, Admitted, Answer
from nucleus_verifier.sidecar.asked import Asked, Unreadable
from nucleus_verifier.sidecar.conventions import BEARER, needed, single
from nucleus_verifier.sidecar.gate import Check
from nucleus_verifier.sidecar.http import respond

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# The answer under which a handler's request was admitted.
ADMITTED: Final[web.RequestKey[Admitted]] = web.RequestKey("nucleus", Admitted)


def nucleus(check: Check) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
    """The middleware. `check` is a `Gate`, or a `Remote` that asks a sidecar."""

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            asked = await _read(request)
        except Unreadable:
            return web.json_response(STRANGER, status=403)
        answer: Answer = await check(asked)
        if not isinstance(answer, Admitted):
            return respond(answer)
        stripped = request.headers.copy()
        stripped.pop("authorization")
        # Only what was not read is cloned, and there is nothing left to read: what was read moves.
        request._read_bytes = None
        bare = request.clone(headers=stripped)
        bare._read_bytes = asked.body
        bare._match_info = request.match_info
        bare[ADMITTED] = answer
        return await handler(bare)

    return admit


async def _read(request: web.Request) -> Asked:
    value = single(request.headers, "authorization")
    if value is None or not value.startswith(BEARER):
        raise Unreadable("credential.missing")
    if single(request.headers, "content-encoding"):
        raise Unreadable("body.encoding")
    return Asked(
        value[len(BEARER) :],
        request.method,
        needed(request.headers, "host"),
        request.raw_path,
        await request.read(),
        single(request.headers, "content-type") or "",
    )

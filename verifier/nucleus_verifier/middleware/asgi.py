"""Law: the application behind it sees only requests that were admitted, whole and as judged.

ASGI middleware over HTTP. What is no HTTP request (a WebSocket) is refused: no caveat speaks of it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from nucleus_verifier.sidecar.answers import STRANGER, Admitted, Refused
from nucleus_verifier.sidecar.asked import Asked
from nucleus_verifier.sidecar.gate import Check

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
BODY_BYTES: Final = 1024 * 1024


class NucleusMiddleware:
    """`NucleusMiddleware(app, check)`; the credential is in `Authorization: Bearer`."""

    def __init__(self, app: App, check: Check, *, body_bytes: int = BODY_BYTES) -> None:
        self._app = app
        self._check = check
        self._body_bytes = body_bytes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        credential, host = _one(scope, b"authorization"), _one(scope, b"host")
        if not credential.startswith("Bearer ") or _one(scope, b"content-encoding"):
            await _answer(send, 403, STRANGER)
            return
        body = await self._read(receive)
        if body is None:
            await _answer(send, 413, STRANGER)
            return
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        target = (scope.get("raw_path") or b"").partition(b"?")[0] + query
        media = _one(scope, b"content-type")
        asked = Asked(credential[7:], scope["method"], host, target.decode("latin-1"), body, media)
        answer = await self._check(asked)
        if not isinstance(answer, Admitted):
            gone = isinstance(answer, Refused) and answer.code == "verifier.unavailable"
            await _answer(send, 503 if gone else 403, answer.fields())
            return
        headers = [each for each in scope["headers"] if each[0].lower() != b"authorization"]
        once = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replay() -> Message:
            return next(once, None) or await receive()

        await self._app({**scope, "headers": headers, "nucleus": answer}, replay, send)

    async def _read(self, receive: Receive) -> bytes | None:
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._body_bytes:
                return None
            if not message.get("more_body"):
                return b"".join(parts)


def _one(scope: Message, name: bytes) -> str:
    found = [value for key, value in scope["headers"] if key.lower() == name]
    return found[0].decode("latin-1") if len(found) == 1 else "\0" if found else ""


async def _answer(send: Send, status: int, fields: Any) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(fields).encode()})

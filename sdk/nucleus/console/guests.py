"""Law: what another host asks is put before the same person, and shown only if it is what it says.

The other half of `couriers`: a host that has our secret may ask, look again and take back. The
digest that an approval will be bound to is made again from the arguments that are shown; what does
not agree, or is not shown whole, is refused before a person sees it.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from nucleus import shapes
from nucleus_issuer.store import Store
from nucleus_tokens import arguments, chain, crypto, jcs, names
from nucleus_tokens.errors import CallerError, CredentialError, NucleusError
from nucleus_tokens.fields import hexed
from nucleus_verifier.ports import PendingRequest

PREFIX: Final = "/v1"
_LONGEST: Final = 24 * 3600
_FIELDS: Final = frozenset(
    ("call_digest", "cell", "created", "expires", "id", "obligations", "operation", "rid", "shown",
     "tid", "tool", "v")
)  # fmt: skip


class Guests:
    """Requests of other hosts."""

    def __init__(self, store: Store, secret: str, clock: Callable[[], int], user: str) -> None:
        """`secret` is what they prove to know; `user` is where a person answers."""
        self._store = store
        self._secret = secret
        self._clock = clock
        self._user = user

    def admits(self, request: web.Request) -> bool:
        """Whether it is a host that we know, and no page in somebody's browser."""
        given = request.headers.get("Authorization", "").encode()
        wanted = f"Bearer {self._secret}".encode()
        return "Origin" not in request.headers and hmac.compare_digest(given, wanted)

    def routes(self, router: web.UrlDispatcher) -> None:
        """Add what they may ask."""
        router.add_post(f"{PREFIX}/requests", self._ask)
        router.add_get(f"{PREFIX}/requests/{{id}}", self._look)
        router.add_delete(f"{PREFIX}/requests/{{id}}", self._withdraw)

    async def _ask(self, request: web.Request) -> web.Response:
        asked = read(await request.read(), self._clock())

        def work() -> None:
            try:
                self._store.ask(asked)
            except CallerError as error:
                if error.code != "desk.duplicate":
                    raise

        await asyncio.to_thread(work)
        return await self._state(asked.id)

    async def _look(self, request: web.Request) -> web.Response:
        return await self._state(request.match_info["id"])

    async def _withdraw(self, request: web.Request) -> web.Response:
        await asyncio.to_thread(self._store.withdraw, request.match_info["id"])
        return web.Response(status=204)

    async def _state(self, id_: str) -> web.Response:
        found = await asyncio.to_thread(self._store.status, id_)
        match found.status:
            case "pending":
                poll = f"/requests/{id_}"
                return web.json_response({"poll": poll, "user": self._user}, status=202)
            case "approved":
                signed = await asyncio.to_thread(self._store.approval_of, id_)
                return web.json_response({"approval": chain.to_text(signed or b"")}, status=201)
            case "denied":
                return web.json_response({"denied": found.reason}, status=403)
            case _:
                return web.json_response({}, status=410)


def read(data: bytes, now: int) -> PendingRequest:
    """A request of another host. Raises CallerError `desk.request`."""
    try:
        value = shapes.table(arguments.parse(data))
        if value is None or value.keys() != _FIELDS or value["v"] != 1:
            raise ValueError("fields")
        return _checked(value, now)
    except (ValueError, TypeError, KeyError, RecursionError, NucleusError) as error:
        raise CallerError("desk.request", "This is no request that can be shown.") from error


def _checked(value: Mapping[str, Any], now: int) -> PendingRequest:
    for field in ("tid", "rid"):
        hexed(value[field], 16)
    hexed(value["id"], 8)
    expires = value["expires"]
    if type(expires) is not int or not now < expires <= now + _LONGEST:
        raise ValueError("expires")
    shown = shapes.table(json.loads(value["shown"])) or {}
    if shown.get("args_whole") is not True or shown.get("operation") != value["operation"]:
        raise ValueError("shown")
    tool = value["tool"].encode("utf-8")
    args = jcs.digest(arguments.parse(shown["args"].encode("utf-8")))
    said = crypto.sha256(b"nucleus/call/v1\0" + len(tool).to_bytes(4, "big") + tool + args).hex()
    if said != value["call_digest"]:
        raise CredentialError("desk.request", "What is shown is not what would be signed.")
    return PendingRequest(
        id=value["id"],
        created=now,
        expires=expires,
        tid=value["tid"],
        rid=value["rid"],
        cell=str(value["cell"])[:512],
        operation=names.operation(value["operation"]),
        tool=value["tool"],
        call_digest=said,
        obligations=tuple((str(id_), str(why)) for id_, why in value["obligations"]),
        shown=value["shown"],
    )

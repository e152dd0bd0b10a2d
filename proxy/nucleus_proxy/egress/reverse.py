"""Law: to a model only what was judged goes, with the proxy's credential and nothing of the
agent's; what comes back is metered, scrubbed and on record.

The reverse routes /model/NAME, and the way to those of /sink/NAME. Of the agent's headers none is
passed on but the version of an API.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Final

from nucleus_proxy.answers import Granted, Refusal
from nucleus_proxy.effects import net
from nucleus_proxy.egress import http1, model, secrets, sink
from nucleus_proxy.egress.http1 import Exchange, Head, Request
from nucleus_proxy.egress.httpd import Asked, Client, error_body
from nucleus_proxy.egress.meter import Account
from nucleus_proxy.egress.model import Order
from nucleus_proxy.egress.outside import Outside
from nucleus_proxy.egress.routes import Route
from nucleus_proxy.egress.secrets import Secret
from nucleus_proxy.egress.sink import injected, shown, target
from nucleus_proxy.egress.url import Target
from nucleus_proxy.egress.usage import Usage, Watch, said, visible
from nucleus_proxy.live import WasCut, check
from nucleus_tokens.errors import CredentialError, NucleusError, WorldError

ANSWER_BYTES: Final = 16 * 1024 * 1024
STREAM_BYTES: Final = 256 * 1024 * 1024
IDLE_SECONDS: Final = 300.0
PAY_TEXT: Final = 2048  # bytes of a model's text between two payments
_VERSION: Final = "2023-06-01"  # of the Anthropic API, where the agent names none
_KINDS: Final = {"model": "model", "sink": "trusted_sink"}


async def serve(outside: Outside, client: Client, asked: Asked) -> None:
    """Answer one request in origin form. Raises CredentialError for what is no request of a
    route."""
    _, kind, name, rest = [*asked.target.split("/", 3), "", "", ""][:4]
    route = outside.rules.routes.get(name)
    if route is None or _KINDS.get(kind) != route.kind:
        raise CredentialError(
            "route.unknown",
            "There is no such route here.",
            hint="Routes stand in the operator's policy: [egress.routes.NAME].",
        )
    if route.kind == "model":
        await _model(outside, client, asked, route, "/" + rest)
    else:
        await sink.serve(outside, client, asked, route, "/" + rest)


# Models -----------------------------------------------------------------------------------------


async def _model(outside: Outside, client: Client, asked: Asked, route: Route, path: str) -> None:
    raw = await client.body(model.BODY_BYTES)
    try:
        order = model.read(route, asked.method, path, raw)
    except CredentialError as error:
        await client.refuse(400, Refusal.failed(error))
        return
    done = await outside.decide(client, asked, order.bound)
    if isinstance(done, Refusal):
        await client.refuse(403, done)
        return
    account = outside.meter.account(done)
    try:
        refusal = await account.promise(order.costs(order.worst))
        if refusal is not None:
            await outside.mediator.outcome(done, ok=False, result=refusal.code.encode())
            await client.refuse(403, refusal)
            return
        await _Answer(outside, client, done, order, account).run(asked)
    except NucleusError as error:
        await outside.failed(client, done, error)
    finally:
        account.release()


class _Answer:
    """One answer of a model on its way back."""

    def __init__(
        self, outside: Outside, client: Client, granted: Granted, order: Order, account: Account
    ) -> None:
        self._outside = outside
        self._client = client
        self._granted = granted
        self._order = order
        self._account = account
        self._cut: Refusal | None = None
        self._paid = Usage(0, 0)

    async def run(self, asked: Asked) -> None:
        outside, granted, order = self._outside, self._granted, self._order
        key, secret = injected(outside, order.route)
        goal = target(order.route, order.endpoint)
        headers = [
            (b"accept", b"text/event-stream" if order.stream else b"application/json"),
            (b"accept-encoding", b"identity"),
            (b"user-agent", b"nucleus"),
            key,
        ]
        if order.body is not None:
            headers.append((b"content-type", b"application/json"))
        if order.route.shape == "anthropic":
            version = asked.one("anthropic-version") or _VERSION
            headers.append((b"anthropic-version", version.encode("ascii", "replace")))
        exchange = await net.send(
            granted.permit, granted.call, outside.mediator.wall,
            outside.fetcher.dialer, goal, IDLE_SECONDS,
        )  # fmt: skip

        def cut(refusal: Refusal) -> None:
            self._cut = self._cut or refusal
            exchange.abort()

        async with exchange:
            with outside.live.held(check(granted.permit, granted.standing), cut):
                await self._exchanged(exchange, goal, headers, secret)

    async def _exchanged(
        self,
        exchange: Exchange,
        goal: Target,
        headers: list[tuple[bytes, bytes]],
        secret: Secret,
    ) -> None:
        order = self._order
        try:
            head = await exchange.ask(
                Request(order.method, goal.path, goal.authority, headers, order.sent)
            )
            if 300 <= head.status < 400:
                raise WorldError("net.redirect", "The provider answers with a redirect.")
            streamed = order.stream and head.status == 200
            pieces = http1.plain(
                exchange.pieces(),
                head.one("content-encoding").lower(),
                STREAM_BYTES if streamed else ANSWER_BYTES,
            )
            if streamed:
                await self._stream(head, pieces, secret)
            else:
                await self._whole(head, pieces, secret)
        except WorldError as error:
            # It was asked: what it used before it failed is paid for.
            await self._settle(None, 0)
            if self._cut is not None:
                raise WasCut(self._cut.code, self._cut.sentence) from error
            raise

    async def _whole(self, head: Head, pieces: AsyncIterator[bytes], secret: Secret) -> None:
        body = b"".join([piece async for piece in secrets.scrubbed(pieces, [secret])])
        if head.status < 400:
            try:
                value = json.loads(body)
            except (ValueError, RecursionError):
                value = None
            # Vectors are numbers, not text: an answer of them makes no tokens.
            made = 0 if self._order.endpoint == "/v1/embeddings" else visible(value)
            refusal = await self._settle(said(value), made)
        else:
            refusal = None
        await self._recorded(head, body, refusal)
        if refusal is not None:
            await self._client.refuse(403, refusal)
        else:
            await self._client.whole(head.status, shown(head, secret), body)

    async def _stream(self, head: Head, pieces: AsyncIterator[bytes], secret: Secret) -> None:
        """Pass a stream on, and pay for it as it goes."""
        watch = Watch()
        refusal: Refusal | None = None
        self._client.begin(head.status, shown(head, secret))
        passed = 0
        seen = b""
        try:
            async for piece in secrets.scrubbed(pieces, [secret]):
                watch.feed(piece)
                if watch.text_bytes - passed >= PAY_TEXT:
                    passed = watch.text_bytes
                    refusal = await self._running(passed)
                    if refusal is not None:
                        break
                seen = piece
                await self._client.piece(piece)
        except WorldError as error:
            refusal = self._cut or Refusal.failed(error)
        except ConnectionError:
            # The client left: what was made for it is paid all the same.
            await self._recorded(head, seen, await self._settle(watch.usage, watch.text_bytes))
            raise
        settled = await self._settle(watch.usage, watch.text_bytes)
        refusal = refusal or settled
        await self._recorded(head, seen, refusal)
        if refusal is not None:
            self._outside.log(f"a stream of {self._order.route.name} was cut: {refusal.code}")
            await self._client.piece(_last_words(self._order.route, refusal))
            self._client.writer.close()
            return
        await self._client.end()

    async def _running(self, text_bytes: int) -> Refusal | None:
        """Pay for what a stream made so far, by the least it can have been."""
        order = self._order
        least = order.bounded(Usage(0, 0), text_bytes)
        if -(-text_bytes // model.LONGEST_TOKEN) > order.output_most:
            return Refusal("model.endless", 0, "The answer is longer than was asked for.", "")
        return await self._pay(least)

    async def _settle(self, told: Usage | None, text_bytes: int) -> Refusal | None:
        """Pay what is still owed: what the provider told, within what can be true."""
        order = self._order
        if not order.metered:
            return None
        if told is None:
            return await self._pay(order.estimate(text_bytes))
        return await self._pay(order.bounded(told, text_bytes))

    async def _pay(self, used: Usage) -> Refusal | None:
        before = self._order.costs(self._paid)
        self._paid = self._paid.most(used)
        after = self._order.costs(self._paid)
        owed = {unit: after[unit] - before[unit] for unit in after}
        return await self._account.pay(owed) if any(owed.values()) else None

    async def _recorded(self, head: Head, body: bytes, refusal: Refusal | None) -> None:
        result = json.dumps([head.status, list(self._paid)]).encode() + b"\n" + body
        ok = refusal is None and head.status < 400
        await self._outside.mediator.outcome(self._granted, ok=ok, result=result)


def _last_words(route: Route, refusal: Refusal) -> bytes:
    """How a stream that was cut tells its client, in the client's own form."""
    event = b"event: error\n" if route.shape == "anthropic" else b""
    return b"\n\n" + event + b"data: " + json.dumps(error_body(refusal)).encode() + b"\n\n"

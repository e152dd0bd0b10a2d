"""Law: a trusted sink is one host with the proxy's credential: no way out, because nobody the agent
could write to listens there.

The reverse routes /sink/NAME, and what all routes share: the secret that is added, the one host a
path stays on, the headers that come back.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Final

from nucleus_proxy.answers import Refusal
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.effects import net
from nucleus_proxy.egress import http1, secrets, url
from nucleus_proxy.egress.http1 import Head, Request
from nucleus_proxy.egress.httpd import Asked, Client
from nucleus_proxy.egress.outside import Outside
from nucleus_proxy.egress.routes import Route
from nucleus_proxy.egress.secrets import Scrubber, Secret
from nucleus_proxy.egress.tunnel import NOTHING_ELSE
from nucleus_proxy.egress.url import Target
from nucleus_tokens import projection
from nucleus_tokens.errors import CredentialError, NucleusError, WorldError
from nucleus_verifier.facts import Selector

_BACK: Final = ("content-type", "retry-after", "x-request-id", "request-id", "x-should-retry")


def injected(outside: Outside, route: Route) -> tuple[tuple[bytes, bytes], Secret]:
    """The header with the route's secret, and the secret."""
    secret = outside.secrets[route.secret]
    value = route.prefix.encode() + secret.dangerously_value()
    return (route.header.encode(), value), secret


def target(route: Route, path: str) -> Target:
    """Where a request of the route goes. Raises CredentialError `net.url`."""
    goal = url.parse(route.base.origin + route.base.path.rstrip("/") + path)
    if goal.authority != route.base.authority:
        raise CredentialError("net.url", "This URL cannot be used: it leaves the route.")
    return goal


def shown(head: Head, secret: Secret) -> list[tuple[str, str]]:
    """Of an answer's headers those that say nothing of the account."""
    scrub = Scrubber(secret)
    return [(name, scrub.text(head.one(name))) for name in _BACK if head.one(name)]


def bound(route: Route, method: str, path: str, body: bytes, kind: str) -> BoundCall:
    """The call of a request to a trusted sink. Raises CredentialError `route.closed`."""
    goal = target(route, path)
    inside = goal.path.removeprefix(route.base.path.rstrip("/"))
    if method not in route.methods:
        raise CredentialError("route.closed", f"{method} is not open on this route.")
    place = inside.partition("?")[0] + "/"
    if not any(place.startswith(prefix.rstrip("/") + "/") for prefix in route.paths):
        raise CredentialError("route.closed", "This path is not open on this route.")
    authority = route.base.authority
    args = {"method": method, "path": inside, "content_type": kind}
    if body:
        try:
            args["body"] = body.decode("utf-8")
        except UnicodeDecodeError:
            args["base64"] = base64.b64encode(body).decode("ascii")
    return BoundCall(
        tool=route.tool,
        args=args,
        operation=route.operation,
        sink=route.sink,
        resources={**NOTHING_ELSE, "host": (authority,)},
        # Nobody the agent could write to listens there: the host vouches for the path.
        selectors=(Selector("/path", "host", authority),),
        records=projection.records(route.operation),
        projects=projection.projects(route.operation, True, False, 0),
        costs={"bytes_out": len(inside) + len(body)},
        obliged=False,
        classified=True,
    )


async def serve(outside: Outside, client: Client, asked: Asked, route: Route, path: str) -> None:
    """Answer one request of a trusted sink. Raises CredentialError for what is no request."""
    limits = outside.fetcher.limits
    body = await client.body(limits.body_bytes)
    kind = asked.one("content-type") or "application/octet-stream"
    done = await outside.decide(client, asked, lambda: bound(route, asked.method, path, body, kind))
    if isinstance(done, Refusal):
        await client.refuse(403, done)
        return
    key, secret = injected(outside, route)
    goal = target(route, path)
    headers = [(b"accept-encoding", b"gzip"), (b"user-agent", b"nucleus"), key]
    if body:
        headers.append((b"content-type", kind.encode("latin-1")))
    if asked.one("accept"):
        headers.append((b"accept", asked.one("accept").encode("latin-1")))
    try:
        async with asyncio.timeout(limits.seconds):
            exchange = await net.send(
                done.permit, done.call, outside.mediator.wall,
                outside.fetcher.dialer, goal, limits.idle_seconds,
            )  # fmt: skip
            async with exchange:
                head = await exchange.ask(
                    Request(asked.method, goal.path, goal.authority, headers, body)
                )
                pieces = http1.plain(
                    exchange.pieces(), head.one("content-encoding").lower(), limits.answer_bytes
                )
                answer = b"".join([each async for each in secrets.scrubbed(pieces, [secret])])
    except TimeoutError:
        late = WorldError("net.slow", "The answer takes too long.")
        await outside.failed(client, done, late)
        return
    except NucleusError as error:
        await outside.failed(client, done, error)
        return
    await outside.mediator.outcome(done, ok=head.status < 400, result=answer)
    await client.whole(head.status, shown(head, secret), answer)

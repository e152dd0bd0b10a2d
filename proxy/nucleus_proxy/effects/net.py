"""Law: nothing leaves for the network but under a permit, to the host that was judged.

The four effects of the network: a fetch, a search, a tunnel and a request on a route. Each uses its
permit first, and connects only where the decided call says it may.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import asdict
from functools import partial
from typing import Any, Final

from nucleus_proxy.answers import Granted
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.egress import fetching, http1, url
from nucleus_proxy.egress.dial import Connection, Dialer
from nucleus_proxy.egress.fetching import Fetched, Fetcher, Hit, Order, SearchProvider
from nucleus_proxy.egress.http1 import Exchange, Request
from nucleus_proxy.egress.url import Target
from nucleus_proxy.native import NativeTool, Param, Tools, Value
from nucleus_proxy.toolrules import ToolBinding
from nucleus_tokens import flow, labelling, lattice
from nucleus_tokens.errors import CallerError, NucleusError, WorldError
from nucleus_verifier.choosing import SelectorRule
from nucleus_verifier.commit import Permit
from nucleus_verifier.facts import Call

MOST_HITS: Final = 20
FETCH: Final = "net_fetch"
SEARCH: Final = "net_search"


def tools(client: Fetcher, provider: SearchProvider | None = None) -> Tools:
    """The tools of the network. Without a provider net_search says that there is none."""
    return {
        FETCH: NativeTool(
            binding=ToolBinding(
                tool=FETCH,
                operation=lattice.WEB_FETCH,
                sink=flow.default_sink(lattice.WEB_FETCH),
                selectors=(SelectorRule("/url", "url"),),
                payload=frozenset(("/method", "/accept", "/body", "/content_type")),
                defaults={f"/{name}": value for name, value in fetching.DEFAULTS.items()},
            ),
            says="Fetch a page. A redirect is told, not followed: going there is another call.",
            params={
                "url": Param("string", "http or https"),
                "method": Param("string", "GET (default) or HEAD; others by policy", optional=True),
                "accept": Param("string", "media types, for the Accept header", optional=True),
                "body": Param("string", "what to send, where the method takes it", optional=True),
                "content_type": Param("string", "of the body", optional=True),
            },
            run=partial(_run_fetch, client),
            refine=partial(_refine_fetch, client),
        ),
        SEARCH: NativeTool(
            binding=ToolBinding(
                tool=SEARCH,
                operation=lattice.WEB_SEARCH,
                sink=flow.default_sink(lattice.WEB_SEARCH),
                # A query leaves like a URL does.
                selectors=(SelectorRule("/query", "id"),),
                trusted_sink=provider is not None and provider.trusted_sink,
            ),
            says="Search the web.",
            params={"query": Param("string", "what to look for")},
            run=partial(_run_search, provider),
            refine=partial(_refine_search, provider),
        ),
    }


def _refine_fetch(client: Fetcher, bound: BoundCall) -> BoundCall:
    """Refuse what no decision could allow here, and price what leaves."""
    order = client.order(bound.args)
    return bound.priced({"bytes_out": len(order.target.url) + len(order.body)})


def _refine_search(provider: SearchProvider | None, bound: BoundCall) -> BoundCall:
    if provider is None:
        raise fetching.no_provider()
    return bound.touching("host", (provider.host,)).priced({"bytes_out": len(bound.args["query"])})


async def _run_fetch(client: Fetcher, granted: Granted, cell: str) -> Value:
    got = await fetch(granted.permit, granted.call, cell, client, granted.call.args)
    shown: dict[str, Any] = {
        "url": got.url,
        "status": got.status,
        "headers": dict(got.headers),
        "redirect": got.redirect,
    }
    try:
        shown["text"] = got.body.decode("utf-8")
    except UnicodeDecodeError:
        shown["base64"] = base64.b64encode(got.body).decode("ascii")
    if got.redirect is not None:
        return Value(shown, f"{got.status}: it points to {got.redirect}", got.label)
    return Value(shown, shown.get("text", f"{len(got.body)} bytes that are no text"), got.label)


async def _run_search(provider: SearchProvider | None, granted: Granted, cell: str) -> Value:
    hits = await search(granted.permit, granted.call, cell, provider, granted.call.args)
    text = "\n\n".join(f"{hit.title}\n{hit.url}\n{hit.text}" for hit in hits)
    return Value({"hits": [asdict(hit) for hit in hits]}, text, labelling.WEB_CONTENT)


def _use(permit: Permit, call: Call, cell: str, host: str) -> None:
    """Take the permit, for a call that was judged to touch exactly this host."""
    permit.use(operation=call.operation, call_digest=call.digest, cell=cell)
    if call.resources.get("host") != (host,):
        raise CallerError("effect.other_call", "This is not the call that was decided.")


async def fetch(permit: Permit, call: Call, cell: str, client: Fetcher, args: object) -> Fetched:
    """Do one fetch. A redirect is not followed: where it leads stands in the result, and going
    there is another call.

    Raises CallerError `permit.*` or `effect.other_call`, CredentialError `net.*` for a destination
    that may not be reached, WorldError `net.*` for an answer that failed or broke a limit.
    """
    if args is not call.args:
        raise CallerError("effect.other_call", "This is not the call that was decided.")
    order = client.order(args)
    _use(permit, call, cell, order.target.authority)
    try:
        async with asyncio.timeout(client.limits.seconds):
            return await _fetch(client, order)
    except TimeoutError as error:
        raise WorldError("net.slow", "The answer takes too long.") from error


async def _fetch(client: Fetcher, order: Order) -> Fetched:
    target, limits = order.target, client.limits
    headers = [(b"accept", order.accept.encode()), (b"accept-encoding", b"gzip")]
    headers.append((b"user-agent", b"nucleus"))
    if order.body:
        headers.append((b"content-type", order.content_type.encode()))
    connection = await client.dialer.dial(target.host, target.port, tls=target.scheme == "https")
    async with Exchange(connection, idle_seconds=limits.idle_seconds) as exchange:
        head = await exchange.ask(
            Request(order.method, target.path, target.authority, headers, order.body)
        )
        redirect = _redirect(target, head)
        body = b""
        empty = order.method == "HEAD" or head.status in (204, 304)
        if redirect is None and not empty and head.one("content-length") != "0":
            fetching.check_type(head.one("content-type"), limits.types)
            pieces = http1.plain(
                exchange.pieces(), head.one("content-encoding").lower(), limits.answer_bytes
            )
            body = b"".join([piece async for piece in pieces])
    shown = {name: head.one(name) for name in fetching.SHOWN if head.one(name)}
    return Fetched(target.url, head.status, shown, body, redirect)


def _redirect(target: Target, head: http1.Head) -> str | None:
    if head.status not in fetching.REDIRECTS:
        return None
    try:
        return url.join(target, head.one("location")).url
    except NucleusError as error:
        raise WorldError("net.redirect", "The answer points to no URL that can be used.") from error


async def search(
    permit: Permit, call: Call, cell: str, provider: SearchProvider | None, args: object
) -> tuple[Hit, ...]:
    """Ask the provider. Raises CallerError `net.no_search_provider` where there is none."""
    if provider is None:
        raise fetching.no_provider()
    if args is not call.args or type(args) is not dict or type(args.get("query")) is not str:
        raise CallerError("effect.other_call", "This is not the call that was decided.")
    _use(permit, call, cell, provider.host)
    return (await provider.search(args["query"], MOST_HITS))[:MOST_HITS]


async def tunnel(
    permit: Permit, call: Call, cell: str, dialer: Dialer, host: str, port: int
) -> Connection:
    """Open a connection for a tunnel. Nothing is sent on it yet."""
    _use(permit, call, cell, Target("https", host, port, "/").authority)
    return await dialer.dial(host, port, tls=False)


async def send(
    permit: Permit, call: Call, cell: str, dialer: Dialer, target: Target, idle_seconds: float
) -> Exchange:
    """Open an exchange on a route, to the one host that the operator gave it."""
    _use(permit, call, cell, target.authority)
    connection = await dialer.dial(target.host, target.port, tls=target.scheme == "https")
    return Exchange(connection, idle_seconds=idle_seconds)

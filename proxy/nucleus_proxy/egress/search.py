"""Law: a search goes to the one address that the operator named, with the proxy's own credential,
and its answer is read where the operator said, within bounds.

The `[search]` table of the policy file (docs/spec/policy.md) and the provider that it describes: a
GET with the query, answered in JSON. What comes back is the web's word, links included.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote, urlencode

from nucleus_proxy.egress import http1, secrets, url
from nucleus_proxy.egress.dial import Dialer, Private
from nucleus_proxy.egress.fetching import Hit, Limits, check_type
from nucleus_proxy.egress.http1 import Exchange, Request
from nucleus_proxy.egress.reading import flag, keys, over_tls, text
from nucleus_proxy.egress.routes import injected_in
from nucleus_proxy.egress.secrets import Secret
from nucleus_proxy.fields import bad
from nucleus_tokens.authority import MISSING, lookup
from nucleus_tokens.errors import CallerError, CredentialError, WorldError

QUERY_CHARS: Final = 1024
_JSON: Final = ("application/json", "application/*+json")
_TABLE: Final = ("url", "secret", "header", "query", "count", "answer", "trusted_sink")
_ANSWER: Final = ("hits", "title", "url", "text")
_MOST: Final = {"title": 512, "url": 2048, "text": 4096}  # characters of one hit that are kept


@dataclass(frozen=True, slots=True)
class SearchSpec:
    """A provider. `query` and `count` are the names of its parameters; `hits` is a JSON pointer
    into its answer, the others into each hit."""

    base: url.Target
    secret: str
    header: str
    prefix: str
    query: str = "q"
    count: str = ""
    hits: str = "/results"
    title: str = "/title"
    url: str = "/url"
    text: str = "/text"
    trusted_sink: bool = False


def parse(value: Any, known: Mapping[str, object], private: tuple[Private, ...]) -> SearchSpec:
    """The table; `known` are the names of secrets. Raises CallerError `policy.*`."""
    table = keys("search", value, _TABLE)
    try:
        base = url.parse(text("search.url", table.get("url")))
    except CredentialError as error:
        bad("search.url", error.message.removesuffix("."))
    if "?" in base.path:
        bad("search.url", "it has a query")
    over_tls("search.url", base, private)
    if type(table.get("secret")) is not str or table["secret"] not in known:
        bad("search.secret", "it names one of egress.secrets")
    header, prefix = injected_in("search", table.get("header", "authorization: Bearer {}"))
    answer = keys("search.answer", table.get("answer", {}), _ANSWER)
    made = SearchSpec(base, table["secret"], header, prefix)
    return replace(
        made,
        query=_word("search.query", table.get("query", made.query)),
        count=_word("search.count", table["count"]) if "count" in table else "",
        hits=_pointer("search.answer.hits", answer.get("hits", made.hits)),
        title=_pointer("search.answer.title", answer.get("title", made.title)),
        url=_pointer("search.answer.url", answer.get("url", made.url)),
        text=_pointer("search.answer.text", answer.get("text", made.text)),
        trusted_sink=flag("search.trusted_sink", table.get("trusted_sink", False)),
    )


def _word(where: str, value: Any) -> str:
    found = text(where, value)
    if not all(c.isalnum() or c in "-_." for c in found):
        bad(where, "the name of a parameter is letters, digits, '-', '_' and '.'")
    return found


def _pointer(where: str, value: Any) -> str:
    if value == "":
        return ""  # the whole answer
    found = text(where, value)
    if not found.startswith("/") or found.replace("~0", "").replace("~1", "").count("~"):
        bad(where, f"{found!r} is not a JSON pointer such as '/results'")
    return found


class HttpSearch:
    """The provider over HTTP."""

    def __init__(self, spec: SearchSpec, dialer: Dialer, limits: Limits, secret: Secret | None):
        """Without its `secret` it can be judged and not asked."""
        self._spec, self._dialer, self._limits, self._secret = spec, dialer, limits, secret

    @property
    def host(self) -> str:
        return self._spec.base.authority

    @property
    def trusted_sink(self) -> bool:
        return self._spec.trusted_sink

    async def search(self, query: str, most: int) -> tuple[Hit, ...]:
        """As `SearchProvider.search`. Raises CallerError `net.query`, `secret.source`, WorldError
        `net.*`."""
        if not 0 < len(query) <= QUERY_CHARS:
            raise CallerError("net.query", f"A query has 1 to {QUERY_CHARS} characters.")
        if self._secret is None:
            raise CallerError(
                "secret.source", f"The secret {self._spec.secret} comes from nowhere."
            )
        try:
            async with asyncio.timeout(self._limits.seconds):
                return self._read(await self._ask(query, most, self._secret), most)
        except TimeoutError as error:
            raise WorldError("net.slow", "The answer takes too long.") from error

    async def _ask(self, query: str, most: int, secret: Secret) -> bytes:
        spec = self._spec
        wanted = {spec.query: query, **({spec.count: str(most)} if spec.count else {})}
        try:
            asked = urlencode(wanted, quote_via=quote, safe="")
        except UnicodeEncodeError as error:
            raise CallerError("net.query", "The query is not Unicode.") from error
        headers = [
            (b"accept", b"application/json"),
            (b"accept-encoding", b"gzip"),
            (b"user-agent", b"nucleus"),
            (spec.header.encode(), spec.prefix.encode() + secret.dangerously_value()),
        ]
        base = spec.base
        connection = await self._dialer.dial(base.host, base.port, tls=base.scheme == "https")
        async with Exchange(connection, idle_seconds=self._limits.idle_seconds) as exchange:
            head = await exchange.ask(
                Request("GET", f"{base.path}?{asked}", base.authority, headers)
            )
            # No redirect is followed: the credential is for this address alone.
            if head.status != 200:
                raise WorldError("net.search", f"The search provider answered {head.status}.")
            check_type(head.one("content-type"), _JSON)
            pieces = http1.plain(
                exchange.pieces(), head.one("content-encoding").lower(), self._limits.answer_bytes
            )
            return b"".join([each async for each in secrets.scrubbed(pieces, [secret])])

    def _read(self, data: bytes, most: int) -> tuple[Hit, ...]:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise WorldError("net.search", "The search provider's answer is not JSON.") from error
        found = lookup(value, self._spec.hits) if self._spec.hits else value
        if type(found) is not list:
            raise WorldError("net.search", "The search provider's answer has no list of hits.")
        hits = (self._hit(each) for each in found[:most])
        return tuple(hit for hit in hits if hit.url)

    def _hit(self, value: Any) -> Hit:
        spec = self._spec
        return Hit(*(self._part(value, name, at) for name, at in (
            ("title", spec.title), ("url", spec.url), ("text", spec.text),
        )))  # fmt: skip

    @staticmethod
    def _part(value: Any, name: str, at: str) -> str:
        found = lookup(value, at) if type(value) is dict else MISSING
        return found[: _MOST[name]] if type(found) is str else ""

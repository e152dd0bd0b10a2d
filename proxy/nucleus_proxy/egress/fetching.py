"""Law: what may be fetched is said once, by the operator; what was fetched is the web's word.

`Fetcher` is what a composition hands to the effect: how to connect and within which limits.
`Order` is one fetch as its arguments say it, read once. Both are values; the effect that does it is
in `effects/net.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from nucleus_proxy.egress.dial import Dialer
from nucleus_proxy.egress.url import PORTS, Target, parse
from nucleus_tokens import labelling
from nucleus_tokens.errors import CallerError, CredentialError, WorldError

READS: Final = frozenset(("GET", "HEAD"))
METHODS: Final = READS | {"POST", "PUT", "PATCH", "DELETE"}
TEXTS: Final = (
    "text/*", "application/json", "application/*+json", "application/xml", "application/*+xml",
    "application/javascript", "application/x-ndjson", "application/yaml",
)  # fmt: skip
# An argument with this value says what it says by being left out.
DEFAULTS: Final = {
    "method": "GET", "accept": "*/*", "body": "", "content_type": "application/octet-stream",
}  # fmt: skip
REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
# What an answer may say of itself to the agent; the rest (cookies above all) is dropped.
SHOWN: Final = ("content-type", "etag", "last-modified", "content-language", "link", "retry-after")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one fetch. `types` are media types, where `*` stands for one half or suffix."""

    answer_bytes: int = 4 * 1024 * 1024
    body_bytes: int = 1024 * 1024
    seconds: float = 30.0
    idle_seconds: float = 15.0
    types: tuple[str, ...] = TEXTS
    ports: frozenset[int] = frozenset(PORTS.values())


@dataclass(frozen=True, slots=True)
class Fetcher:
    """How to fetch. `methods` names those beyond GET and HEAD, host by host; `hosts`, where it is
    given, are the only names that are looked up at all."""

    dialer: Dialer
    limits: Limits = Limits()
    methods: Mapping[str, frozenset[str]] = field(default_factory=dict)
    hosts: frozenset[str] | None = None

    def order(self, args: object) -> Order:
        """Read the arguments of net_fetch. Raises CredentialError `net.*` for what no decision
        could allow here."""
        order = read(args, self.limits)
        target = order.target
        if target.port not in self.limits.ports:
            raise CredentialError("net.port", f"The port {target.port} is not open here.")
        if self.hosts is not None and not listed(target.host, self.hosts):
            raise CredentialError("net.host", f"{target.host} is not one of the names open here.")
        allowed = READS | self.methods.get(target.authority, frozenset())
        if order.method not in allowed:
            raise CredentialError(
                "net.method",
                f"{order.method} is not open for {target.authority}.",
                hint="The operator's policy opens methods host by host: [egress.methods].",
            )
        return order


@dataclass(frozen=True, slots=True)
class Order:
    """One fetch."""

    target: Target
    method: str
    accept: str
    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. `redirect` is where it points, which is another call; `label` is that of web
    content, `ttl` in seconds."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    redirect: str | None = None
    label: int = labelling.WEB_CONTENT
    ttl: int = labelling.WEB_CONTENT_TTL


@dataclass(frozen=True, slots=True)
class Hit:
    """One result of a search."""

    title: str
    url: str
    text: str


class SearchProvider(Protocol):
    """Whoever answers searches; there is none unless a composition gives one."""

    @property
    def host(self) -> str:
        """Where queries go, for host scopes."""
        ...

    @property
    def trusted_sink(self) -> bool:
        """Whether the operator says that nobody an agent could write to reads queries there."""
        ...

    async def search(self, query: str, most: int) -> tuple[Hit, ...]:
        """At most `most` results. Raises WorldError."""
        ...


def read(args: object, limits: Limits) -> Order:
    """Read the arguments of net_fetch, strictly. Raises CredentialError `net.arguments`."""
    known = {"url", *DEFAULTS}
    if type(args) is not dict or not args.keys() <= known:
        raise CredentialError("net.arguments", f"net_fetch takes {', '.join(sorted(known))}.")
    method = _word(args, "method")
    if method not in METHODS:
        raise CredentialError("net.method", "There is no such method here.")
    body = args.get("body", DEFAULTS["body"])
    if type(body) is not str or (body and method in READS):
        raise CredentialError("net.arguments", "A body is a text, and GET and HEAD have none.")
    try:
        data = body.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CredentialError("net.arguments", "The body is not Unicode.") from error
    if len(data) > limits.body_bytes:
        raise CredentialError("net.arguments", f"A body has at most {limits.body_bytes} bytes.")
    return Order(
        parse(args.get("url")),
        method,
        _word(args, "accept"),
        data,
        _word(args, "content_type"),
    )


def _word(args: dict[str, Any], name: str) -> str:
    value = args.get(name, DEFAULTS[name])
    if type(value) is not str or not 0 < len(value) <= 256 or not value.isascii():
        raise CredentialError("net.arguments", f"{name} is a short ASCII text.")
    if not value.isprintable():
        raise CredentialError("net.arguments", f"{name} is a short ASCII text.")
    return value


def listed(host: str, names: frozenset[str]) -> bool:
    """Whether a host is named: as itself, or under a `*.suffix`."""
    parts = host.split(".")
    return host in names or any("*." + ".".join(parts[i:]) in names for i in range(1, len(parts)))


def check_type(content_type: str, allowed: tuple[str, ...]) -> None:
    """Raises WorldError `net.type` for a media type that is not wanted, or for none at all."""
    kind = content_type.partition(";")[0].strip().lower()
    major, _, minor = kind.partition("/")
    for each in allowed:
        want_major, _, want_minor = each.partition("/")
        if want_major in ("*", major) and major and minor:
            suffix = want_minor.removeprefix("*")
            if want_minor == minor or (want_minor.startswith("*") and minor.endswith(suffix)):
                return
    raise WorldError(
        "net.type",
        "The answer is of a kind that is not taken here.",
        hint="The operator's policy lists media types: [egress] types.",
    )


def no_provider() -> CallerError:
    """What a search raises where no provider is configured."""
    return CallerError(
        "net.no_search_provider",
        "There is no search provider: searches go nowhere here.",
        hint="The operator's policy file names one under [search]; there is no default.",
    )

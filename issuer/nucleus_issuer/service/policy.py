"""Law: who may order what stands in one file; whoever is not named may nothing.

A grant is for one SPIFFE ID or for all below a path (`spiffe://example.org/agent/*`). An order must
fit one grant whole; what a grant restricts is added to every token of it, whatever was asked.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from nucleus_issuer import files, profiles
from nucleus_issuer.profiles import Profile
from nucleus_issuer.service.people import Person, Provider, provider
from nucleus_issuer.service.rates import Rate
from nucleus_tokens import canonical, names, writing
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_tokens.limits import DEPTH, TOKEN_LIFETIME
from nucleus_verifier.rpc.names import WorkloadId, workload_id

Right = Literal["list", "revoke", "approve", "watch"]
RIGHTS: Final = frozenset(("list", "revoke", "approve", "watch"))
_FILE_BYTES: Final = 1024 * 1024
_GRANT: Final = frozenset(
    ("id", "profiles", "profile_files", "audiences", "exchange", "ttl_seconds", "depth",
     "obligations", "caveats", "bearer", "others", "account", "person")
)  # fmt: skip
_PER: Final = {"ever": "", "month": "%Y-%m", "day": "%Y-%m-%d"}


@dataclass(frozen=True, slots=True)
class Who:
    """One identity, or with `below` all whose path starts with it."""

    id: WorkloadId
    below: bool

    def matches(self, peer: WorkloadId) -> bool:
        """Whether this peer is meant. Whole path segments are compared, never text."""
        if peer.trust_domain != self.id.trust_domain:
            return False
        if not self.below:
            return peer.segments == self.id.segments
        size = len(self.id.segments)
        return len(peer.segments) > size and peer.segments[:size] == self.id.segments


@dataclass(frozen=True, slots=True)
class Account:
    """A budget that each subject has once for each period."""

    name: str
    per: str
    limits: Mapping[str, int]

    def of(self, sub: str, now: int) -> tuple[str, Mapping[str, int]]:
        """The account of a token that is issued now."""
        period = datetime.fromtimestamp(now, UTC).strftime(_PER[self.per])
        return ":".join(part for part in (self.name, sub, period) if part), self.limits


@dataclass(frozen=True, slots=True)
class Personal:
    """Whom a provider must vouch for."""

    provider: str
    claim: str
    value: str

    def matches(self, person: Person) -> bool:
        return person.issuer == self.provider and person.has(self.claim, self.value)


@dataclass(frozen=True, slots=True)
class Grant:
    """What an identity may order."""

    who: Who
    profiles: Mapping[str, Profile]
    audiences: frozenset[str]
    exchange: frozenset[str]
    ttl: int
    depth: int
    obligations: tuple[str, ...]
    caveats: tuple[list[Any], ...]
    bearer: bool
    others: bool  # for other subjects and holders than itself
    account: Account | None
    person: Personal | None  # for this person, who asks through that identity


@dataclass(frozen=True, slots=True)
class Caller:
    """A peer and all that it may."""

    id: WorkloadId
    grants: tuple[Grant, ...]
    audiences: frozenset[str]
    rights: frozenset[str]

    @property
    def known(self) -> bool:
        return bool(self.grants or self.audiences or self.rights)


@dataclass(frozen=True, slots=True)
class IssuancePolicy:
    """The whole file."""

    grants: tuple[Grant, ...]
    audiences: Mapping[str, WorkloadId]
    operators: tuple[tuple[Who, frozenset[str]], ...]
    providers: tuple[Provider, ...] = ()
    rate: Rate = field(default_factory=Rate)

    def caller(self, peer: WorkloadId) -> Caller:
        """What this peer may; nothing if no line names it."""
        return Caller(
            peer,
            tuple(grant for grant in self.grants if grant.who.matches(peer)),
            frozenset(name for name, owner in self.audiences.items() if owner == peer),
            frozenset().union(*(may for who, may in self.operators if who.matches(peer))),
        )


def load(path: Path, trust_domain: str) -> IssuancePolicy:
    """Read a policy file. Raises WorldError `file.*`, CallerError `issuance.policy`."""
    return parse(files.read(path, secret=False, most=_FILE_BYTES), trust_domain, path.parent)


def parse(data: bytes, trust_domain: str, beside: Path) -> IssuancePolicy:
    """A policy from TOML; profile files stand `beside` it. Raises CallerError
    `issuance.policy`, `profile.*`, `identity.id`; nothing is guessed or left out."""
    try:
        value = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _bad(f"it is not TOML: {error}") from error
    if set(value) - {"grant", "audience", "operator", "provider", "rate"}:
        raise _bad("it holds [[grant]], [[audience]], [[operator]], [[provider]], [rate], no more")
    audiences: dict[str, WorkloadId] = {}
    for table in _tables(value, "audience", frozenset(("name", "id"))):
        name = _text(table, "name")
        if name in audiences:
            raise _bad(f"the audience {name} is there twice")
        audiences[name] = workload_id(_text(table, "id"), trust_domain)
    operators = []
    for table in _tables(value, "operator", frozenset(("id", "may"))):
        may = frozenset(_list(table, "may"))
        if not may or may - RIGHTS:
            raise _bad(f"an operator may one or more of {', '.join(sorted(RIGHTS))}")
        operators.append((_who(_text(table, "id"), trust_domain), may))
    grants = tuple(_grant(t, trust_domain, beside) for t in _tables(value, "grant", _GRANT))
    providers = tuple(
        provider(_text(table, "issuer"), _text(table, "audience"), beside / _text(table, "jwks"))
        for table in _tables(value, "provider", frozenset(("issuer", "audience", "jwks")))
    )
    known = {each.issuer for each in providers}
    kids = [kid for each in providers for kid in each.keys]
    if len(known) != len(providers) or len(set(kids)) != len(kids):
        raise _bad("a provider is there twice, or two of them have a key of one id")
    if any(grant.person and grant.person.provider not in known for grant in grants):
        raise _bad("a grant is for a person of a provider that is not there")
    return IssuancePolicy(grants, audiences, tuple(operators), providers, _rate(value.get("rate")))


def _rate(value: Any) -> Rate:
    if value is None:
        return Rate()
    if type(value) is not dict or set(value) != {"per_second", "burst"}:
        raise _bad("[rate] has 'per_second' and 'burst'")
    return Rate(_whole(value, "per_second", 1, 100_000), _whole(value, "burst", 1, 100_000))


def _grant(table: dict[str, Any], trust_domain: str, beside: Path) -> Grant:
    who = _who(_text(table, "id"), trust_domain)
    known = [profiles.named(name) for name in _list(table, "profiles")]
    known += [profiles.read(beside / name) for name in _list(table, "profile_files")]
    if len({profile.name for profile in known}) != len(known) or not known:
        raise _bad(f"{_text(table, 'id')}: one or more profiles, each once")
    obligations = tuple(sorted(set(_list(table, "obligations"))))
    if set(obligations) - set(names.OPERATIONS):
        raise _bad("obligations are operations")
    return Grant(
        who=who,
        profiles={profile.name: profile for profile in known},
        audiences=frozenset(_list(table, "audiences")),
        exchange=frozenset(_list(table, "exchange")),
        ttl=_whole(table, "ttl_seconds", 1, TOKEN_LIFETIME),
        depth=_whole(table, "depth", 0, DEPTH) if "depth" in table else 0,
        obligations=obligations,
        caveats=tuple(caveat(text) for text in _list(table, "caveats")),
        bearer=_flag(table, "bearer"),
        others=_flag(table, "others"),
        account=_account(table.get("account")),
        person=_personal(table.get("person")),
    )


def caveat(text: str) -> list[Any]:
    """One restriction in canonical JSON. Raises CallerError `issuance.caveat`."""
    try:
        value = canonical.decode(text.encode("utf-8"))
        if type(value) is not list:
            raise ValueError("list")
        writing.caveat(value)
    except (ValueError, TypeError, CredentialError) as error:
        raise CallerError(
            "issuance.caveat", 'A restriction is canonical JSON such as ["tool","in",["x"]].'
        ) from error
    return value


def _personal(value: Any) -> Personal | None:
    if value is None:
        return None
    if type(value) is not dict or set(value) != {"provider", "claim", "value"}:
        raise _bad("a person has 'provider', 'claim' and 'value'")
    return Personal(_text(value, "provider"), _text(value, "claim"), _text(value, "value"))


def _account(value: Any) -> Account | None:
    if value is None:
        return None
    if type(value) is not dict or set(value) != {"name", "per", "limits"}:
        raise _bad("an account has 'name', 'per' and 'limits'")
    limits = value["limits"]
    if value["per"] not in _PER or type(limits) is not dict or not limits:
        raise _bad(f"an account has limits, per one of {', '.join(_PER)}")
    if any(type(limit) is not int or limit < 0 for limit in limits.values()):
        raise _bad("a limit is a whole number from 0")
    return Account(_text(value, "name"), value["per"], dict(limits))


def _who(text: str, trust_domain: str) -> Who:
    below = text.endswith("/*")
    return Who(workload_id(text.removesuffix("/*"), trust_domain), below)


def _tables(value: dict[str, Any], key: str, fields: frozenset[str]) -> list[dict[str, Any]]:
    found = value.get(key, [])
    if type(found) is not list or any(type(table) is not dict for table in found):
        raise _bad(f"{key} is a list of tables: [[{key}]]")
    for table in found:
        if unknown := sorted(set(table) - fields):
            raise _bad(f"[[{key}]] has no key {unknown[0]!r}")
    return found


def _text(table: dict[str, Any], key: str) -> str:
    found = table.get(key)
    if type(found) is not str or not 0 < len(found) <= 512:
        raise _bad(f"{key!r} is a text")
    return found


def _list(table: dict[str, Any], key: str) -> list[str]:
    found = table.get(key, [])
    if type(found) is not list or any(type(each) is not str for each in found):
        raise _bad(f"{key!r} is a list of texts")
    return found


def _whole(table: dict[str, Any], key: str, least: int, most: int) -> int:
    found = table.get(key)
    if type(found) is not int or not least <= found <= most:
        raise _bad(f"{key!r} is a whole number from {least} to {most}")
    return found


def _flag(table: dict[str, Any], key: str) -> bool:
    found = table.get(key, False)
    if type(found) is not bool:
        raise _bad(f"{key!r} is true or false")
    return found


def _bad(why: str) -> CallerError:
    return CallerError("issuance.policy", f"The issuance policy cannot be used: {why}.")

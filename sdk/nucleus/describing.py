"""Law: a token is shown without what makes it one: no tag, no seal, no key that is secret.

What is verified says so, and what is not says so too. The result is a value for machines (JSON) and
for whoever draws it; nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nucleus_tokens import canonical, caveats, chain, header, names
from nucleus_tokens.authority import FULL, Authority, Source, fold
from nucleus_tokens.caveats import Delegate
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.header import Holder, UnverifiedHeader
from nucleus_tokens.lattice import obliged
from nucleus_verifier.authenticate import (
    VerifiedCredential,
    authenticate,
    fold_header,
    split_request,
)
from nucleus_verifier.decision import Deny
from nucleus_verifier.facts import Keys
from nucleus_verifier.hints import added_by, detail, operator_hint

UNVERIFIED: Final = "unverified"


def unverified_holder(token: UnverifiedToken) -> tuple[Holder, int]:
    """Who holds a token by its own word, and how often it may be handed on. Raises
    CredentialError."""
    claimed = header.parse(token.identifier)
    holder, depth = claimed.holder, claimed.depth
    for hop in _unverified_hops(token):
        holder = Holder(hop.to if hop.to.startswith("spiffe://") else None, hop.key)
        depth = hop.depth
    return holder, depth


def _unverified_hops(token: UnverifiedToken) -> list[Delegate]:
    read = map(caveats.parse, split_request(token.caveats)[0])
    return [caveat for caveat in read if isinstance(caveat, Delegate)]


@dataclass(frozen=True, slots=True)
class Known:
    """A token that was read: authenticated, or refused and known by its own word only."""

    token: UnverifiedToken
    header: UnverifiedHeader
    credential: VerifiedCredential | None
    refused: Deny | None

    @property
    def rids(self) -> tuple[str, ...]:
        """Of every prefix if it was authenticated; else of what was shown, by its own tag."""
        if self.credential is not None:
            return self.credential.prefix.rids
        _, req = split_request(self.token.caveats)
        # A request is no part of what is revoked.
        return () if req is not None else (chain.rid(self.token.tag),)


def read(text: str, keys: Keys | None) -> Known:
    """Read a token or credential, and authenticate it where that is possible. Raises
    CredentialError for what is not a token at all."""
    token = chain.read_credential(text).token
    claimed = header.parse(token.identifier)
    verified = None if keys is None else authenticate(text, keys)
    if isinstance(verified, VerifiedCredential):
        return Known(token, claimed, verified, None)
    return Known(token, claimed, None, verified)


def describe(known: Known, spent: Mapping[str, int] | None = None) -> dict[str, Any]:
    """All that may be told of a token, in JSON form. `spent` says what its budgets stand at.
    Raises CredentialError for an unverified caveat that no verifier would read."""
    fields, credential = known.header, known.credential
    body = _body(fields)
    raw, req = split_request(known.token.caveats)
    holder, depth = unverified_holder(known.token)
    authority = _authority(known, raw)
    return {
        "account": body["account"],
        "ancestors": list(fields.ancestors),
        "audience": {"key": fields.akid, "name": fields.aud},
        "bound_to_one_call": req is not None,
        "caveats": _caveats(known, raw),
        "ceiling": body["ceil"],
        "depth_left": depth,
        "expires": authority.exp,
        "holder": _holder(holder),
        "issued": fields.iat,
        "issuer": {"key": fields.kid, "name": fields.iss},
        "narrowed": body["narrowed"],
        "refused": _refused(known.refused),
        "revocation": _revocation(known, raw),
        "rights": _rights(known, authority, spent),
        "sub": fields.sub,
        "tid": fields.tid,
        "verified": credential is not None,
    }


def _body(fields: UnverifiedHeader) -> dict[str, Any]:
    body: dict[str, Any] = canonical.decode(fields.signed.split(b"\0", 1)[0])
    return body


def _holder(holder: Holder) -> dict[str, Any]:
    public = None if holder.key is None else holder.key.hex()
    return {"bearer": holder.bearer, "key": public, "spiffe": holder.spiffe}


def _refused(deny: Deny | None) -> dict[str, Any] | None:
    if deny is None:
        return None
    return {
        "code": deny.code,
        "detail": detail(deny),
        "enough": operator_hint(deny),
        "step": deny.step,
    }


def _caveats(known: Known, raw: Sequence[bytes]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number, data in enumerate(raw, 1):
        value = canonical.decode(data)
        credential = known.credential
        who = UNVERIFIED if credential is None else added_by(credential, Source("caveat", number))
        words = caveat_words(value)
        made.append({"added_by": who, "caveat": value, "number": number, "words": words})
    return made


def _revocation(known: Known, raw: Sequence[bytes]) -> list[dict[str, Any]]:
    """The prefixes whose rid is known, and who can show a preimage of each."""
    if known.credential is None:
        return [{"prefix": len(raw), "revokers": [], "rid": rid} for rid in known.rids]
    prefix = known.credential.prefix
    hops = {hop.number: hop.to for hop in prefix.hops}
    who = [f"issuer {known.header.iss}", known.header.sub]
    made: list[dict[str, Any]] = []
    for number, rid in enumerate(prefix.rids):
        if number in hops:
            who.append(hops[number])
        made.append({"prefix": number, "revokers": list(who), "rid": rid})
    return made


def _authority(known: Known, raw: Sequence[bytes]) -> Authority:
    if known.credential is not None:
        return known.credential.prefix.authority
    start = fold_header(known.header, b"", "").authority if known.header else FULL
    return fold(start, "caveat", [(n, "", caveats.parse(data)) for n, data in enumerate(raw, 1)])


def _rights(known: Known, authority: Authority, spent: Mapping[str, int] | None) -> dict[str, Any]:
    obligations = fold_header(known.header, b"", "").obligations | authority.obligations
    return {
        "asks_for": [name for i, name in enumerate(names.OPERATIONS) if obliged(obligations, i)],
        "budgets": [
            {
                "limit": counter.limit,
                "spent": None if spent is None else spent.get(counter.id),
                "unit": counter.unit,
            }
            for counter in authority.counters
        ],
        "exposure_within": list(names.exposure_names(authority.exposure)),
        "levels": names.unpack_levels(authority.levels),
        "not_after": authority.exp,
        "not_before": max(authority.nbf, known.header.iat),
    }


# Words ----------------------------------------------------------------------------------------


def caveat_words(value: Sequence[Any]) -> str:
    """A caveat in JSON form, in words. Text from outside stands in it as it is."""
    kind, *fields = value
    first: Any = fields[0] if fields else None
    match kind:
        case "exp":
            return f"not after {_time(first)}"
        case "nbf":
            return f"not before {_time(first)}"
        case "cap":
            return "at most " + _levels(first)
        case "only":
            return "only " + (_levels(first) or "nothing")
        case "path" | "host" | "cmd" | "ref" | "tool":
            listed = ", ".join(p if isinstance(p, str) else " ".join(p) for p in fields[1])
            if first == "not":
                return f"{kind} not in {listed}"
            return f"{kind} in {listed}" if listed else f"no {kind} at all"
        case "arg":
            said = "; ".join(f"{p or 'all'} {_rule(rule)}" for p, rule in fields[1].items())
            return f"arguments of {first}: {said or 'none'}"
        case "budget":
            return f"at most {fields[1]} {first}"
        case "exposure":
            return "while the session has seen only " + (", ".join(fields[0]) or "nothing")
        case "approve":
            return "a person is asked about " + ", ".join(fields[0])
        case "delegate":
            purpose = f" to {fields[0]['purpose']}" if fields[0]["purpose"] else ""
            return f"handed to {fields[0]['to']}{purpose}, who may hand it on {fields[0]['depth']}×"
        case "link":
            return "a link of its own, to be revoked alone"
        case _:
            return canonical.encode(list(value)).decode()


def _levels(levels: Mapping[str, str]) -> str:
    return ", ".join(f"{operation} {level}" for operation, level in levels.items())


def _rule(rule: Sequence[Any]) -> str:
    return " ".join(
        text if isinstance(text, str) else canonical.encode(text).decode() for text in rule
    )


def _time(at: int) -> str:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return str(at)

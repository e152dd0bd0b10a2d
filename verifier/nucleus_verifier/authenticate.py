"""Law: MAC first, meaning second. Steps 1 to 4 of docs/spec/decide.md, over bytes and keys alone.

    1 parse · 2 audience and keys · 3 authenticate · 4 delegations

No caveat is read before the chain's tag held over all of them. The result is a
`VerifiedCredential` or a `Deny`; there is no third thing, and nothing half-verified leaves.

The work is split where a cache may stand between calls (`caching.py`): a header that was opened,
a prefix that was verified. `authenticate` is the same without any memory.
"""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

from nucleus_tokens import caveats, chain, crypto, header
from nucleus_tokens.authority import FULL, Authority, fold
from nucleus_tokens.caveats import Budget, Caveat, Delegate, Exp, Req
from nucleus_tokens.chain import NOTHING, Spelled, UnverifiedCredential, UnverifiedToken
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.header import Holder, UnverifiedHeader
from nucleus_tokens.lattice import nu
from nucleus_verifier.decision import Deny
from nucleus_verifier.facts import Keys
from nucleus_verifier.verdict import depth_falls

_REQ = b'["req",'


class Opened(NamedTuple):
    """A header whose signature held and whose seal opened. `tag` is a secret."""

    header: UnverifiedHeader  # verified: only `open_header` makes an Opened
    tag: bytes
    rid: str
    authority: Authority  # of the header alone: exp, ceil, narrowed
    obligations: int  # of the header, and of the nucleus operator on ceil (computed once)


class Hop(NamedTuple):
    """One delegation: which caveat, and to whom it handed the token."""

    number: int
    to: str
    key: bytes
    purpose: str
    depth: int


class VerifiedPrefix(NamedTuple):
    """A chain without its request, authenticated and folded. `tag` is a secret."""

    opened: Opened
    raw: tuple[bytes, ...]
    tag: bytes
    rids: tuple[str, ...]  # of every prefix, the header's first
    authority: Authority
    holder: Holder
    depth: int
    hops: tuple[Hop, ...]


class VerifiedCredential(NamedTuple):
    """What was presented, authenticated. Whether it may be used here and now is step 5 and on."""

    prefix: VerifiedPrefix
    req: Req | None
    proven: bool  # the current holder's key signed all of it
    raw_req: bytes | None = None


def open_header(identifier: bytes, keys: Keys) -> Opened:
    """Steps 2 and 3 for the header. Raises `_Refused`."""
    try:
        claimed = header.parse(identifier)
    except CredentialError as error:
        raise Refused(1, error.code) from error
    # 2. Key ids are looked up in the pinned bundle only; the token brings no key of its own.
    if claimed.aud != keys.audience or claimed.akid not in keys.audience_keys:
        raise Refused(2, "audience.unknown")
    issuer_key = keys.issuers.get((claimed.iss, claimed.kid))
    if issuer_key is None:
        raise Refused(2, "issuer.unknown")
    # 3. The signature covers every byte after it, the seals included.
    try:
        fields = header.verify(claimed, issuer_key).fields
        private, public = keys.audience_keys[claimed.akid], keys.audience_publics[claimed.akid]
        root_key = header.open_seal(fields.seal_audience, private, public)
        tag = chain.first_tag(root_key, identifier)
        return fold_header(fields, tag, chain.rid(tag))
    except CredentialError as error:
        raise Refused(3, error.code) from error


def fold_header(claimed: UnverifiedHeader, tag: bytes, rid: str) -> Opened:
    """What a header alone permits, once its signature held: exp, ceil and what was narrowed."""
    parts: list[tuple[int, str, Caveat]] = [(0, rid, Exp(claimed.exp))]
    if claimed.account is not None:
        name, limits = claimed.account
        parts += [(1, f"account:{name}", Budget(unit, limit)) for unit, limit in limits]
    authority = fold(FULL, "header", parts)
    # A budget carried over by an Exchange keeps the counter it had: its original rid.
    root = claimed.ancestors[0] if claimed.ancestors else rid
    authority = fold(authority, "ceil", [(i, root, c) for i, c in enumerate(claimed.ceil)])
    if claimed.narrowed:
        parts = [(i, own, c) for i, (own, c) in enumerate(claimed.narrowed)]
        authority = fold(authority, "narrowed", parts)
    obligations = nu(header.ceiling(claimed), claimed.obligations)
    return Opened(claimed, tag, rid, authority, obligations)


def split_request(raw: tuple[bytes, ...]) -> tuple[tuple[bytes, ...], bytes | None]:
    """The caveats before the request, and the request. By its bytes alone: nothing is believed."""
    if raw and raw[-1].startswith(_REQ):
        return raw[:-1], raw[-1]
    return raw, None


def check_tag(tag: bytes, req: bytes | None, presented: bytes) -> None:
    """Step 3 for the chain: the tag over all caveats, compared in constant time."""
    last = tag if req is None else crypto.mac(tag, req)
    if not crypto.same(last, presented):
        raise Refused(3, "token.forged")


def read_prefix(
    opened: Opened, raw: tuple[bytes, ...], tag: bytes, rids: tuple[str, ...]
) -> VerifiedPrefix:
    """Steps 4 and 8 for a chain whose tag already held: read its caveats, check every hop, fold.

    `tag` is the last one, `rids` the revocation id of every prefix, the header's first.
    """
    fields = opened.header
    holder, depth = fields.holder, fields.depth
    hops: list[Hop] = []
    try:
        read = caveats.parse_all(raw)
        for number, caveat in enumerate(read, 1):
            if type(caveat) is Delegate:
                _check_hop(caveat, holder, depth, fields, raw[: number - 1])
                hops.append(Hop(number, caveat.to, caveat.key, caveat.purpose, caveat.depth))
                spiffe = caveat.to if caveat.to.startswith("spiffe://") else None
                holder, depth = Holder(spiffe, caveat.key), caveat.depth
            elif type(caveat) is Req:
                raise Refused(3, "token.two_requests")
        authority = fold(opened.authority, "caveat", zip(count(1), rids[1:], read, strict=False))
    except CredentialError as error:
        raise Refused(3, error.code) from error
    return VerifiedPrefix(opened, raw, tag, rids, authority, holder, depth, tuple(hops))


def verify_prefix(
    opened: Opened, token: UnverifiedToken, raw: tuple[bytes, ...], req: bytes | None
) -> VerifiedPrefix:
    """Step 3 for the chain, and only when its tag holds, its meaning."""
    last, tags = chain.follow(opened.tag, raw)
    check_tag(last, req, token.tag)
    return read_prefix(opened, raw, last, (opened.rid, *chain.rids(tags)))


def _check_hop(
    hop: Delegate, holder: Holder, depth: int, fields: UnverifiedHeader, before: tuple[bytes, ...]
) -> None:
    # 4. Any defect in any delegation refuses the whole token.
    if holder.key is None:
        raise Refused(4, "delegate.no_key")
    if not depth_falls(depth, hop.depth):
        raise Refused(4, "delegate.depth")
    message = chain.delegate_message(fields.signature + fields.signed, before, hop.unsigned)
    if not crypto.verify(holder.key, message, hop.signature):
        raise Refused(4, "delegate.signature")


def read_request(
    prefix: VerifiedPrefix, credential: UnverifiedCredential, req: bytes | None
) -> VerifiedCredential:
    """The request and its proof, for a chain whose tag already held."""
    token, proof = credential
    if req is None:
        # A proof over nothing in particular could be replayed for anything.
        if proof is not None:
            raise Refused(5, "proof.without_request")
        return VerifiedCredential(prefix, None, False)
    try:
        request = caveats.parse(req)
    except CredentialError as error:
        raise Refused(5, error.code) from error
    if type(request) is not Req:  # pragma: no cover - canonical JSON that starts with ["req",
        raise Refused(5, "caveat.malformed")
    proven = False
    if proof is not None:
        key = prefix.holder.key
        message = chain.proof_message(token.identifier, token.caveats)
        if key is None or not crypto.verify(key, message, proof):
            raise Refused(5, "proof.signature")
        proven = True
    return VerifiedCredential(prefix, request, proven, req)


def read_credential(text: str, start: Spelled = NOTHING) -> UnverifiedCredential:
    """Step 1. Raises `Refused`."""
    try:
        return chain.read_credential(text, start)
    except CredentialError as error:
        raise Refused(1, error.code) from error


class Refused(Exception):
    """Carries a Deny out of the steps above; it never leaves this room."""

    def __init__(self, step: int, code: str) -> None:
        super().__init__(code)
        self.deny = Deny(step, code)


def authenticate(text: str, keys: Keys) -> VerifiedCredential | Deny:
    """Steps 1 to 4 on one credential, with no memory of any other."""
    try:
        credential = read_credential(text)
        token = credential.token
        raw, req = split_request(token.caveats)
        opened = open_header(token.identifier, keys)
        prefix = verify_prefix(opened, token, raw, req)
        return read_request(prefix, credential, req)
    except Refused as refused:
        return refused.deny

"""Law: what leaves here fits one grant of whoever asked; what a grant restricts is always added.

Issue, Exchange and the keys of audiences. An order that asks for more than its grant is refused,
never trimmed: whoever gets a token must know what it got.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from nucleus_issuer.bundle import Bundle
from nucleus_issuer.exchanging import Exchanger
from nucleus_issuer.issuing import Issuer, Minted, Order
from nucleus_issuer.mint import Audience
from nucleus_issuer.service import people
from nucleus_issuer.service.people import Person, Provider
from nucleus_issuer.service.policy import Caller, Grant, caveat
from nucleus_issuer.store import Store
from nucleus_tokens import crypto, exchanges, holding
from nucleus_tokens.errors import CallerError
from nucleus_tokens.header import Holder
from nucleus_tokens.limits import DEPTH, LIST_ITEMS
from nucleus_verifier.ports import Part
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.rpc import mtls

_KEY_CHARS: Final = 128
_DIGEST_SECONDS: Final = 2
_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")


@dataclass(frozen=True, slots=True)
class Minting:
    """Whoever signs now."""

    issuer: Issuer
    exchanger: Exchanger


class Audiences:
    """Where tokens are sealed to: the key registered last, else the bundle's."""

    def __init__(self, store: Store, bundle: Callable[[], Bundle]) -> None:
        self._store = store
        self._bundle = bundle

    def named(self, name: str) -> Audience:
        """Raises CallerError `audience.unknown`."""
        registered = self._store.registered(name)
        return registered[0] if registered else self._bundle().audience_named(name)


class Issuance:
    """Issues, exchanges and registers. `bundle` says whom verifiers believe."""

    def __init__(
        self,
        store: Store,
        minting: Minting,
        audiences: Audiences,
        bundle: Callable[[], Bundle],
        providers: Sequence[Provider],
        clock: Callable[[], int],
        lease_seconds: float,
    ) -> None:
        self._store = store
        self._minting = minting
        self._audiences = audiences
        self._bundle = bundle
        self._providers = providers
        self._clock = clock
        self._lease_millis = int(lease_seconds * 1000)
        self._digests: dict[frozenset[str], tuple[int, bytes]] = {}

    # Issue --------------------------------------------------------------------------------------

    async def issue(self, caller: Caller, request: pb.IssueRequest) -> pb.Minted:
        return _minted(await asyncio.to_thread(self._issue, caller, request))

    def _issue(self, caller: Caller, request: pb.IssueRequest) -> Minted:
        key = request.idempotency_key
        if not 0 < len(key) <= _KEY_CHARS:
            raise CallerError(
                "issue.idempotency", f"An order has a key of 1 to {_KEY_CHARS} characters."
            )
        person = None
        if request.subject_token or request.subject_token_type:
            token, kind = request.subject_token, request.subject_token_type
            person = people.person(self._providers, token, kind, self._clock())
        grant = _grant(caller, request, person)
        own = str(caller.id) if person is None else person.id
        sub = request.sub or own
        if sub != own and not grant.others:
            raise CallerError("issue.subject", f"A token is ordered for oneself: {own}.")
        profile = grant.profiles[request.profile]
        ttl = request.ttl or min(grant.ttl, profile.ttl)
        if not 0 < ttl <= grant.ttl:
            raise CallerError("issue.ttl", f"This grant lives from 1 to {grant.ttl} seconds.")
        if not 0 <= request.depth <= grant.depth <= DEPTH:
            raise CallerError("issue.depth", f"This grant is handed on {grant.depth} times.")
        if len(request.caveats) > LIST_ITEMS or len(request.obligations) > LIST_ITEMS:
            raise CallerError("issue.too_many", f"At most {LIST_ITEMS} restrictions are ordered.")
        return self._minting.issuer.issue(
            Order(
                sub=sub,
                holder=_holder(grant, request.holder, own, person),
                audience=self._audiences.named(request.audience),
                profile=profile,
                ttl=ttl,
                extra=[*grant.caveats, *map(caveat, request.caveats)],
                obligations=sorted({*grant.obligations, *request.obligations}),
                depth=request.depth,
                account=None if grant.account is None else grant.account.of(sub, self._clock()),
                memo=request.memo,
                bearer=request.holder.bearer,
                # A key is its caller's own: nobody can use up another's.
                idempotency=f"issue:{own}:{key}"
                if person is None
                else f"issue:{caller.id}:{own}:{key}",
            )
        )

    # Exchange -----------------------------------------------------------------------------------

    async def exchange(self, caller: Caller, request: pb.ExchangeRequest) -> pb.Minted:
        return _minted(await asyncio.to_thread(self._exchange, caller, request))

    def _exchange(self, caller: Caller, request: pb.ExchangeRequest) -> Minted:
        wanted = exchanges.parse(request.statement).audience
        if not any(wanted in grant.exchange for grant in caller.grants):
            raise CallerError(
                "exchange.audience", "No grant of yours lets you exchange for this audience."
            )
        token = holding.read_token(request.token)
        return self._minting.exchanger.exchange(token, request.statement, peer=str(caller.id))

    # Budgets ------------------------------------------------------------------------------------

    async def allot(self, caller: Caller, request: pb.AllotRequest) -> pb.AllotResponse:
        return await asyncio.to_thread(self._allot, caller, request)

    def _allot(self, caller: Caller, request: pb.AllotRequest) -> pb.AllotResponse:
        texts = (request.state, *(part.counter for part in request.parts))
        if len(request.parts) > LIST_ITEMS or not all(0 < len(t) <= _KEY_CHARS for t in texts):
            raise CallerError("budget.request", "It names its state and at most 64 counters.")
        issued = self._store.issued(request.tid)
        # Nobody uses up the budget of a token that is not for it.
        if issued is None or issued.aud not in caller.audiences:
            raise CallerError("budget.unknown_token", "This issuer has issued no such token.")
        parts = [Part(p.counter, p.limit, p.spent, p.amount) for p in request.parts]
        verifier = f"{caller.id}#{request.state}"
        return pb.AllotResponse(given=self._store.allot(request.tid, verifier, parts))

    # Audiences ----------------------------------------------------------------------------------

    async def register(
        self, caller: Caller, request: pb.RegisterAudienceRequest
    ) -> pb.RegisterAudienceResponse:
        _check_owner(caller, request.audience)
        akid = request.akid
        if not 0 < len(akid) <= 64 or not _NAME.issuperset(akid):
            raise CallerError("audience.akid", "A key's id is 1 to 64 of a-z, 0-9 and . _ -")
        if len(request.public) != crypto.KEY_BYTES:
            raise CallerError("audience.key", "An audience's key is 32 bytes (X25519).")
        if any(a.akid == akid and a.name == request.audience for a in self._bundle().audiences):
            raise CallerError("audience.taken", "The bundle has a key of this id: draw another.")
        audience = Audience(request.audience, akid, request.public)
        await asyncio.to_thread(self._store.register, audience, by=str(caller.id))
        return pb.RegisterAudienceResponse()

    async def trust_bundle(
        self, caller: Caller, request: pb.GetTrustBundleRequest
    ) -> pb.TrustBundle:
        _check_owner(caller, request.audience)
        return await asyncio.to_thread(self._trust_bundle, request.audience)

    async def digest(self, caller: Caller) -> bytes:
        """Another one soon after the bundle of an audience of the caller's became another."""
        until, made = self._digests.get(caller.audiences, (0, b""))
        if self._clock() >= until:
            made = await asyncio.to_thread(self._digest, caller.audiences)
            self._digests[caller.audiences] = (self._clock() + _DIGEST_SECONDS, made)
        return made

    def _digest(self, audiences: frozenset[str]) -> bytes:
        made = [self._trust_bundle(name).digest for name in sorted(audiences)]
        return made[0] if len(made) == 1 else crypto.sha256(b"".join(made))

    def _trust_bundle(self, name: str) -> pb.TrustBundle:
        known = self._bundle()
        listed = [a for a in known.audiences if a.name == name]
        made = pb.TrustBundle(
            audience=name,
            issuers=[
                pb.TrustBundle.Issuer(iss=i.iss, kid=i.kid, public=i.public) for i in known.issuers
            ],
            approvers=[
                pb.TrustBundle.Approver(
                    id=a.id, key=a.key, operations=a.operations, releases=a.releases
                )
                for a in known.approvers
            ],
            audience_keys=[
                pb.TrustBundle.AudienceKey(akid=a.akid, public=a.public)
                for a in [*self._store.registered(name), *listed]
            ],
            lease_millis=self._lease_millis,
        )
        made.digest = crypto.sha256(made.SerializeToString(deterministic=True))
        return made


def _check_owner(caller: Caller, name: str) -> None:
    if name not in caller.audiences:
        raise CallerError("audience.not_yours", "The issuance policy gives you no such audience.")


def _grant(caller: Caller, request: pb.IssueRequest, person: Person | None) -> Grant:
    """The first grant that has both the profile and the audience. A person's is for a person
    alone, and a workload's for the workload. Raises CallerError."""
    for grant in caller.grants:
        if (grant.person is None) != (person is None):
            continue
        if grant.person is not None and person is not None and not grant.person.matches(person):
            continue
        if request.profile in grant.profiles and request.audience in grant.audiences:
            return grant
    raise CallerError(
        "issue.grant", "No grant of yours has this profile for this audience: ask its operator."
    )


def _holder(grant: Grant, asked: pb.Holder, own: str, person: Person | None) -> Holder:
    key = asked.key or None
    if key is not None and len(key) != crypto.KEY_BYTES:
        raise CallerError("issue.holder", "A holder's key is 32 bytes (Ed25519).")
    if asked.bearer:
        if not grant.bearer:
            raise CallerError("issue.bearer", "This grant allows no bearer tokens.")
        return Holder(asked.spiffe or None, key)
    if grant.others and (asked.spiffe or key):
        if asked.spiffe:
            mtls.parse_id(asked.spiffe)
        return Holder(asked.spiffe or None, key)
    if person is not None:
        if key is None or asked.spiffe:
            raise CallerError("issue.holder", "A person's token is bound to a key: give one.")
        return Holder(None, key)
    if asked.spiffe not in ("", own):
        raise CallerError("issue.holder", f"The holder is whoever orders: {own}.")
    # Bound to the caller's connections; with a key, to both.
    return Holder(own, key)


def _minted(made: Minted) -> pb.Minted:
    return pb.Minted(token=made.text, tid=made.tid, rid=made.rid, exp=made.exp)

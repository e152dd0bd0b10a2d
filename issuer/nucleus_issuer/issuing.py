"""Law: a token is in the inventory, durably, before it leaves; its secrets are kept nowhere.

The issuer's own restrictions go into the signed `ceil`, since only the issuer's word is evidence;
what cannot stand there (times, exposure, approvals) is appended like anybody's caveat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nucleus_issuer import mint
from nucleus_issuer.mint import Audience, Signer
from nucleus_issuer.ports import Inventory, Issued, Link
from nucleus_issuer.profiles import Profile
from nucleus_tokens import canonical, caveats, chain, crypto, holding, writing
from nucleus_tokens.errors import CallerError
from nucleus_tokens.header import Holder
from nucleus_tokens.limits import DEPTH

_MEMO_CHARS: Final = 1024


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be issued. Give `profile`, or `ceil` and `ttl` (seconds).

    `extra` are restrictions beyond those; `depth` is how many times it may be handed on. A bearer
    token must be asked for by name. An order with an `idempotency` key is carried out once.
    """

    sub: str
    holder: Holder
    audience: Audience
    profile: Profile | None = None
    ceil: Sequence[list[Any]] | None = None
    ttl: int | None = None
    extra: Sequence[list[Any]] = ()
    obligations: Sequence[str] = ()
    depth: int = 0
    account: tuple[str, Mapping[str, int]] | None = None
    memo: str = ""
    bearer: bool = False
    idempotency: str | None = None


@dataclass(frozen=True, slots=True)
class Minted:
    """A token that may leave: it is in the inventory."""

    text: str = field(repr=False)
    tid: str
    rid: str  # of the token as it is handed over
    exp: int


class Issuer:
    """Mints and records. `random` gives as many random bytes as asked for; `clock` unix seconds."""

    def __init__(
        self,
        signer: Signer,
        inventory: Inventory,
        *,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._signer = signer
        self._inventory = inventory
        self._clock = clock
        self._random = random

    def issue(self, order: Order) -> Minted:
        """Carry out an order. Raises CallerError `order.*`, `token.*`; CredentialError for a
        restriction no verifier would read; WorldError when it could not be recorded: then no
        token leaves."""
        ceil, ttl, obligations = _restrictions(order)
        _check_holder(order)
        inside = [c for c in order.extra if c and c[0] in caveats.IN_CEIL]
        appended = [c for c in order.extra if not (c and c[0] in caveats.IN_CEIL)]
        now = self._clock()
        tid = self._random(16).hex()
        first = mint.mint(
            self._signer,
            order.audience,
            tid=tid,
            root_key=self._random(crypto.KEY_BYTES),
            sub=order.sub,
            holder=order.holder,
            ceil=[*ceil, *inside],
            iat=now,
            exp=now + ttl,
            depth=order.depth,
            obligations=obligations,
            account=order.account,
        )
        token = holding.attenuate(first, *appended)
        text = writing.write_credential(token)
        rids = [chain.rid(first.tag), *chain.rids(chain.follow(first.tag, token.caveats)[1])]
        summary = {
            "account": None if order.account is None else order.account[0],
            "akid": order.audience.akid,
            "appended": list(appended),
            "ceil": [*ceil, *inside],
            "depth": order.depth,
            "kid": self._signer.kid,
            "obligations": list(obligations),
            "profile": None if order.profile is None else order.profile.name,
        }
        links = [Link(rid, tid, parent, "") for parent, rid in zip(rids, rids[1:], strict=False)]
        # From here on the token exists for everybody but its holder.
        self._inventory.record(
            Issued(
                tid=tid,
                rid0=rids[0],
                sub=order.sub,
                aud=order.audience.name,
                iat=now,
                exp=now + ttl,
                holder=canonical.encode(mint.spelled_holder(order.holder)).decode(),
                header=canonical.encode(summary).decode(),
                memo=order.memo,
                idempotency=order.idempotency,
            ),
            links,
        )
        return Minted(text, tid, rids[-1], now + ttl)


def _restrictions(order: Order) -> tuple[Sequence[list[Any]], int, tuple[str, ...]]:
    if (order.profile is None) == (order.ceil is None):
        raise CallerError("order.profile", "Order a profile or an explicit ceiling: one of them.")
    if order.profile is not None:
        ceil: Sequence[list[Any]] = order.profile.ceil()
        # A shorter life may be ordered; a longer one needs a profile that grants it.
        ttl = order.profile.ttl if order.ttl is None else order.ttl
        if ttl > order.profile.ttl:
            raise CallerError(
                "order.ttl", f"This profile lives {order.profile.ttl} seconds at most."
            )
        owed = order.profile.obligations
    else:
        ceil, owed = order.ceil or (), ()
        if order.ttl is None:
            raise CallerError("order.ttl", "Say how many seconds the token lives.")
        ttl = order.ttl
    return ceil, ttl, tuple(sorted({*owed, *order.obligations}))


def _check_holder(order: Order) -> None:
    if order.holder.bearer and not order.bearer:
        raise CallerError(
            "order.bearer", "A token needs a holder: give a key or a SPIFFE ID, or ask for bearer."
        )
    if order.bearer and not order.holder.bearer:
        raise CallerError("order.bearer", "A bearer token has no holder: leave one of them out.")
    if not 0 <= order.depth <= DEPTH:
        raise CallerError("order.depth", f"A token is handed on at most {DEPTH} times.")
    if order.depth and order.holder.key is None:
        raise CallerError("order.depth", "Only the holder of an Ed25519 key can hand a token on.")
    if len(order.memo) > _MEMO_CHARS:
        raise CallerError("order.memo", f"A memo has at most {_MEMO_CHARS} characters.")

"""Law: an exchanged token is the same authority at another audience: never wider, never longer.

The issuer keeps its own word (`ceil`, obligations, account, exp), carries all that was appended
over verbatim into `narrowed`, each caveat with the revocation id it had, and signs who held the
token before. It dies in the transaction that revokes anything it came from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nucleus_issuer import mint
from nucleus_issuer.issuing import Minted
from nucleus_issuer.mint import Audience, Signer
from nucleus_issuer.opening import IssuerOpener, described
from nucleus_issuer.ports import Inventory, Issued
from nucleus_tokens import canonical, chain, crypto, exchanges, writing
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_tokens.header import Holder
from nucleus_tokens.limits import ANCESTORS, LIST_ITEMS
from nucleus_verifier.authenticate import VerifiedPrefix


class Exchanger:
    """Exchanges tokens that this issuer minted and recorded.

    `audiences` gives the audience of a name or raises CallerError; `random` as many random bytes
    as asked for; `clock` unix seconds.
    """

    def __init__(
        self,
        signer: Signer,
        opener: IssuerOpener,
        inventory: Inventory,
        audiences: Callable[[str], Audience],
        *,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._signer = signer
        self._opener = opener
        self._inventory = inventory
        self._audiences = audiences
        self._clock = clock
        self._random = random

    def exchange(
        self, token: UnverifiedToken, statement: bytes, *, peer: str | None = None
    ) -> Minted:
        """The token for the audience that its holder's statement names. `peer` is the SPIFFE ID of
        whoever asks, where a connection proves one.

        A nonce is carried out once; the text is kept nowhere, so a lost answer needs another nonce.
        Raises CredentialError for a token or statement that does not hold, CallerError
        `exchange.*`, `token.*`, `audience.unknown`, and WorldError when it could not be recorded:
        then no token leaves.
        """
        asked = exchanges.parse(statement)
        prefix = self._opener.prefix(token)
        if prefix.raw != token.caveats:
            raise CallerError("token.sealed", "A credential for one call is not exchanged.")
        _check_holder(prefix.holder, peer)
        if not exchanges.holds(asked, token, prefix.holder.key or b""):
            raise CredentialError(
                "exchange.signature", "The current holder did not sign this exchange."
            )
        source = self._inventory.issued(prefix.opened.header.tid)
        if source is None:
            raise CallerError("token.unknown", "This issuer has no record of the token.")
        _check_whole(prefix, source)
        now = self._clock()
        if now >= prefix.authority.exp:
            raise CallerError("token.expired", "The token has expired: ask for a new one.")
        audience = self._audiences(asked.audience)
        return self._carried_out(prefix, source, audience, asked.nonce, now)

    def _carried_out(
        self, prefix: VerifiedPrefix, source: Issued, audience: Audience, nonce: str, now: int
    ) -> Minted:
        fields = prefix.opened.header
        body: dict[str, Any] = canonical.decode(fields.signed.split(b"\0", 1)[0])
        tid = self._random(16).hex()
        # A clock that is behind the token's own must not make it valid sooner.
        iat = max(now, fields.iat)
        minted = _minted(
            self._signer,
            audience,
            tid=tid,
            root_key=self._random(crypto.KEY_BYTES),
            sub=fields.sub,
            holder=prefix.holder,
            ceil=body["ceil"],
            iat=iat,
            exp=fields.exp,
            depth=prefix.depth,
            obligations=body["obligations"],
            narrowed=_narrowed(prefix, body),
            account=None if body["account"] is None else tuple(body["account"]),
            ancestors=_ancestors(prefix),
        )
        text = writing.write_credential(minted)
        rid = chain.rid(minted.tag)
        summary = {
            "account": None if fields.account is None else fields.account[0],
            "akid": audience.akid,
            "appended": [],
            "ceil": body["ceil"],
            "depth": prefix.depth,
            "exchanged": {"rid": prefix.rids[-1], "tid": fields.tid},
            "kid": self._signer.kid,
            "obligations": body["obligations"],
            "profile": None,
        }
        self._inventory.record(
            Issued(
                tid=tid,
                rid0=rid,
                sub=fields.sub,
                aud=audience.name,
                iat=iat,
                exp=fields.exp,
                holder=canonical.encode(mint.spelled_holder(prefix.holder)).decode(),
                header=canonical.encode(summary).decode(),
                memo=f"exchanged for {fields.tid}",
                ancestors=tuple(sorted({*source.ancestors, *prefix.rids})),
                idempotency=f"exchange:{prefix.rids[-1]}:{nonce}",
            ),
            # What it came from can be revoked by name from now on, wherever it was made.
            described(prefix).links,
        )
        return Minted(text, tid, rid, fields.exp)


def _check_holder(holder: Holder, peer: str | None) -> None:
    if holder.bearer:
        raise CallerError("exchange.bearer", "Whoever finds a bearer token must not exchange it.")
    if holder.key is None:
        raise CallerError("exchange.no_key", "Only the holder of an Ed25519 key can ask for this.")
    if holder.spiffe is not None and holder.spiffe != peer:
        raise CallerError(
            "exchange.peer", f"This token's holder is {holder.spiffe}: ask on its connection."
        )


def _check_whole(prefix: VerifiedPrefix, source: Issued) -> None:
    """What this issuer itself appended is still there.

    An audience knows its tokens' root keys, and with one it can take off what no later holder
    signed. It may do so for itself; here it would get the wider token for somebody else.
    """
    own = canonical.decode(source.header.encode()).get("appended", [])
    if [canonical.decode(raw) for raw in prefix.raw[: len(own)]] != own:
        raise CredentialError("exchange.altered", "The issuer's own caveats are gone from it.")


def _narrowed(prefix: VerifiedPrefix, body: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    """What was carried over before, and all that was appended since but the delegations: those
    are in `ancestors` and in the holder."""
    appended = [
        (rid, caveat)
        for rid, caveat in zip(prefix.rids[1:], map(canonical.decode, prefix.raw), strict=True)
        if caveat[0] != "delegate"
    ]
    return [*((rid, caveat) for rid, caveat in body["narrowed"]), *appended]


def _ancestors(prefix: VerifiedPrefix) -> list[tuple[str, bytes]]:
    """Each holder so far, oldest first: the rid under which it held, and its key."""
    fields = prefix.opened.header
    first = fields.holder.key
    assert first is not None  # noqa: S101 - without a key there was no hop and no statement
    return [
        *zip(fields.ancestors, fields.earlier, strict=True),
        (prefix.rids[0], first),
        *((prefix.rids[hop.number], hop.key) for hop in prefix.hops),
    ]


def _minted(signer: Signer, audience: Audience, **body: Any) -> UnverifiedToken:
    # All of it stood in a token that held; what is left to be wrong is its size.
    fits = len(body["narrowed"]) <= LIST_ITEMS and len(body["ancestors"]) <= ANCESTORS
    try:
        if fits:
            return mint.mint(signer, audience, **body)
    except CredentialError as error:
        raise _too_large() from error
    raise _too_large()


def _too_large() -> CallerError:
    return CallerError(
        "exchange.too_large",
        "What was appended to this token does not fit one signed header: exchange an earlier one.",
    )

"""Law: of a token that is shown, what its seals, signatures and tag prove is believed, no more.

Two can open a token: the issuer, with the exchange key it sealed every token of its own to, and the
audience's host, with the audience key. Either says which prefixes there are and who made them; both
refuse a token whose header, chain or delegations do not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from nucleus_issuer.ports import Link
from nucleus_tokens import chain, crypto, header
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_verifier import authenticate
from nucleus_verifier.authenticate import VerifiedPrefix
from nucleus_verifier.decision import Deny
from nucleus_verifier.facts import Keys


@dataclass(frozen=True, slots=True)
class OpenedToken:
    """A token whose header signature and chain held; without its request, if it carried one."""

    tid: str
    sub: str
    rids: tuple[str, ...]  # of every prefix, the header's first
    links: tuple[Link, ...]


class Opener(Protocol):
    """Whoever can check a token that is shown."""

    def open(self, text: str) -> OpenedToken:
        """Check it. Raises CredentialError, or CallerError `token.other_issuer`."""
        ...


class IssuerOpener:
    """Opens every token of this issuer, of whatever audience. `issuers` maps (iss, kid) to its
    Ed25519 public keys, past ones included; `exchange` the same to its seal's private keys."""

    def __init__(
        self,
        issuers: Mapping[tuple[str, str], bytes],
        exchange: Mapping[tuple[str, str], bytes],
    ) -> None:
        self._issuers = dict(issuers)
        self._exchange = dict(exchange)

    def open(self, text: str) -> OpenedToken:
        """Check a token or credential by the issuer's own seal."""
        return described(self.prefix(chain.read_credential(text.strip()).token))

    def prefix(self, token: UnverifiedToken) -> VerifiedPrefix:
        """A token without its request, checked as `open` does and with the same errors."""
        claimed = header.parse(token.identifier)
        who = (claimed.iss, claimed.kid)
        if who not in self._issuers or who not in self._exchange:
            raise CallerError(
                "token.other_issuer", "Another issuer, or another key, made this token: ask there."
            )
        verified = header.verify(claimed, self._issuers[who])
        private = self._exchange[who]
        public = crypto.exchange_public_of(private)
        root_key = header.open_seal(verified.fields.seal_issuer, private, public)
        first = chain.first_tag(root_key, token.identifier)
        opened = authenticate.fold_header(claimed, first, chain.rid(first))
        raw, req = authenticate.split_request(token.caveats)
        try:
            return authenticate.verify_prefix(opened, token, raw, req)
        except authenticate.Refused as refused:
            raise CredentialError(refused.deny.code, "This token was altered.") from refused


class AudienceOpener:
    """Opens tokens for this host's audience, as its verifier does: without any passphrase."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def open(self, text: str) -> OpenedToken:
        """Check a token or credential by steps 1 to 4 of a decision."""
        verified = authenticate.authenticate(text.strip(), self._keys)
        if isinstance(verified, Deny):
            raise CredentialError(verified.code, "This token does not pass for this audience.")
        return described(verified.prefix)


def described(prefix: VerifiedPrefix) -> OpenedToken:
    """Which prefixes there are, and who made them."""
    fields = prefix.opened.header
    handed = {hop.number: hop.to for hop in prefix.hops}
    links = [Link(prefix.rids[0], fields.tid, None, fields.sub)]
    links += [
        Link(rid, fields.tid, prefix.rids[number - 1], handed.get(number, ""))
        for number, rid in enumerate(prefix.rids[1:], 1)
    ]
    return OpenedToken(fields.tid, fields.sub, prefix.rids, tuple(links))

"""Law: a token is minted by pymacaroons, and leaves only if our own strict parser accepts it.

The issuer writes the header; the macaroon library of record computes the chain over it. So
"everything we write, pymacaroons reads" is not a promise: it wrote the bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nucleus_tokens import chain, crypto, header, writing
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CallerError
from nucleus_tokens.header import Holder
from nucleus_tokens.limits import TOKEN_LIFETIME
from nucleus_verifier.authenticate import fold_header


@dataclass(frozen=True, slots=True)
class Signer:
    """The issuer's identity and secrets; `exchange` is the X25519 public key of its own seal."""

    iss: str
    kid: str
    private: bytes = field(repr=False)
    exchange: bytes


@dataclass(frozen=True, slots=True)
class Audience:
    """One proxy or verifier, by the X25519 public key its tokens are sealed to."""

    name: str
    akid: str
    public: bytes


def spelled_holder(holder: Holder) -> dict[str, object]:
    """A holder in JSON form, as the header has it."""
    key = None if holder.key is None else holder.key.hex()
    return {"bearer": holder.bearer, "key": key, "spiffe": holder.spiffe}


def mint(
    signer: Signer,
    audience: Audience,
    *,
    tid: str,
    root_key: bytes,
    sub: str,
    holder: Holder,
    ceil: Sequence[list[Any]],
    iat: int,
    exp: int,
    depth: int = 0,
    obligations: Sequence[str] = (),
    narrowed: Sequence[tuple[str, list[Any]]] = (),
    account: tuple[str, Mapping[str, int]] | None = None,
    ancestors: Sequence[tuple[str, bytes]] = (),
) -> UnverifiedToken:
    """One token. `tid` is 16 random bytes in hex, `root_key` 32 random bytes used for it alone;
    times are unix seconds. Raises CredentialError for what no verifier would read, CallerError
    `token.lifetime` for an expiry that is not after `iat` or more than 366 days after it.
    """
    from pymacaroons import Macaroon  # heavy, and only the issuer needs it

    if not iat < exp <= iat + TOKEN_LIFETIME:
        raise CallerError("token.lifetime", "A token lives from one second to 366 days.")
    body: dict[str, Any] = {
        "account": None if account is None else [account[0], dict(account[1])],
        "akid": audience.akid,
        "ancestors": [[rid, key.hex()] for rid, key in ancestors],
        "aud": audience.name,
        "ceil": list(ceil),
        "depth": depth,
        "exp": exp,
        "holder": spelled_holder(holder),
        "iat": iat,
        "iss": signer.iss,
        "kid": signer.kid,
        "narrowed": [list(item) for item in narrowed],
        "obligations": sorted(obligations),
        "sub": sub,
        "tid": tid,
        "v": 1,
    }
    identifier = writing.header_identifier(
        body, root_key, signer.private, audience.public, signer.exchange
    )
    # A ceiling beyond the limits of a chain would be refused by every verifier.
    fold_header(header.parse(identifier), b"", "00" * 16)
    minted = Macaroon(location="", identifier=identifier, key=root_key, version=2)
    token = chain.parse(chain.from_text(minted.serialize().rstrip("=")))
    if token.identifier != identifier or not crypto.same(
        token.tag, chain.first_tag(root_key, identifier)
    ):  # pragma: no cover - would mean that the two implementations disagree
        raise CallerError("token.mint", "pymacaroons and the kernel disagree on this token.")
    return token

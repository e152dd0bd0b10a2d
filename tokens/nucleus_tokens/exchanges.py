"""Law: an exchange is asked for by the token's current holder, for one prefix and one audience.

A statement is `signature(64) || body`, the body canonical JSON with exactly `aud`, `nonce`,
`prefix` and `v`, signed under a domain of its own. Whoever sees one can do nothing with it: the
token that is made of it belongs to the same holder, and a nonce serves once.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from nucleus_tokens import canonical, chain, crypto
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.fields import hexed, integer, members, need, text

DOMAIN: Final = b"nucleus/exchange/v1\0"
# Four members, of which only the audience's name has a length of its own.
_BYTES: Final = 2048


class UnverifiedExchange(NamedTuple):
    """A well-formed statement whose signature nobody has checked."""

    audience: str
    nonce: str
    prefix: bytes
    signed: bytes
    signature: bytes


def parse(data: bytes) -> UnverifiedExchange:
    """Read a statement. Raises CredentialError `exchange.malformed`."""
    size = crypto.SIGNATURE_BYTES
    try:
        need(size < len(data) <= _BYTES)
        value = members(canonical.decode(data[size:]), ["aud", "nonce", "prefix", "v"])
        integer(value["v"], 1, 1)
        hexed(value["nonce"], 16)
        return UnverifiedExchange(
            text(value["aud"]),
            value["nonce"],
            hexed(value["prefix"], 32),
            data[size:],
            data[:size],
        )
    except (ValueError, TypeError, CredentialError) as error:
        raise CredentialError("exchange.malformed", "The statement is not well formed.") from error


def write(token: UnverifiedToken, holder_private: bytes, *, audience: str, nonce: str) -> bytes:
    """The holder's statement that this very token is to be exchanged. `nonce` is 16 random bytes
    in hex. Raises CredentialError `exchange.malformed` for what no issuer would read."""
    body = {
        "aud": audience,
        "nonce": nonce,
        "prefix": chain.prefix_digest(token.identifier, token.caveats).hex(),
        "v": 1,
    }
    try:
        spelled = canonical.encode(body)
    except ValueError as error:
        raise CredentialError("exchange.malformed", "This audience cannot be written.") from error
    data = crypto.sign(holder_private, DOMAIN + spelled) + spelled
    parse(data)
    return data


def holds(statement: UnverifiedExchange, token: UnverifiedToken, holder_key: bytes) -> bool:
    """Whether this holder signed exactly this statement, about exactly this token."""
    return crypto.same(
        statement.prefix, chain.prefix_digest(token.identifier, token.caveats)
    ) and crypto.verify(holder_key, DOMAIN + statement.signed, statement.signature)

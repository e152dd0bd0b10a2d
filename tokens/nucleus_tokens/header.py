"""Law: what the issuer says, the issuer signs: every byte after the signature, the seals included.

A header is a macaroon identifier:

    sig(64) || body (canonical JSON) || 00 || seal to the audience (80) || seal to the issuer (80)
    sig = Ed25519(issuer key, "nucleus/header/v1" 00 || body || 00 || seals)

`ceil` is the issuer's own restriction, `narrowed` what an Exchange carried over. Nothing appended
later can be in either, which is why only `ceil` counts as the issuer's word.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from nucleus_tokens import canonical, caveats, crypto, names
from nucleus_tokens.caveats import Caveat, Levels
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.fields import hexed, integer, members, name_set, need, text
from nucleus_tokens.lattice import TOP
from nucleus_tokens.limits import ANCESTORS, DEPTH, HEADER_BYTES, LIST_ITEMS

DOMAIN: Final = b"nucleus/header/v1\0"
_SEALS: Final = 2 * crypto.SEALED_KEY_BYTES
_FIELDS: Final = [
    "account", "akid", "ancestors", "aud", "ceil", "depth", "exp", "holder", "iat", "iss",
    "kid", "narrowed", "obligations", "sub", "tid", "v",
]  # fmt: skip


class Holder(NamedTuple):
    """Who may present a token. Both named: both must match. Neither: whoever bears it."""

    spiffe: str | None
    key: bytes | None

    @property
    def bearer(self) -> bool:
        return self.spiffe is None and self.key is None


class UnverifiedHeader(NamedTuple):
    """A well-formed header whose signature nobody has checked yet."""

    iss: str
    kid: str
    aud: str
    akid: str
    tid: str
    sub: str
    holder: Holder
    depth: int
    iat: int
    exp: int
    ceil: tuple[Caveat, ...]
    narrowed: tuple[tuple[str, Caveat], ...]  # (rid it had in the token exchanged, caveat)
    obligations: int
    account: tuple[str, tuple[tuple[str, int], ...]] | None  # (account, limit per unit)
    ancestors: tuple[str, ...]  # of an exchanged token: rid 0 and the hops it had, oldest first
    earlier: tuple[bytes, ...]  # and the keys that held it there
    signature: bytes
    signed: bytes
    seal_audience: bytes
    seal_issuer: bytes


class VerifiedHeader(NamedTuple):
    """A header whose issuer signature held. Only `verify` makes one."""

    fields: UnverifiedHeader


def _holder(value: Any) -> Holder:
    members(value, ["bearer", "key", "spiffe"])
    spiffe, key = value["spiffe"], value["key"]
    need(spiffe is None or text(spiffe).startswith("spiffe://"))
    holder = Holder(spiffe, None if key is None else hexed(key, 32))
    # Bearer is said aloud: a holder that went missing must not become one.
    need(type(value["bearer"]) is bool and value["bearer"] == holder.bearer)
    return holder


def _ceil(value: Any) -> tuple[Caveat, ...]:
    need(len(value) <= LIST_ITEMS)
    # Levels are said in full: a ceiling without them would leave every dimension open.
    need(value[0][0] == "only")
    made = []
    for caveat in value:
        need(caveat[0] in caveats.IN_CEIL)
        made.append(caveats.from_value(caveat))
    return tuple(made)


def _narrowed(value: Any) -> tuple[tuple[str, Caveat], ...]:
    need(type(value) is list and len(value) <= LIST_ITEMS)
    made = []
    for rid, caveat in value:
        hexed(rid, 16)
        need(caveat[0] in caveats.IN_NARROWED)
        made.append((rid, caveats.from_value(caveat)))
    return tuple(made)


def _account(value: Any) -> tuple[str, tuple[tuple[str, int], ...]] | None:
    if value is None:
        return None
    name, limits = value
    need(type(limits) is dict and all(unit in caveats.BUDGET_UNITS for unit in limits))
    return text(name), tuple((unit, integer(limit)) for unit, limit in limits.items())


def parse(identifier: bytes) -> UnverifiedHeader:
    """Read an identifier. Raises CredentialError `header.malformed` for every other byte string."""
    signed = identifier[crypto.SIGNATURE_BYTES :]
    body, end = signed[: -_SEALS - 1], signed[-_SEALS - 1 : -_SEALS]
    try:
        need(len(body) <= HEADER_BYTES and end == b"\0")
        value = members(canonical.decode(body), _FIELDS)
        integer(value["v"], 1, 1)
        hexed(value["tid"], 16)
        ancestors = value["ancestors"]
        need(type(ancestors) is list and len(ancestors) <= ANCESTORS)
        earlier = tuple(hexed(key, 32) for _, key in ancestors)
        for pair in ancestors:
            need(type(pair) is list)
            hexed(pair[0], 16)
        return UnverifiedHeader(
            text(value["iss"]), text(value["kid"]), text(value["aud"]), text(value["akid"]),
            value["tid"], text(value["sub"]), _holder(value["holder"]),
            integer(value["depth"], 0, DEPTH), integer(value["iat"]), integer(value["exp"]),
            _ceil(value["ceil"]), _narrowed(value["narrowed"]),
            names.obligation_bits(name_set(value["obligations"])), _account(value["account"]),
            tuple(rid for rid, _ in ancestors), earlier,
            identifier[: crypto.SIGNATURE_BYTES], signed,
            signed[-_SEALS : -crypto.SEALED_KEY_BYTES], signed[-crypto.SEALED_KEY_BYTES :],
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, IndexError, CredentialError) as error:
        raise CredentialError(
            "header.malformed", "The signed header is not well formed."
        ) from error


def verify(header: UnverifiedHeader, issuer_key: bytes) -> VerifiedHeader:
    """Check the issuer's signature (RFC 8032). Raises CredentialError `header.signature`."""
    if not crypto.verify(issuer_key, DOMAIN + header.signed, header.signature):
        raise CredentialError("header.signature", "The issuer's signature does not hold.")
    return VerifiedHeader(header)


def open_seal(sealed: bytes, private: bytes, public: bytes) -> bytes:
    """A token's 32-byte root key, from one of its seals. Raises CredentialError `header.seal`.

    Only the seal of a `VerifiedHeader` is worth opening: an unsigned one is anybody's.
    """
    key = crypto.unseal(private, public, sealed)
    if key is None or len(key) != crypto.KEY_BYTES:
        raise CredentialError("header.seal", "The seal does not open with this key.")
    return key


def ceiling(header: UnverifiedHeader) -> int:
    """The levels (packed) that the issuer's `ceil` leaves."""
    levels = TOP
    for caveat in header.ceil:
        if type(caveat) is Levels:
            levels &= caveat.packed
    return levels

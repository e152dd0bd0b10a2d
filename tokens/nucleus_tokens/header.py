"""Law: what the issuer says, the issuer signs: every byte after the signature, the seals included.

A header is a macaroon identifier:

    sig(64) || body (canonical JSON) || 00 || seal to the audience (80) || seal to the issuer (80)
    sig = Ed25519(issuer key, "nucleus/header/v1" 00 || body || 00 || seals)

`ceil` is the issuer's own restriction, `narrowed` what an Exchange carried over. Nothing appended
later can be in either, which is why only `ceil` counts as the issuer's word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from nucleus_tokens import canonical, caveats, crypto, names
from nucleus_tokens.caveats import Caveat, Levels
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.limits import DEPTH, HEADER_BYTES, INTEGER, LIST_ITEMS, STRING_CHARS

DOMAIN: Final = b"nucleus/header/v1\0"
_SEALS: Final = 2 * crypto.SEALED_KEY_BYTES
_FIELDS: Final = [
    "account", "akid", "ancestors", "aud", "ceil", "depth", "exp", "holder", "iat", "iss",
    "kid", "narrowed", "obligations", "sub", "tid", "v",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Holder:
    """Who may present a token. Both named: both must match. Neither: whoever bears it."""

    spiffe: str | None
    key: bytes | None

    @property
    def bearer(self) -> bool:
        return self.spiffe is None and self.key is None


@dataclass(frozen=True, slots=True)
class UnverifiedHeader:
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
    ancestors: tuple[str, ...]
    signature: bytes
    signed: bytes
    seal_audience: bytes
    seal_issuer: bytes


@dataclass(frozen=True, slots=True)
class VerifiedHeader:
    """A header whose issuer signature held. Only `verify` makes one."""

    fields: UnverifiedHeader


def _need(condition: bool) -> None:
    if not condition:
        raise ValueError


def _text(value: Any) -> str:
    _need(type(value) is str and 0 < len(value) <= STRING_CHARS)
    return value  # type: ignore[no-any-return]  # narrowed by the line above


def _seconds(value: Any) -> int:
    _need(type(value) is int and 0 <= value <= INTEGER)
    return value  # type: ignore[no-any-return]  # narrowed by the line above


def _hex(value: Any, size: int) -> str:
    _need(type(value) is str and len(value) == 2 * size)
    _need(all(c in "0123456789abcdef" for c in value))
    return value  # type: ignore[no-any-return]  # narrowed by the lines above


def _holder(value: Any) -> Holder:
    _need(type(value) is dict and sorted(value) == ["bearer", "key", "spiffe"])
    spiffe, key = value["spiffe"], value["key"]
    if spiffe is not None:
        _need(_text(spiffe).startswith("spiffe://"))
    holder = Holder(spiffe, None if key is None else bytes.fromhex(_hex(key, 32)))
    # Bearer is said aloud: a holder that went missing must not become one.
    _need(type(value["bearer"]) is bool and value["bearer"] == holder.bearer)
    return holder


def _ceil(value: Any) -> tuple[Caveat, ...]:
    _need(type(value) is list and 0 < len(value) <= LIST_ITEMS)
    _need(all(type(c) is list and c and c[0] in caveats.IN_CEIL for c in value))
    # Levels are said in full: a ceiling without them would leave every dimension open.
    _need(value[0][0] == "only")
    return tuple(map(caveats.from_value, value))


def _narrowed(value: Any) -> tuple[tuple[str, Caveat], ...]:
    _need(type(value) is list and len(value) <= LIST_ITEMS)
    made = []
    for rid, caveat in value:
        _need(type(caveat) is list and bool(caveat) and caveat[0] in caveats.IN_NARROWED)
        made.append((_hex(rid, 16), caveats.from_value(caveat)))
    return tuple(made)


def _account(value: Any) -> tuple[str, tuple[tuple[str, int], ...]] | None:
    if value is None:
        return None
    name, limits = value
    _need(type(limits) is dict and all(unit in caveats.BUDGET_UNITS for unit in limits))
    return _text(name), tuple((unit, _seconds(limit)) for unit, limit in limits.items())


def _names(value: Any) -> list[str]:
    _need(type(value) is list and all(type(v) is str for v in value))
    _need(len(value) <= LIST_ITEMS and value == sorted(set(value)))
    return value  # type: ignore[no-any-return]  # narrowed by the lines above


def parse(identifier: bytes) -> UnverifiedHeader:
    """Read an identifier. Raises CredentialError `header.malformed` for every other byte string."""
    body_end = len(identifier) - _SEALS - 1
    body = identifier[crypto.SIGNATURE_BYTES : max(body_end, 0)]
    try:
        _need(0 < len(body) <= HEADER_BYTES and identifier[body_end] == 0)
        value = canonical.decode(body)
        _need(type(value) is dict and sorted(value) == _FIELDS)
        _need(type(value["v"]) is int and value["v"] == 1)
        _need(type(value["ancestors"]) is list and len(value["ancestors"]) <= 8 * (DEPTH + 2))
        depth = _seconds(value["depth"])
        _need(depth <= DEPTH)
        return UnverifiedHeader(
            iss=_text(value["iss"]),
            kid=_text(value["kid"]),
            aud=_text(value["aud"]),
            akid=_text(value["akid"]),
            tid=_hex(value["tid"], 16),
            sub=_text(value["sub"]),
            holder=_holder(value["holder"]),
            depth=depth,
            iat=_seconds(value["iat"]),
            exp=_seconds(value["exp"]),
            ceil=_ceil(value["ceil"]),
            narrowed=_narrowed(value["narrowed"]),
            obligations=names.obligation_bits(_names(value["obligations"])),
            account=_account(value["account"]),
            ancestors=tuple(_hex(rid, 16) for rid in value["ancestors"]),
            signature=identifier[: crypto.SIGNATURE_BYTES],
            signed=identifier[crypto.SIGNATURE_BYTES :],
            seal_audience=identifier[body_end + 1 : body_end + 1 + crypto.SEALED_KEY_BYTES],
            seal_issuer=identifier[body_end + 1 + crypto.SEALED_KEY_BYTES :],
        )
    except (ValueError, TypeError, KeyError, CredentialError) as error:
        raise CredentialError(
            "header.malformed", "The signed header is not well formed."
        ) from error


def verify(header: UnverifiedHeader, issuer_key: bytes) -> VerifiedHeader:
    """Check the issuer's signature (RFC 8032). Raises CredentialError `header.signature`."""
    if not crypto.verify(issuer_key, DOMAIN + header.signed, header.signature):
        raise CredentialError("header.signature", "The issuer's signature does not hold.")
    return VerifiedHeader(header)


def open_seal(header: VerifiedHeader, audience_private: bytes) -> bytes:
    """The 32-byte root key, from the audience's seal. Raises CredentialError `header.seal`."""
    key = crypto.unseal(audience_private, header.fields.seal_audience)
    if key is None or len(key) != crypto.KEY_BYTES:
        raise CredentialError("header.seal", "The seal does not open with this audience's key.")
    return key


def write(
    body: dict[str, Any], root_key: bytes, issuer_private: bytes, audience: bytes, exchange: bytes
) -> bytes:
    """Sign a header. `body` holds the fields of the spec in JSON form; keys are 32 raw bytes each.

    Raises CredentialError `header.malformed` for a body no verifier would accept, so that nothing
    unreadable is ever issued.
    """
    try:
        spelled = canonical.encode(body)
    except ValueError as error:
        raise CredentialError(
            "header.malformed", f"This header cannot be written: {error}."
        ) from error
    sealed = spelled + b"\0" + crypto.seal(audience, root_key) + crypto.seal(exchange, root_key)
    identifier = crypto.sign(issuer_private, DOMAIN + sealed) + sealed
    parse(identifier)
    return identifier


def ceiling(header: UnverifiedHeader) -> int:
    """The levels (packed) that the issuer's `ceil` leaves."""
    levels = names.pack_levels({}, "always")
    for caveat in header.ceil:
        if type(caveat) is Levels:
            levels &= caveat.packed
    return levels

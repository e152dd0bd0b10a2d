"""Law: a person is whom a pinned identity provider signed, for us, a short while ago.

ID tokens (OpenID Connect), shown as RFC 8693 has it: token and type. Keys come from a file that
the operator put beside the policy; nothing is fetched. The algorithm is the key's, never the
token's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt

from nucleus_issuer import files
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_tokens.limits import SKEW

ID_TOKEN: Final = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105  a type, no secret
# A person signs in to order: an older token was kept, or stolen.
MAX_AGE: Final = 600
_ALGORITHMS: Final = frozenset(("RS256", "PS256", "ES256", "ES384", "EdDSA"))
_CHARS: Final = 8192
_FILE_BYTES: Final = 64 * 1024
_REQUIRED: Final = ["aud", "exp", "iat", "iss", "sub"]


@dataclass(frozen=True, slots=True)
class Provider:
    """An identity provider, our name there, and its keys by id."""

    issuer: str
    audience: str
    keys: Mapping[str, jwt.PyJWK]


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a provider vouches for."""

    issuer: str
    sub: str
    claims: Mapping[str, Any]

    @property
    def id(self) -> str:
        return f"{self.issuer}#{self.sub}"

    def has(self, claim: str, value: str) -> bool:
        """Whether the provider says so. An address counts once it was verified."""
        if claim == "email" and self.claims.get("email_verified") is not True:
            return False
        return self.claims.get(claim) == value


def provider(issuer: str, audience: str, jwks: Path) -> Provider:
    """A provider, with the keys in a file. Raises CallerError `people.keys`, WorldError."""
    bad = CallerError("people.keys", f"{jwks} is no set of public signing keys with ids.")
    try:
        keys = json.loads(files.read(jwks, secret=False, most=_FILE_BYTES))["keys"]
        made = {key["kid"]: jwt.PyJWK(key) for key in keys if key.get("use", "sig") == "sig"}
        if len(made) != len(keys) or not made or any("d" in key for key in keys):
            raise bad
        if not all(type(kid) is str and kid for kid in made):
            raise bad
        if any(key.algorithm_name not in _ALGORITHMS for key in made.values()):
            raise bad
    except (ValueError, TypeError, KeyError, AttributeError, jwt.PyJWTError) as error:
        raise bad from error
    return Provider(issuer, audience, made)


def person(providers: Sequence[Provider], token: str, kind: str, now: int) -> Person:
    """Who a token is about. Raises CredentialError `people.token`; why is not told."""
    refused = CredentialError("people.token", "This ID token does not count here: sign in anew.")
    if kind != ID_TOKEN or len(token) > _CHARS:
        raise refused
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        # Whose key it is decides whom it may speak for.
        for each in providers:
            key = each.keys.get(kid) if isinstance(kid, str) else None
            if key is None:
                continue
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=each.audience,
                issuer=each.issuer,
                options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False},
            )
            return _current(each, claims, now)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise refused from error
    raise refused


def _current(by: Provider, claims: dict[str, Any], now: int) -> Person:
    exp, iat, sub = claims["exp"], claims["iat"], claims["sub"]
    if type(exp) is not int or type(iat) is not int or type(sub) is not str or not sub:
        raise ValueError("types")
    # One audience: a token that several may use was seen by several.
    if claims["aud"] not in (by.audience, [by.audience]) or len(sub) > 255:
        raise ValueError("audience")
    if not now < exp or not now - MAX_AGE <= iat <= now + SKEW:
        raise ValueError("time")
    return Person(by.issuer, sub, claims)

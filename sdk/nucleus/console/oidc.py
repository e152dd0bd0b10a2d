"""Law: a provider says who it is, and the operator's file says who of them may come in.

OpenID Connect, authorization code with PKCE, and no more of it. The issuer, the client and the
subjects are written down in a file of the operator's; endpoints are what that issuer's own document
says, over TLS. What goes out and what comes back are tied together by a secret in one browser's
cookie: the state, the nonce and the code verifier are made from it, and nothing is kept here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import ssl
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import jwt

from nucleus import shapes
from nucleus.couriers import private
from nucleus_issuer import files
from nucleus_tokens.errors import CallerError, WorldError

_BYTES: Final = 64 * 1024
_SECONDS: Final = 10.0
_SKEW: Final = 60  # seconds that two clocks may differ
# Signatures by a key of which we know the public half; never a shared secret, never none.
_ALGORITHMS: Final = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
_NEEDED: Final = ("aud", "exp", "iat", "iss", "nonce", "sub")


@dataclass(frozen=True, slots=True)
class Provider:
    """What the operator wrote down."""

    issuer: str
    client: str
    subjects: frozenset[str]
    secret: str = field(default="", repr=False)  # of a client that has one


def read(path: Path) -> Provider:
    """The operator's file. Raises CallerError `login.file`, WorldError."""
    try:
        value = tomllib.loads(files.read(path, secret=False, most=_BYTES).decode("utf-8"))
        known = {"version", "issuer", "client", "subjects", "secret_file"}
        if value.pop("version") != 1 or set(value) - known:
            raise ValueError("fields")
        issuer, client = str(value["issuer"]), str(value["client"])
        subjects = frozenset(map(str, shapes.items(value["subjects"]) or ()))
        if not private(issuer) or not client or not subjects:
            raise ValueError("an https issuer, a client and at least one subject")
        secret = ""
        if "secret_file" in value:
            where = path.parent / str(value["secret_file"])
            secret = files.read(where, secret=True, most=_BYTES).decode().strip()
        return Provider(issuer, client, subjects, secret)
    except (ValueError, TypeError, KeyError) as error:
        raise CallerError(
            "login.file",
            f"{path} says who may come in: version, issuer, client, subjects and perhaps a "
            f"secret_file: {error}.",
        ) from error


class OpenId:
    """A way in through a provider. `back` is the console's own `/enter`, as a browser sees it."""

    fields = ("code", "state", "iss")
    refused = "The provider's answer lets nobody in here: another account, or too late."
    first = "Show who you are"

    def __init__(self, provider: Provider, back: str, clock: Callable[[], int]) -> None:
        self._provider = provider
        self._back = back
        self._clock = clock
        self._key = os.urandom(32)
        self.says = f"Come in through {provider.issuer}."

    def away(self, secret: str) -> str:
        verifier = self._made("verifier", secret).encode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=")
        asked = {
            "client_id": self._provider.client,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
            "nonce": self._made("nonce", secret),
            "redirect_uri": self._back,
            "response_type": "code",
            "scope": "openid",
            "state": self._made("state", secret),
        }
        where = _address(self._discovered(), "authorization_endpoint")
        return where + ("&" if urlsplit(where).query else "?") + urlencode(asked)

    def enter(self, form: Mapping[str, str], secret: str) -> str | None:
        state, issuer = form.get("state", ""), form.get("iss", self._provider.issuer)
        if not secret or not hmac.compare_digest(
            state.encode(), self._made("state", secret).encode()
        ):
            return None
        if issuer != self._provider.issuer or not form.get("code"):
            return None
        found = self._discovered()
        said = self._exchanged(_address(found, "token_endpoint"), form["code"], secret)
        claims = self._verified(shapes.text(said.get("id_token")) or "", found)
        if claims is None:
            return None
        nonce, subject = str(claims["nonce"]), str(claims["sub"])
        if not hmac.compare_digest(nonce.encode(), self._made("nonce", secret).encode()):
            return None
        return subject if subject in self._provider.subjects else None

    def _made(self, what: str, secret: str) -> str:
        """What belongs to the browser with this secret, and cannot be made from another one."""
        return hmac.new(self._key, f"nucleus/{what}:{secret}".encode(), "sha256").hexdigest()

    def _discovered(self) -> Mapping[str, Any]:
        """The issuer's own document; it is asked each time, and coming in is rare."""
        where = f"{self._provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        found = _fetched(where)
        if found.get("issuer") != self._provider.issuer:
            raise WorldError("login.provider", f"{where} speaks for another issuer.")
        return found

    def _exchanged(self, where: str, code: str, secret: str) -> Mapping[str, Any]:
        given = {
            "client_id": self._provider.client,
            "code": code,
            "code_verifier": self._made("verifier", secret),
            "grant_type": "authorization_code",
            "redirect_uri": self._back,
        }
        if self._provider.secret:
            given["client_secret"] = self._provider.secret
        return _fetched(where, given)

    def _verified(self, token: str, found: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What the provider's key signed for us, now; None if it did not."""
        try:
            key = self._key_of(token, _address(found, "jwks_uri"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(_ALGORITHMS),
                audience=self._provider.client,
                issuer=self._provider.issuer,
                # The time is read from our own clock, below.
                options={"require": list(_NEEDED), "verify_exp": False, "verify_iat": False,
                         "verify_nbf": False},
            )  # fmt: skip
            begins, ends, now = int(claims["iat"]), int(claims["exp"]), self._clock()
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        if not begins - _SKEW <= now < ends:
            return None
        # For several at once only if it was made for us.
        several = shapes.items(claims["aud"]) is not None
        return None if several and claims.get("azp") != self._provider.client else claims

    def _key_of(self, token: str, where: str) -> jwt.PyJWK:
        """The provider's key that the token names. Raises jwt.PyJWTError."""
        name = jwt.get_unverified_header(token).get("kid")
        keys = [
            shapes.table(each) or {} for each in shapes.items(_fetched(where).get("keys")) or ()
        ]
        for each in keys:
            if each.get("kid") == name and each.get("use", "sig") == "sig":
                return jwt.PyJWK.from_dict(each)
        raise jwt.InvalidKeyError("no such key")


def _address(found: Mapping[str, Any], name: str) -> str:
    where = shapes.text(found.get(name)) or ""
    if not private(where) or not where.isascii() or not where.isprintable():
        raise WorldError("login.provider", f"The provider's {name} is no address we go to.")
    return where


def _fetched(url: str, form: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """One exchange in JSON. No redirect is followed. Raises WorldError `login.provider`."""
    parts = urlsplit(url)
    try:
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.netloc, timeout=_SECONDS, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=_SECONDS)
        try:
            headers = {"Accept": "application/json"}
            if form is not None:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            body = None if form is None else urlencode(form)
            connection.request("GET" if form is None else "POST", path, body, headers)
            answer = connection.getresponse()
            status, said = answer.status, answer.read(_BYTES)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise WorldError("login.provider", f"{parts.netloc} does not answer.") from error
    try:
        value = shapes.table(json.loads(said))
    except (ValueError, RecursionError):
        value = None
    if status == 400 and form is not None:
        return {}  # a code that is not good: nobody came in
    if status != 200 or value is None:
        raise WorldError("login.provider", f"{parts.netloc} gave no answer we know.")
    return value

"""A fake OpenID Connect provider: discovery, authorization code with PKCE, signed tokens; it asks
nobody who they are. `tampers` changes what a token says or how it is signed."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

CLIENT = "nucleus-console"
Claims = dict[str, Any]


@dataclass
class FakeProvider:
    """One issuer, one client, and whoever `subject` says."""

    key: RSAPrivateKey
    issuer: str = ""
    subject: str = "alice-at-work"
    secret: str = ""
    back: str = ""  # the only address that a code is sent to
    document: dict[str, Any] = field(default_factory=dict[str, Any])  # laid over the real one
    tampers: Callable[[Claims], Claims] = dict
    signs: Callable[[Claims], str] | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        assert asked["client_id"] == CLIENT
        assert asked["response_type"] == "code"
        assert asked["scope"] == "openid"
        assert asked["code_challenge_method"] == "S256"
        assert asked["redirect_uri"] == self.back
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        said = {"code": code, "state": asked["state"], "iss": self.issuer}
        return f"{self.back}?{urlencode(said)}"

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        asked = self.codes.pop(form.get("code", ""), None)  # a code is good once
        verifier = form.get("code_verifier", "").encode()
        made = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
        if (
            asked is None
            or made != asked["code_challenge"]
            or form["redirect_uri"] != self.back
            or form["client_id"] != CLIENT
            or form.get("client_secret", "") != self.secret
            or form["grant_type"] != "authorization_code"
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": self.subject, "aud": CLIENT, "exp": now + 300,
                  "iat": now, "nonce": asked["nonce"]}  # fmt: skip
        claims = self.tampers(claims)
        signed = (
            jwt.encode(claims, self.key, "RS256", headers={"kid": "k1"})
            if self.signs is None
            else self.signs(claims)
        )
        return 200, {"access_token": "unused", "token_type": "Bearer", "id_token": signed}

    def keys(self) -> dict[str, Any]:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": "k1", "use": "sig", "alg": "RS256"}]}

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            **self.document,
        }


@contextmanager
def provider() -> Iterator[FakeProvider]:
    fake = FakeProvider(generate_private_key(65537, 2048))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            match parts.path:
                case "/.well-known/openid-configuration":
                    self._says(200, fake.discovery())
                case "/keys":
                    self._says(200, fake.keys())
                case "/authorize":
                    self.send_response(302)
                    self.send_header("Location", fake.authorize(_flat(parts.query)))
                    self.end_headers()
                case _:
                    self._says(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._says(*fake.token(_flat(body)))

        def _says(self, status: int, value: dict[str, Any]) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.issuer = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()


def _flat(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}

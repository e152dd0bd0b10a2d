"""Law: what is sent goes to a repository that the operator named, with a credential that only the
proxy knows.

The `[remotes.NAME]` tables of the policy file (docs/spec/policy.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nucleus_proxy.egress import url
from nucleus_proxy.egress.dial import Private
from nucleus_proxy.egress.reading import keys, over_tls, tables, text
from nucleus_proxy.egress.routes import injected_in
from nucleus_proxy.fields import bad
from nucleus_tokens.errors import CredentialError
from nucleus_verifier import resources

_TABLE = ("url", "api", "secret", "user", "header")


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository that may be pushed to. `host` is how scopes know it; a directory of this host
    is `localhost`. `api` is where its forge takes pull requests; empty where there is none. With a
    `secret` git logs in as `user`, and the forge is asked with it in `header`."""

    url: str
    host: str
    api: str = ""
    secret: str = ""
    user: str = "git"
    header: str = "authorization"
    prefix: str = "Bearer "  # what stands before the secret in its header

    @property
    def scheme(self) -> str:
        """http, https, or file for a directory."""
        return self.url.partition("://")[0] if "://" in self.url else "file"

    @property
    def repository(self) -> str:
        """OWNER/NAME, as forges call it."""
        path = self.url.partition("://")[2].partition("/")[2]
        return path.strip("/").removesuffix(".git")


def parse(
    value: Any, known: Mapping[str, object], private: tuple[Private, ...]
) -> dict[str, Remote]:
    """All tables; `known` are the names of secrets. Raises CallerError `policy.*`."""
    return {
        name: _remote(f"remotes.{name}", table, known, private)
        for name, table in tables("remotes", value).items()
    }


def _remote(
    where: str, value: Any, known: Mapping[str, object], private: tuple[Private, ...]
) -> Remote:
    table = keys(where, value, _TABLE)
    at = text(f"{where}.url", table.get("url"))
    host = "localhost" if at.startswith("/") else resources.url_host(at)
    if host is None:
        bad(f"{where}.url", "it is an http or https URL, or an absolute path")
    api = text(f"{where}.api", table["api"]) if "api" in table else ""
    if api and resources.url_host(api) is None:
        bad(f"{where}.api", "it is an http or https URL")
    if "secret" not in table:
        for key in ("user", "header"):
            if key in table:
                bad(f"{where}.{key}", "it says nothing without a 'secret'")
        return Remote(at, host, api)
    secret = text(f"{where}.secret", table["secret"])
    if secret not in known:
        bad(f"{where}.secret", "it names one of egress.secrets")
    for key, address in (("url", at), ("api", api)):
        if address:
            over_tls(f"{where}.{key}", _target(f"{where}.{key}", address), private)
    user = text(f"{where}.user", table.get("user", "git"))
    if ":" in user:
        bad(f"{where}.user", "a user's name has no colon")
    header, prefix = injected_in(where, table.get("header", "authorization: Bearer {}"))
    return Remote(at, host, api, secret, user, header, prefix)


def _target(where: str, address: str) -> url.Target:
    try:
        return url.parse(address)
    except CredentialError as error:
        bad(where, error.message.removesuffix("."))

"""Law: a forge is asked for one thing, a pull request, at an address that the operator named.

The interface of GitHub, Gitea and Forgejo alike: a POST of title, body, head and base. The answer
is read within bounds and believed in two fields. No redirect is followed; the credential goes to
the operator's address and nowhere else.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

from nucleus_proxy.egress.secrets import Credential
from nucleus_proxy.remotes import Remote
from nucleus_tokens.errors import CallerError, WorldError

SECONDS: Final = 30.0
ANSWER_BYTES: Final = 1024 * 1024
_CREATED: Final = 201


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What a forge said of the pull request it made."""

    url: str
    number: int


class Forge(Protocol):
    """Whoever makes pull requests."""

    async def create_pr(
        self, remote: Remote, head: str, base: str, title: str, body: str
    ) -> PullRequest:
        """Make one. Raises CallerError `forge.refused`, WorldError `forge.failed`."""
        ...


class HttpForge:
    """A forge over its HTTP interface."""

    def __init__(
        self,
        login: Callable[[Remote], Credential | None] = lambda _: None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`login` gives the credential that lets us in; `trust` the roots for https, the system's
        where it is left out."""
        self._login = login
        self._trust = trust

    async def create_pr(
        self, remote: Remote, head: str, base: str, title: str, body: str
    ) -> PullRequest:
        """As `Forge.create_pr`."""
        if not remote.api:
            raise CallerError("forge.none", "This remote has no forge.")
        asked = {"title": title, "body": body, "head": head, "base": base}
        return await asyncio.to_thread(self._post, remote, json.dumps(asked).encode("ascii"))

    def _post(self, remote: Remote, content: bytes) -> PullRequest:
        parts = urlsplit(remote.api)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        login = self._login(remote)
        if login is not None:
            headers[login.name] = login.dangerously_value()
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            trust = self._trust or ssl.create_default_context()
            connection = http.client.HTTPSConnection(parts.netloc, timeout=SECONDS, context=trust)
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=SECONDS)
        try:
            where = f"{parts.path.rstrip('/')}/repos/{quote(remote.repository)}/pulls"
            connection.request("POST", where, content, headers)
            answer = connection.getresponse()
            status, data = answer.status, answer.read(ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise WorldError("forge.failed", "The forge did not answer.") from error
        finally:
            connection.close()
        if status != _CREATED:
            raise CallerError("forge.refused", f"The forge answered {status}.")
        return _read(data if login is None else login.scrub(data))


def _read(data: bytes) -> PullRequest:
    try:
        value: Any = json.loads(data[:ANSWER_BYTES])
        url, number = value["html_url"], value["number"]
        if type(url) is not str or type(number) is not int or not url.isprintable():
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise WorldError("forge.failed", "The forge's answer cannot be read.") from error
    return PullRequest(url[:2048], number)

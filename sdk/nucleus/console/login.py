"""Law: who may answer came by a way in that the terminal chose where the key was opened.

By itself that is a link that works once; another one is an OpenID Connect provider (`oidc`).
Afterwards a cookie says who it is; a form says, by a second secret, that it is one of ours. Neither
is ever part of an address that is kept.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

LINK_SECONDS: Final = 300
SESSION_SECONDS: Final = 12 * 3600
MOST_SESSIONS: Final = 16
_BYTES: Final = 32


class Login(Protocol):
    """A way in. `fields` are what an address that leads in brings along; `says` and `refused` are
    what a person reads there, and `first` is the name of the way `away`, if there is one."""

    @property
    def fields(self) -> tuple[str, ...]: ...

    @property
    def says(self) -> str: ...

    @property
    def refused(self) -> str: ...

    @property
    def first(self) -> str: ...

    def away(self, secret: str) -> str | None:
        """Where a browser goes first to show who it is; `secret` is drawn for it and kept in a
        cookie. None: nowhere. It blocks; raises WorldError."""
        ...

    def enter(self, form: Mapping[str, str], secret: str) -> str | None:
        """Who it is that sent this form from the browser with this secret; None: nobody that may
        come in. It blocks; raises WorldError."""
        ...


class OneTimeLink:
    """Whoever has the link that the terminal showed, once."""

    fields = ("once",)
    says = "This link works once."
    refused = "This link was used, or is too old. The terminal where the console runs has another."
    first = ""

    def __init__(self, who: str, clock: Callable[[], int], draw: Callable[[int], bytes]) -> None:
        self._who = who
        self._clock = clock
        self._draw = draw
        self._secret: bytes | None = None
        self._until = 0

    def link(self) -> str:
        """A new secret for a link; the one before is void."""
        secret = self._draw(_BYTES).hex()
        self._secret = _digest(secret)
        self._until = self._clock() + LINK_SECONDS
        return secret

    def away(self, secret: str) -> str | None:
        return None

    def enter(self, form: Mapping[str, str], secret: str) -> str | None:
        given, wanted = form.get("once", ""), self._secret
        if wanted is None or not hmac.compare_digest(_digest(given), wanted):
            return None
        self._secret = None  # whether it is too late or not
        return self._who if self._clock() < self._until else None


@dataclass(frozen=True, slots=True)
class Signed:
    """Somebody who is in. `csrf` stands in every form."""

    who: str
    csrf: str
    until: int


class Visits:
    """Who is in, by the digest of a cookie."""

    def __init__(self, clock: Callable[[], int], draw: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._draw = draw
        self._open: dict[bytes, Signed] = {}

    def begin(self, who: str) -> str:
        """Let somebody in; the cookie's value."""
        now = self._clock()
        self._open = {k: v for k, v in self._open.items() if v.until > now}
        while len(self._open) >= MOST_SESSIONS:
            del self._open[next(iter(self._open))]
        cookie = self._draw(_BYTES).hex()
        csrf = hmac.new(cookie.encode(), b"nucleus/console/form", "sha256").hexdigest()
        self._open[_digest(cookie)] = Signed(who, csrf, now + SESSION_SECONDS)
        return cookie

    def of(self, cookie: str) -> Signed | None:
        """Who has this cookie."""
        found = self._open.get(_digest(cookie))
        return found if found is not None and found.until > self._clock() else None

    def end(self, cookie: str) -> None:
        """It is worth nothing from now on."""
        self._open.pop(_digest(cookie), None)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="replace")).digest()

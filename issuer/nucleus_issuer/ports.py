"""Law: what the issuer needs of durable state is `Inventory`; who keeps it is not its affair.

A token is in the inventory before it leaves the issuer. Revocations only accumulate, and each has a
sequence number that is never given twice. No value here holds a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Issued:
    """One token as it was issued. Times are unix seconds; `holder` and `header` canonical JSON."""

    tid: str
    rid0: str
    sub: str
    aud: str
    iat: int
    exp: int
    holder: str
    header: str
    memo: str = ""
    ancestors: tuple[str, ...] = ()  # every rid of the token it was exchanged for
    idempotency: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A known prefix. `who` is the holder its last caveat hands over to; empty if it does not."""

    rid: str
    tid: str
    parent: str | None
    who: str


@dataclass(frozen=True, slots=True)
class Revocation:
    """One entry: everything that extends the prefix `rid` is dead."""

    seq: int
    rid: str
    tid: str
    at: int
    by: str
    reason: str


class Inventory(Protocol):
    """What was issued, what of it is known to exist, and what was revoked."""

    def record(self, issued: Issued, links: Iterable[Link] = ()) -> None:
        """Make a token known, and `links`, durably. Raises CallerError `token.already_issued` when
        its idempotency key was used before, and for an exchanged token `token.revoked` when
        anything it came from is dead, `exchange.too_many` when its tree has enough of them."""
        ...

    def issued(self, tid: str) -> Issued | None: ...

    def inventory(self) -> list[Issued]:
        """Everything issued, the latest first."""
        ...

    def note_links(self, links: Iterable[Link]) -> None:
        """Make prefixes known that were shown to be real."""
        ...

    def link(self, rid: str) -> Link | None: ...

    def links(self, tid: str) -> list[Link]: ...

    def revoke(self, rid: str, *, by: str, reason: str) -> Revocation:
        """Revoke a known prefix, and every token exchanged from what extends it, durably.

        The entry that answers may be of an ancestor: one that was revoked before, or the one
        revoked instead when the tree has too many entries. Raises CallerError `revoke.unknown`.
        """
        ...

    def revoked(self, rids: Iterable[str]) -> Mapping[str, Revocation]:
        """Those of `rids` that have an entry of their own."""
        ...

    def revocations(self, after_seq: int = 0, limit: int = 1000) -> list[Revocation]: ...

"""An inventory in memory: for bulk runs, where SQLite's flushes would be all that is measured.

A fake: nothing of it survives, and it revokes nothing. `tests/issuer` has the real one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nucleus_issuer.ports import Issued, Link, Revocation
from nucleus_tokens import header
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CallerError


class MemoryInventory:
    """What was issued, by tid."""

    def __init__(self) -> None:
        self._issued: dict[str, Issued] = {}

    def adopt(self, token: UnverifiedToken) -> None:
        """Know a token that was minted elsewhere."""
        fields = header.parse(token.identifier)
        self._issued[fields.tid] = Issued(
            fields.tid, "", fields.sub, fields.aud, fields.iat, fields.exp, "{}", "{}"
        )

    def record(self, issued: Issued, links: Iterable[Link] = ()) -> None:
        if any(each.idempotency == issued.idempotency for each in self._issued.values()):
            raise CallerError("token.already_issued", "This order was carried out.")
        self._issued[issued.tid] = issued

    def issued(self, tid: str) -> Issued | None:
        return self._issued.get(tid)

    def inventory(self) -> list[Issued]:
        return list(self._issued.values())

    def note_links(self, links: Iterable[Link]) -> None:
        raise NotImplementedError

    def link(self, rid: str) -> Link | None:
        raise NotImplementedError

    def links(self, tid: str) -> list[Link]:
        raise NotImplementedError

    def revoke(self, rid: str, *, by: str, reason: str) -> Revocation:
        raise NotImplementedError

    def revoked(self, rids: Iterable[str]) -> Mapping[str, Revocation]:
        raise NotImplementedError

    def revocations(self, after_seq: int = 0, limit: int = 1000) -> list[Revocation]:
        raise NotImplementedError

"""Law: a revocation is durable before it is answered, is never undone, and takes its subtree along.

This is `Inventory` in SQL. Beside the database stands an anchor, a file with the number of the
latest revocation: a database that is put back from an older copy knows fewer, and is refused.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from nucleus_issuer import files
from nucleus_issuer.batches import Connection, State, marks, one, rows
from nucleus_issuer.ports import Issued, Link, Revocation
from nucleus_issuer.store_clock import HighWater
from nucleus_issuer.store_ledger import revocation_seq
from nucleus_issuer.store_revoking import (
    MARGIN,
    REVOCATION,
    check_exchange,
    revoke,
    revoke_exchanged,
)
from nucleus_tokens import canonical
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_tokens.limits import TOKEN_LIFETIME

_BATCH: Final = 500  # values in one query

_KNOW: Final = (
    "INSERT INTO links VALUES (?, ?, ?, ?) ON CONFLICT (rid) DO UPDATE SET"
    " who = excluded.who WHERE links.who = ''"
)
_ISSUED: Final = "tid, rid0, sub, aud, iat, exp, holder, header, memo, idempotency"


class SqlInventory:
    """What was issued and revoked."""

    def __init__(self, database: State, time: HighWater, anchor: Path) -> None:
        self._database = database
        self._time = time
        self._anchor = anchor

    # What was issued --------------------------------------------------------------------------

    def record(self, issued: Issued, links: Iterable[Link] = ()) -> None:
        """Make a token known, and `links`, durably. Raises CallerError `token.already_issued`,
        `token.revoked` or `exchange.too_many`."""
        known = _rows_of(links)

        def job(c: Connection) -> None:
            now = self._time.note(c)
            before = one(
                c, "SELECT tid FROM inventory WHERE idempotency = ?", (issued.idempotency,)
            )
            if before is not None:
                raise CallerError(
                    "token.already_issued",
                    f"This order was carried out: token {before[0]}. Revoke it and order anew if "
                    "its text was lost; it is kept nowhere.",
                )
            if issued.ancestors:
                check_exchange(c, issued.ancestors, now)
            made = one(
                c,
                f"INSERT INTO inventory ({_ISSUED}) VALUES (?,?,?,?,?,?,?,?,?,?)"  # noqa: S608  only our own columns and placeholders
                " ON CONFLICT DO NOTHING RETURNING tid",
                (
                    issued.tid, issued.rid0, issued.sub, issued.aud, issued.iat, issued.exp,
                    issued.holder, issued.header, issued.memo, issued.idempotency,
                ),
            )  # fmt: skip
            if made is None:
                raise CallerError(
                    "token.duplicate", "A token of this id was issued before: draw another id."
                )
            c.executemany(
                "INSERT INTO ancestors VALUES (?, ?)",
                [(rid, issued.tid) for rid in set(issued.ancestors)],
            )
            c.execute(
                "INSERT INTO links VALUES (?, ?, NULL, ?) ON CONFLICT DO NOTHING",
                (issued.rid0, issued.tid, issued.sub),
            )
            if not issued.ancestors:
                # A tree that begins here has seen nothing, and only the issuer can know that.
                # What was exchanged goes on in the cell it had.
                c.execute(
                    "INSERT INTO cells VALUES (?, 1, 0) ON CONFLICT DO NOTHING",
                    (f"tree:{issued.rid0}",),
                )
            c.executemany(_KNOW, known)

        self._database.write(job)

    def issued(self, tid: str) -> Issued | None:
        """The token of this id."""
        found = self._issued("WHERE tid = ?", (tid,))
        return found[0] if found else None

    def inventory(self) -> list[Issued]:
        """Everything issued, the latest first."""
        return self._issued("ORDER BY iat DESC, tid", ())

    def ordered(self, idempotency: str) -> Issued | None:
        """The token that an order of this key was carried out as."""
        found = self._issued("WHERE idempotency = ?", (idempotency,))
        return found[0] if found else None

    def last_expiry(self, kid: str) -> int:
        """When the last token expires that this issuer's key signed; 0 if it signed none."""
        found = self._issued("ORDER BY exp DESC", ())
        signed = (i.exp for i in found if canonical.decode(i.header.encode()).get("kid") == kid)
        return next(signed, 0)

    def listed(
        self, limit: int, *, after: tuple[int, str] | None = None, sub: str | None = None
    ) -> list[Issued]:
        """As `inventory`, but so many at most, and only those after (iat, tid) in its order, or
        of one subject."""
        where, values = ["1 = 1"], []
        if after is not None:
            where.append("(iat < ? OR (iat = ? AND tid > ?))")
            values += [after[0], after[0], after[1]]
        if sub is not None:
            where.append("sub = ?")
            values.append(sub)
        return self._issued(
            f"WHERE {' AND '.join(where)} ORDER BY iat DESC, tid LIMIT ?", (*values, limit)
        )

    def _issued(self, where: str, values: tuple[Any, ...]) -> list[Issued]:
        def job(c: Connection) -> list[Issued]:
            above: dict[str, list[str]] = {}
            of = f"SELECT tid FROM inventory {where}"  # noqa: S608  only our own columns and placeholders
            sql = f"SELECT rid, tid FROM ancestors WHERE tid IN ({of}) ORDER BY rid"  # noqa: S608  as above
            for rid, tid in rows(c, sql, values):
                above.setdefault(tid, []).append(rid)
            return [
                replace(
                    Issued(*row[:9]),
                    ancestors=tuple(above.get(row[0], ())),
                    idempotency=row[9],
                )
                for row in rows(c, f"SELECT {_ISSUED} FROM inventory {where}", values)  # noqa: S608  only our own columns and placeholders
            ]

        return self._database.read(job)

    def note_links(self, links: Iterable[Link]) -> None:
        """Make prefixes known that were shown to be real."""
        known = _rows_of(links)
        self._database.write(lambda c: c.executemany(_KNOW, known))

    def link(self, rid: str) -> Link | None:
        """The known prefix of this rid."""
        row = self._database.read(
            lambda c: one(c, "SELECT rid, tid, parent, who FROM links WHERE rid = ?", (rid,))
        )
        return None if row is None else Link(*row)

    def links(self, tid: str) -> list[Link]:
        """Every known prefix of one token."""
        sql = "SELECT rid, tid, parent, who FROM links WHERE tid = ? ORDER BY rid"
        return [Link(*row) for row in self._database.read(lambda c: rows(c, sql, (tid,)))]

    # What was revoked -------------------------------------------------------------------------

    def revoke(self, rid: str, *, by: str, reason: str) -> Revocation:
        """Revoke a known prefix, durably. Raises CallerError `revoke.unknown`."""

        def job(c: Connection) -> tuple[Revocation, int]:
            now = self._time.note(c)
            entry = revoke(c, rid, now, by, reason)
            revoke_exchanged(c, entry.rid, now, by, reason)
            return entry, revocation_seq(c)

        entry, latest = self._database.write(job)
        self.drop_anchor(latest)
        return entry

    def revoked(self, rids: Iterable[str]) -> Mapping[str, Revocation]:
        """Those of `rids` that have an entry of their own."""
        wanted = tuple(rids)

        def job(c: Connection) -> dict[str, Revocation]:
            found: dict[str, Revocation] = {}
            for start in range(0, len(wanted), _BATCH):
                part = wanted[start : start + _BATCH]
                sql = f"SELECT {REVOCATION} FROM revocations WHERE rid IN ({marks(len(part))})"  # noqa: S608  only our own columns and placeholders
                found.update((row[1], Revocation(*row)) for row in rows(c, sql, part))
            return found

        return self._database.read(job)

    def revocations(self, after_seq: int = 0, limit: int = 1000) -> list[Revocation]:
        """Entries after a sequence number, in order."""
        sql = f"SELECT {REVOCATION} FROM revocations WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608  only our own columns and placeholders
        found = self._database.read(lambda c: rows(c, sql, (after_seq, limit)))
        return [Revocation(*row) for row in found]

    def news(self, after_seq: int, limit: int) -> tuple[list[Revocation], int]:
        """Entries after a sequence number, in order, and the number up to which these are all."""
        sql = f"SELECT {REVOCATION} FROM revocations WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608  only our own columns and placeholders

        def job(c: Connection) -> tuple[list[Revocation], int]:
            found = [Revocation(*row) for row in rows(c, sql, (after_seq, limit))]
            return found, revocation_seq(c) if len(found) < limit else found[-1].seq

        return self._database.read(job)

    def prune(self) -> None:
        """Forget revocations of tokens that expired long ago, and budgets nobody spent from for
        longer than a token lives. Never done unasked: a clock that ran ahead must not be able to
        revive a token or refill a budget. Raises WorldError `clock.stepped_back`."""

        def job(c: Connection) -> None:
            now, believed, _ = self._time.look(c)
            if not believed:
                raise WorldError(
                    "clock.stepped_back", "The clock stepped back: set it before pruning."
                )
            c.execute("DELETE FROM revocations WHERE keep_until < ?", (now,))
            # An account survives re-issuance, so it has no age.
            c.execute(
                "DELETE FROM counters WHERE used < ? AND id NOT LIKE 'account:%'",
                (now - TOKEN_LIFETIME - MARGIN,),
            )
            c.execute(
                "DELETE FROM allotments WHERE used < ? AND tree <> ''",
                (now - TOKEN_LIFETIME - MARGIN,),
            )

        self._database.write(job)

    # The anchor -------------------------------------------------------------------------------

    def check_anchor(self) -> None:
        """Raises WorldError `store.rolled_back` when the database knows fewer revocations than
        were acknowledged."""
        latest = self._database.read(revocation_seq)
        try:
            text = files.read(self._anchor, secret=False, most=64)
        except WorldError as error:
            if error.code != "file.missing":
                raise
            self.drop_anchor(latest)
            return
        if not text.strip().isdigit():
            raise WorldError(
                "store.rolled_back",
                f"{self._anchor} is damaged, so an older copy of the state cannot be told from "
                "this one: make sure that this is the latest copy, then remove that file.",
            )
        if int(text) > latest:
            raise WorldError(
                "store.rolled_back",
                f"The state knows {latest} revocations of {int(text)}: it is an older copy. "
                "Restore the latest one; if it is lost, retire the issuer's key and issue anew.",
            )

    def drop_anchor(self, seq: int) -> None:
        """Raise the anchor to `seq`. It never falls, whoever comes last. Raises WorldError."""
        try:
            handle = os.open(self._anchor, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                before = os.pread(handle, 64, 0).strip()
                if not before.isdigit() or int(before) < seq:
                    # In place and of fixed width: it fits even where the disk is full.
                    os.pwrite(handle, b"%020d\n" % seq, 0)
                    os.fsync(handle)
            finally:
                os.close(handle)
            if not before:
                files.sync_directory(self._anchor.parent)
        except OSError as error:
            raise WorldError(
                "store.anchor",
                "The revocation is recorded, but its anchor could not be written: check the disk "
                "and revoke again.",
            ) from error


def _rows_of(links: Iterable[Link]) -> list[tuple[str, str, str | None, str]]:
    return [(link.rid, link.tid, link.parent, link.who) for link in links]

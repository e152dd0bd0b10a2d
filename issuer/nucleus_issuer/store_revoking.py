"""Law: a token tree holds a bounded number of revocations, and whoever floods it pays with its own.

The statements behind `SqlInventory.revoke`, inside its one transaction. An entry kills all that
extends its prefix, so one above another makes that one needless; the trace keeps the memory.
"""

from __future__ import annotations

from typing import Any, Final

from nucleus_issuer.batches import Connection, marks, one, rows
from nucleus_issuer.ports import Revocation
from nucleus_issuer.store_ledger import append_record
from nucleus_tokens.errors import CallerError
from nucleus_tokens.limits import EXCHANGES_PER_TREE, REVOCATIONS_PER_TREE

# A revocation outlives its token by more than any clock of ours may be wrong.
MARGIN: Final = 30 * 24 * 3600
REVOCATION: Final = "seq, rid, tid, at, by_whom, reason"
# The prefix itself and what it extends, nearest first.
_UP: Final = (
    "WITH RECURSIVE up (rid, parent, who, n) AS ("
    " SELECT rid, parent, who, 0 FROM links WHERE rid = ?"
    " UNION ALL SELECT l.rid, l.parent, l.who, n + 1 FROM links l JOIN up ON l.rid = up.parent"
    " WHERE n < 100) SELECT rid, who FROM up ORDER BY n"
)
_BELOW: Final = (
    "WITH RECURSIVE below (rid) AS ("
    " SELECT rid FROM links WHERE parent = ?"
    " UNION SELECT l.rid FROM links l JOIN below ON l.parent = below.rid)"
)


def revoke(c: Connection, rid: str, now: int, by: str, reason: str) -> Revocation:
    """Inside a write: make sure that this prefix is dead; the entry that sees to it."""
    up = rows(c, _UP, (rid,))
    row = one(c, "SELECT tid FROM links WHERE rid = ?", (rid,))
    if row is None:
        raise CallerError(
            "revoke.unknown",
            "No prefix of this revocation id is known here: give the token or a trace record.",
        )
    tid = row[0]
    for above, _ in up:
        if (entry := _entry(c, above)) is not None:
            return entry
    rid = _in_its_place(c, tid, up, now)
    # Counted apart, so that a number is never given twice, also after old entries are pruned.
    ((seq,),) = rows(
        c, "UPDATE meta SET value = value + 1 WHERE key = 'revocations' RETURNING value"
    )
    c.execute(
        "INSERT INTO revocations (seq, rid, tid, at, by_whom, reason, keep_until)"
        " VALUES (?, ?, ?, ?, ?, ?, (SELECT exp + ? FROM inventory WHERE tid = ?))",
        (seq, rid, tid, now, by, reason, MARGIN, tid),
    )
    # What stands below it adds nothing any more. That it was revoked stays in the trace.
    c.execute(f"DELETE FROM revocations WHERE rid IN ({_BELOW} SELECT rid FROM below)", (rid,))  # noqa: S608  only our own columns and placeholders
    record = {"at": now, "by": by, "reason": reason, "revocation": seq, "rid": rid, "tid": tid}
    append_record(c, {**record, "type": "revocation"})
    return Revocation(seq, rid, tid, now, by, reason)


def _in_its_place(c: Connection, tid: str, up: list[tuple[Any, ...]], now: int) -> str:
    """What to revoke when `up[0]` was asked for: it, or an ancestor once there are too many.

    Whoever makes prefixes to revoke them loses the one they were made under. Holders can make
    hops as well, so beyond twice the bound only an entry counts that takes another's place.
    """
    live = rows(
        c,
        "SELECT rid FROM revocations WHERE tid = ? AND (keep_until IS NULL OR keep_until > ?)",
        (tid, now),
    )
    if len(live) < REVOCATIONS_PER_TREE:
        return str(up[0][0])
    hops = [above for above, who in up[1:] if who] or [up[-1][0]]
    if len(live) < 2 * REVOCATIONS_PER_TREE:
        return str(hops[0])
    for hop in hops:
        covered = f"{_BELOW} SELECT 1 FROM revocations JOIN below USING (rid) LIMIT 1"  # noqa: S608  only our own columns and placeholders
        if one(c, covered, (hop,)):
            return str(hop)
    return str(up[-1][0])


def revoke_exchanged(c: Connection, rid: str, now: int, by: str, reason: str) -> None:
    """Tokens that were exchanged from what extends `rid`, and those exchanged from these."""
    todo, done = [rid], set()
    while todo:
        each = todo.pop()
        for (child,) in rows(
            c,
            "SELECT i.rid0 FROM ancestors a JOIN inventory i ON i.tid = a.tid WHERE a.rid = ?",
            (each,),
        ):
            if child not in done:
                done.add(child)
                revoke(c, child, now, by, reason)
                todo.append(child)


def check_exchange(c: Connection, ancestors: tuple[str, ...], now: int) -> None:
    """Inside a write: whether a token may be exchanged from these prefixes. Raises CallerError.

    In the transaction that records it, so that none slips through while a revocation is made.
    """
    for rid in ancestors:
        if _entry(c, rid) is not None:
            raise CallerError("token.revoked", "This token, or what it was made from, is revoked.")
    found = f"SELECT tid FROM ancestors WHERE rid IN ({marks(len(ancestors))})"  # noqa: S608  only our own columns and placeholders
    sql = f"SELECT COUNT(*) FROM inventory WHERE exp > ? AND tid IN ({found})"  # noqa: S608  only our own columns and placeholders
    ((live,),) = rows(c, sql, (now, *ancestors))
    if live >= EXCHANGES_PER_TREE:
        raise CallerError(
            "exchange.too_many",
            f"This token's tree was exchanged {EXCHANGES_PER_TREE} times already, and none of "
            "those has expired: use one of them.",
        )


def _entry(c: Connection, rid: str) -> Revocation | None:
    row = one(c, f"SELECT {REVOCATION} FROM revocations WHERE rid = ?", (rid,))  # noqa: S608  only our own columns and placeholders
    return None if row is None else Revocation(*row)

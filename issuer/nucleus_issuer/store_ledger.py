"""Law: one transaction spends, raises and records, or nothing happened; and it asks again first.

This is `nucleus_verifier.ports.Ledger` in SQL. `commit` judges once more what another process
may have changed since the facts were read: revocation, nonce, budgets, and both cells' versions.
Every check stands before the first write, so a refusal leaves no trace in the state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from nucleus_issuer.batches import Connection, State, marks, one, rows
from nucleus_issuer.store_clock import HighWater
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_tokens.exposure import PRIVATE_DATA, UNTRUSTED_CONTENT, valid
from nucleus_tokens.limits import APPROVALS_PER_CALL, COUNTERS_PER_TREE, INTEGER
from nucleus_verifier import trace
from nucleus_verifier.decision import Deny, Intent
from nucleus_verifier.facts import Cell
from nucleus_verifier.ports import Snapshot, Wanted

# A cell nobody opened is read as having seen this (DESIGN section 5): not knowing is not clean.
UNKNOWN_CELL: Final = PRIVATE_DATA | UNTRUSTED_CONTENT
# The latest nonces outlive their time: were the clock far ahead for a while and then lowered by
# a person, a request of the last minutes must still be known.
_NONCES_KEPT: Final = 4096
_PRUNE_EVERY: Final = 512  # commits
# Prefixes that commits make known for one token: enough to draw its tree, no room for a flood.
LINKS_PER_TREE: Final = 1024
_SEEN: Final = 4096

_LOST_RACE: Final = Deny(14, "commit.lost_race")


def always_fresh() -> bool:
    """The lease of an embedded store: it is the truth, and commit asks it again."""
    return True


class SqlLedger:
    """Durable state of one verifier host, which several processes may share."""

    def __init__(
        self, database: State, time: HighWater, lease: Callable[[], bool] = always_fresh
    ) -> None:
        self._database = database
        self._time = time
        self._lease = lease
        self._seen: dict[str, None] = {}

    # Reading ----------------------------------------------------------------------------------

    def read(self, wanted: Wanted) -> Snapshot:
        """One consistent read of everything a decision needs of durable state."""
        lease_ok = self._lease()
        snapshot, recorded = self._database.read(lambda c: self._read(c, wanted, lease_ok))
        if snapshot.clock_ok:
            self._time.after_read(snapshot.now, recorded)
        return snapshot

    def _read(self, c: Connection, wanted: Wanted, lease_ok: bool) -> tuple[Snapshot, int]:
        now, clock_ok, recorded = self._time.look(c)
        approvals = rows(
            c,
            "SELECT a.id, a.signed, COALESCE(k.spent, 0) FROM approvals a LEFT JOIN counters k"
            " ON k.id = 'approval:' || a.id || '/uses'"
            " WHERE a.tid = ? AND a.rid = ? AND a.not_after > ? AND COALESCE(k.spent, 0) < a.uses"
            " ORDER BY a.cell = ? DESC, a.n DESC LIMIT ?",
            (wanted.tid, wanted.rid, now, wanted.wall, APPROVALS_PER_CALL),
        )
        spent = dict.fromkeys(wanted.counters, 0)
        spent.update(_spent(c, wanted.counters))
        spent.update((f"approval:{id_}/uses", used) for id_, _, used in approvals)
        seen = wanted.nonce is not None and one(
            c, "SELECT 1 FROM nonces WHERE rid = ? AND nonce = ?", (wanted.rid, wanted.nonce)
        )
        cells = _cells(c, (wanted.wall, wanted.tree))
        snapshot = Snapshot(
            now=now,
            clock_ok=clock_ok,
            lease_ok=lease_ok,
            nonce_seen=bool(seen),
            revoked=_revoked(c, (*wanted.rids, *wanted.ancestors)),
            spent=spent,
            wall=cells[wanted.wall],
            tree=cells[wanted.tree],
            approvals=tuple(signed for _, signed, _ in approvals),
            revocation_seq=revocation_seq(c),
        )
        return snapshot, recorded

    # Writing ----------------------------------------------------------------------------------

    def commit(self, intent: Intent, record: Mapping[str, object]) -> Deny | int:
        """Spend, raise and record, durably, or refuse without any change."""
        lease_ok = self._lease()
        done = self._database.write(lambda c: self._commit(c, intent, record, lease_ok))
        if type(done) is int:
            if len(self._seen) >= _SEEN:
                self._seen.clear()
            self._seen[intent.rid] = None
        return done

    def _commit(
        self, c: Connection, intent: Intent, record: Mapping[str, object], lease_ok: bool
    ) -> Deny | int:
        now, _, recorded = self._time.look(c)
        if not lease_ok:
            return Deny(6, "revocation.stale")
        if _revoked(c, (*intent.rids, *intent.ancestors)):
            return Deny(6, "token.revoked")
        if intent.nonce is not None and one(
            c, "SELECT 1 FROM nonces WHERE rid = ? AND nonce = ?", (intent.rid, intent.nonce[0])
        ):
            return Deny(5, "request.replayed")
        spent = self._spend(c, intent, now)
        if isinstance(spent, Deny):
            return spent
        current = _cells(c, [cell.id for cell in intent.cells])
        if any(current[cell.id].version != cell.version for cell in intent.cells):
            return _LOST_RACE
        # Nothing was written up to here; from here on nothing is refused.
        self._time.mark(c, now, recorded)
        for counter, amount in spent.items():
            tree = int(not counter.startswith(("account:", "approval:")))
            c.execute(
                "INSERT INTO counters VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " spent = excluded.spent, used = excluded.used,"
                " live_until = CASE WHEN counters.live_until > excluded.live_until"
                " THEN counters.live_until ELSE excluded.live_until END",
                (counter, intent.tid, amount, now, intent.expires, tree),
            )
        if intent.nonce is not None:
            nonce, until = intent.nonce
            c.execute(
                "INSERT INTO nonces (rid, nonce, until) VALUES (?, ?, ?)",
                (intent.rid, nonce, until),
            )
        for cell in current.values():
            _raise(c, cell, intent.call.records)
        if intent.rid not in self._seen:
            _note_links(c, intent, record)
        seq = append_record(c, record)
        _note_legs(c, current.values(), intent.call.records, seq, intent.call.tool)
        if seq % _PRUNE_EVERY == 0:
            _prune_nonces(c, now)
        return seq

    @staticmethod
    def _spend(c: Connection, intent: Intent, now: int) -> dict[str, int] | Deny:
        """What the counters will stand at. A counter that is named twice is spent from twice."""
        wanted = tuple({s.counter for s in intent.spends})
        before = _spent(c, wanted)
        after: dict[str, int] = {}
        for spend in intent.spends:
            if type(spend.amount) is not int or not 0 <= spend.amount <= INTEGER:
                raise CallerError("store.bad_spend", "An amount to spend is a whole number from 0.")
            total = after.get(spend.counter, before.get(spend.counter, 0)) + spend.amount
            if total > spend.limit:
                return Deny(11, "budget.exhausted", None, spend.counter.rpartition("/")[2])
            if spend.amount:
                after[spend.counter] = total
        new = [k for k in after if k not in before and not k.startswith(("account:", "approval:"))]
        if new:
            row = one(
                c,
                "SELECT COUNT(*) FROM counters WHERE tid = ? AND tree = 1 AND live_until > ?",
                (intent.tid, now),
            )
            if row is not None and row[0] + len(new) > COUNTERS_PER_TREE:
                return Deny(11, "budget.too_many")
        return after

    def append(self, record: Mapping[str, object]) -> int:
        """Record something that spends nothing."""

        def job(c: Connection) -> int:
            self._time.note(c)
            return append_record(c, record)

        return self._database.write(job)

    def open_cell(self, cell_id: str, bits: int, by: tuple[int, str] | None = None) -> None:
        """Make a cell at these exposure bits, or raise the one there is."""
        if type(bits) is not int or not valid(bits):
            raise CallerError("cell.bits", "Exposure bits are from 0 to 7.")

        def job(c: Connection) -> None:
            cell = _cells(c, [cell_id])[cell_id]
            _raise(c, Cell(cell_id, 0, 0) if cell.version == 0 else cell, bits)
            if by is not None:
                _note_legs(c, (cell,), bits, *by)

        self._database.write(job)

    def cells(self, most: int) -> list[tuple[str, int]]:
        """Cells and their exposure bits, those first that a call raised last."""
        sql = (
            "SELECT c.id, c.bits FROM cells c LEFT JOIN legs l ON l.cell = c.id"
            " GROUP BY c.id, c.bits ORDER BY COALESCE(MAX(l.seq), 0) DESC, c.id LIMIT ?"
        )
        return self._database.read(lambda c: [(id_, bits) for id_, bits in rows(c, sql, (most,))])

    # The trace --------------------------------------------------------------------------------

    def trace_lines(self, after_seq: int = 0, limit: int = 1000) -> list[tuple[int, bytes]]:
        """(sequence number, line without its newline), in order, to be exported as JSONL."""
        sql = "SELECT seq, line FROM trace WHERE seq > ? ORDER BY seq LIMIT ?"
        return self._database.read(
            lambda c: [(seq, line) for seq, line in rows(c, sql, (after_seq, limit))]
        )

    def trace_head(self) -> tuple[int, str]:
        """The last record's place and hash: what a checkpoint signs."""
        return self._database.read(_head)


def revocation_seq(c: Connection) -> int:
    """The sequence number of the latest revocation; 0 before the first."""
    row = one(c, "SELECT value FROM meta WHERE key = 'revocations'")
    if row is None:
        raise WorldError("store.corrupt", "The state lost its count: restore it from a copy.")
    return int(row[0])


def _revoked(c: Connection, rids: tuple[str, ...]) -> frozenset[str]:
    sql = f"SELECT rid FROM revocations WHERE rid IN ({marks(len(rids))})"  # noqa: S608  only our own columns and placeholders
    return frozenset(rid for (rid,) in rows(c, sql, rids))


def _spent(c: Connection, counters: tuple[str, ...]) -> dict[str, int]:
    if not counters:
        return {}
    sql = f"SELECT id, spent FROM counters WHERE id IN ({marks(len(counters))})"  # noqa: S608  only our own columns and placeholders
    return dict(rows(c, sql, counters))


def _cells(c: Connection, ids: Sequence[str]) -> dict[str, Cell]:
    # Not `IN`: SQLite would make a table of the ids first.
    sql = " UNION ALL ".join(["SELECT id, version, bits FROM cells WHERE id = ?"] * len(ids))
    found = {row[0]: Cell(*row) for row in rows(c, sql, tuple(ids))}
    return {id_: found.get(id_, Cell(id_, 0, UNKNOWN_CELL)) for id_ in ids}


def _raise(c: Connection, cell: Cell, bits: int) -> None:
    """Only a raise bumps the version: what changes nothing makes nobody decide again."""
    raised = cell.bits | bits
    if cell.version == 0:
        c.execute("INSERT INTO cells VALUES (?, 1, ?)", (cell.id, raised))
    elif raised != cell.bits:
        c.execute(
            "UPDATE cells SET bits = ?, version = version + 1 WHERE id = ?", (raised, cell.id)
        )


def _note_links(c: Connection, intent: Intent, record: Mapping[str, object]) -> None:
    """Make the presented prefixes known, so that they can be drawn and revoked by their rid."""
    holders = _holders(record)
    row = one(c, "SELECT COUNT(*) FROM links WHERE tid = ?", (intent.tid,))
    if row is not None and row[0] + len(intent.rids) <= LINKS_PER_TREE:
        c.executemany(
            "INSERT INTO links VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [
                (rid, intent.tid, parent, holders.get(number, ""))
                for number, (rid, parent) in enumerate(
                    zip(intent.rids, (None, *intent.rids), strict=False)
                )
            ],
        )


def _holders(record: Mapping[str, object]) -> dict[int, str]:
    """Whom the presented prefixes were handed to, by their number, as the record says."""
    token: Any = record.get("token")
    caveats: Any = token.get("caveats", ()) if isinstance(token, dict) else ()
    return {n: str(each[1]["to"]) for n, each in enumerate(caveats, 1) if each[0] == "delegate"}


def _note_legs(c: Connection, before: Iterable[Cell], bits: int, seq: int, tool: str) -> None:
    """Say which call raised a cell. What is not told here was there when the cell was made."""
    raised = [
        (cell.id, bit, seq, tool) for cell in before for bit in (1, 2, 4) if bit & bits & ~cell.bits
    ]
    if raised:
        c.executemany("INSERT INTO legs VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", raised)


def _head(c: Connection) -> tuple[int, str]:
    row = one(c, "SELECT seq, hash FROM trace ORDER BY seq DESC LIMIT 1")
    return (0, trace.GENESIS) if row is None else (row[0], row[1])


def append_record(c: Connection, record: Mapping[str, object]) -> int:
    """One line at the end of the trace; its place. Raises CallerError `trace.record`."""
    last, prev = _head(c)
    try:
        line, digest = trace.line(last + 1, prev, dict(record))
    except (CallerError, ValueError, TypeError, RecursionError) as error:
        raise CallerError("trace.record", "This record has no one spelling in JSON.") from error
    c.execute("INSERT INTO trace VALUES (?, ?, ?, ?)", (last + 1, prev, digest, line))
    return last + 1


def _prune_nonces(c: Connection, now: int) -> None:
    c.execute(
        "DELETE FROM nonces WHERE until < ? AND n <= (SELECT MAX(n) FROM nonces) - ?",
        (now, _NONCES_KEPT),
    )

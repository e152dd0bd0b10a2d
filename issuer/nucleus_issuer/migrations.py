"""Law: the schema is a numbered list of steps that only grows; a released step never changes.

`PRAGMA user_version` is the number of steps a file has been through. A file that has been through
more than we know is refused: an older program must not guess what a newer one meant.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from nucleus_tokens.errors import WorldError

# Says in the file itself that it is ours: "NUCL".
APPLICATION_ID: Final = 0x4E55434C

# No program of this project ran before this moment (November 2023), so a clock that is behind it
# is broken, also where nothing was ever recorded: a board without a battery wakes up in 1970.
EARLIEST: Final = 1_700_000_000

_FIRST: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    f"INSERT INTO meta VALUES ('high_water', {EARLIEST})",  # noqa: S608  only our own columns and placeholders
    # The trace: only ever appended to.
    """CREATE TABLE trace (
        seq INTEGER PRIMARY KEY, prev TEXT NOT NULL, hash TEXT NOT NULL, line BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE cells (
        id TEXT PRIMARY KEY, version INTEGER NOT NULL CHECK (version > 0),
        bits INTEGER NOT NULL CHECK (bits BETWEEN 0 AND 7)
    ) STRICT, WITHOUT ROWID""",
    # A nonce belongs to the prefix that used it: nobody burns another's by naming it first.
    """CREATE TABLE nonces (
        n INTEGER PRIMARY KEY, rid TEXT NOT NULL, nonce TEXT NOT NULL, until INTEGER NOT NULL,
        UNIQUE (rid, nonce)
    ) STRICT""",
    "CREATE INDEX nonces_until ON nonces (until)",
    """CREATE TABLE counters (
        id TEXT PRIMARY KEY, tid TEXT NOT NULL, spent INTEGER NOT NULL CHECK (spent >= 0),
        used INTEGER NOT NULL, live_until INTEGER NOT NULL, tree INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX counters_tid ON counters (tid) WHERE tree = 1",
    """CREATE TABLE inventory (
        tid TEXT PRIMARY KEY, rid0 TEXT NOT NULL UNIQUE, sub TEXT NOT NULL, aud TEXT NOT NULL,
        iat INTEGER NOT NULL, exp INTEGER NOT NULL, holder TEXT NOT NULL, memo TEXT NOT NULL,
        header TEXT NOT NULL, idempotency TEXT UNIQUE
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE ancestors (
        rid TEXT NOT NULL, tid TEXT NOT NULL REFERENCES inventory (tid), PRIMARY KEY (rid, tid)
    ) STRICT, WITHOUT ROWID""",
    # Known prefixes. `who` is the holder a delegation made; empty where the holder stayed.
    """CREATE TABLE links (
        rid TEXT PRIMARY KEY, tid TEXT NOT NULL, parent TEXT, who TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX links_tid ON links (tid)",
    "CREATE INDEX links_parent ON links (parent)",
    # AUTOINCREMENT: a sequence number is never given twice, also after old entries are pruned.
    """CREATE TABLE revocations (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, rid TEXT NOT NULL UNIQUE, tid TEXT NOT NULL,
        at INTEGER NOT NULL, by_whom TEXT NOT NULL, reason TEXT NOT NULL, keep_until INTEGER
    ) STRICT""",
    "CREATE INDEX revocations_tid ON revocations (tid)",
    """CREATE TABLE requests (
        id TEXT PRIMARY KEY, created INTEGER NOT NULL, expires INTEGER NOT NULL,
        tid TEXT NOT NULL, rid TEXT NOT NULL, cell TEXT NOT NULL, operation INTEGER NOT NULL,
        tool TEXT NOT NULL, call_digest TEXT NOT NULL, obligations TEXT NOT NULL,
        shown TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
        status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'denied', 'withdrawn'))
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX requests_pending ON requests (cell) WHERE status = 'pending'",
    """CREATE TABLE approvals (
        n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, request TEXT NOT NULL UNIQUE
            REFERENCES requests (id),
        tid TEXT NOT NULL, rid TEXT NOT NULL, cell TEXT NOT NULL, signed BLOB NOT NULL,
        not_after INTEGER NOT NULL, uses INTEGER NOT NULL CHECK (uses > 0)
    ) STRICT""",
    "CREATE INDEX approvals_of ON approvals (tid, rid)",
)

# The count of revocations is a row like any other: the same statements serve every database.
_COUNTED: Final = (
    "INSERT INTO meta SELECT 'revocations', COALESCE("
    "(SELECT seq FROM sqlite_sequence WHERE name = 'revocations'), 0)",
)

# Keys that audiences registered for themselves, the latest last.
_AUDIENCES: Final = (
    """CREATE TABLE audience_keys (
        n INTEGER PRIMARY KEY, name TEXT NOT NULL, akid TEXT NOT NULL, public BLOB NOT NULL,
        at INTEGER NOT NULL, by_whom TEXT NOT NULL, UNIQUE (name, akid)
    ) STRICT""",
)

# Parts of budgets that verifiers share. `tree` is empty for an account, which has none.
_ALLOTMENTS: Final = (
    """CREATE TABLE allotments (
        tree TEXT NOT NULL, counter TEXT NOT NULL, verifier TEXT NOT NULL,
        given INTEGER NOT NULL CHECK (given >= 0), spent INTEGER NOT NULL, used INTEGER NOT NULL,
        PRIMARY KEY (tree, counter, verifier)
    ) STRICT, WITHOUT ROWID""",
)

# Which record of the trace raised a cell: what a person is told of an exposure.
_LEGS: Final = (
    """CREATE TABLE legs (
        cell TEXT NOT NULL, bit INTEGER NOT NULL, seq INTEGER NOT NULL, tool TEXT NOT NULL,
        PRIMARY KEY (cell, bit)
    ) STRICT, WITHOUT ROWID""",
)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (_FIRST, _COUNTED, _AUDIENCES, _ALLOTMENTS, _LEGS)


def version_of(connection: sqlite3.Connection) -> int:
    """How many steps this file has been through. Raises WorldError `store.foreign` for a file
    that is not ours, `store.newer` for one from a newer program. May raise sqlite3.Error."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise WorldError(
            "store.foreign",
            "The state file is not one of Nucleus: restore it from a copy, or name another file.",
        )
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise WorldError(
            "store.newer",
            f"The state file has version {version} and this program knows {len(MIGRATIONS)}: "
            "use the newer program.",
        )
    return version


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file of ours up to date, in one transaction. May raise sqlite3.Error."""
    if version_of(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Asked again under the lock: another process may have done it meanwhile.
        for step in MIGRATIONS[version_of(connection) :]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise

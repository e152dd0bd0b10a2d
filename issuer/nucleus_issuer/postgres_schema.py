"""Law: the schema is a numbered list of steps that only grows; a released step never changes.

The tables of `migrations.py` in PostgreSQL's words. The table `nucleus_schema` holds the number of
steps a database has been through; one that has been through more than we know is refused.
"""

from __future__ import annotations

from typing import Final

from nucleus_issuer.batches import Connection, one
from nucleus_issuer.migrations import EARLIEST
from nucleus_issuer.postgres_waking import CHANNEL
from nucleus_tokens.errors import WorldError

# Steps are taken under a lock of their own, so that of several nodes one does it.
_MIGRATING: Final = 0x4E55434C_00000002

_FIRST: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BIGINT NOT NULL)",
    f"INSERT INTO meta VALUES ('high_water', {EARLIEST}), ('revocations', 0)",  # noqa: S608  only our own columns and placeholders
    """CREATE TABLE trace (
        seq BIGINT PRIMARY KEY, prev TEXT NOT NULL, hash TEXT NOT NULL, line BYTEA NOT NULL
    )""",
    """CREATE TABLE cells (
        id TEXT PRIMARY KEY, version BIGINT NOT NULL CHECK (version > 0),
        bits BIGINT NOT NULL CHECK (bits BETWEEN 0 AND 7)
    )""",
    """CREATE TABLE nonces (
        n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, rid TEXT NOT NULL,
        nonce TEXT NOT NULL, until BIGINT NOT NULL, UNIQUE (rid, nonce)
    )""",
    "CREATE INDEX nonces_until ON nonces (until)",
    """CREATE TABLE counters (
        id TEXT PRIMARY KEY, tid TEXT NOT NULL, spent BIGINT NOT NULL CHECK (spent >= 0),
        used BIGINT NOT NULL, live_until BIGINT NOT NULL, tree BIGINT NOT NULL
    )""",
    "CREATE INDEX counters_tid ON counters (tid) WHERE tree = 1",
    """CREATE TABLE inventory (
        tid TEXT PRIMARY KEY, rid0 TEXT NOT NULL UNIQUE, sub TEXT NOT NULL, aud TEXT NOT NULL,
        iat BIGINT NOT NULL, exp BIGINT NOT NULL, holder TEXT NOT NULL, memo TEXT NOT NULL,
        header TEXT NOT NULL, idempotency TEXT UNIQUE
    )""",
    """CREATE TABLE ancestors (
        rid TEXT NOT NULL, tid TEXT NOT NULL REFERENCES inventory (tid), PRIMARY KEY (rid, tid)
    )""",
    """CREATE TABLE links (
        rid TEXT PRIMARY KEY, tid TEXT NOT NULL, parent TEXT, who TEXT NOT NULL
    )""",
    "CREATE INDEX links_tid ON links (tid)",
    "CREATE INDEX links_parent ON links (parent)",
    """CREATE TABLE revocations (
        seq BIGINT PRIMARY KEY, rid TEXT NOT NULL UNIQUE, tid TEXT NOT NULL,
        at BIGINT NOT NULL, by_whom TEXT NOT NULL, reason TEXT NOT NULL, keep_until BIGINT
    )""",
    "CREATE INDEX revocations_tid ON revocations (tid)",
    """CREATE TABLE requests (
        id TEXT PRIMARY KEY, created BIGINT NOT NULL, expires BIGINT NOT NULL,
        tid TEXT NOT NULL, rid TEXT NOT NULL, cell TEXT NOT NULL, operation BIGINT NOT NULL,
        tool TEXT NOT NULL, call_digest TEXT NOT NULL, obligations TEXT NOT NULL,
        shown TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
        status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'denied', 'withdrawn'))
    )""",
    "CREATE INDEX requests_pending ON requests (cell) WHERE status = 'pending'",
    """CREATE TABLE approvals (
        n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id TEXT NOT NULL UNIQUE,
        request TEXT NOT NULL UNIQUE REFERENCES requests (id),
        tid TEXT NOT NULL, rid TEXT NOT NULL, cell TEXT NOT NULL, signed BYTEA NOT NULL,
        not_after BIGINT NOT NULL, uses BIGINT NOT NULL CHECK (uses > 0)
    )""",
    "CREATE INDEX approvals_of ON approvals (tid, rid)",
)

_AUDIENCES: Final = (
    """CREATE TABLE audience_keys (
        n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT NOT NULL, akid TEXT NOT NULL,
        public BYTEA NOT NULL, at BIGINT NOT NULL, by_whom TEXT NOT NULL, UNIQUE (name, akid)
    )""",
)

# Nodes that wait are told to look; what there is to see stands in the table.
_WAKING: Final = (
    f"""CREATE FUNCTION nucleus_wake() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_notify('{CHANNEL}', ''); RETURN NULL; END $$""",
    """CREATE TRIGGER revocations_wake AFTER INSERT ON revocations
        FOR EACH STATEMENT EXECUTE FUNCTION nucleus_wake()""",
)

_ALLOTMENTS: Final = (
    """CREATE TABLE allotments (
        tree TEXT NOT NULL, counter TEXT NOT NULL, verifier TEXT NOT NULL,
        given BIGINT NOT NULL CHECK (given >= 0), spent BIGINT NOT NULL, used BIGINT NOT NULL,
        PRIMARY KEY (tree, counter, verifier)
    )""",
)

_LEGS: Final = (
    """CREATE TABLE legs (
        cell TEXT NOT NULL, bit BIGINT NOT NULL, seq BIGINT NOT NULL, tool TEXT NOT NULL,
        PRIMARY KEY (cell, bit)
    )""",
)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (_FIRST, _AUDIENCES, _WAKING, _ALLOTMENTS, _LEGS)


def migrate(connection: Connection, *, create: bool) -> None:
    """Bring a database up to date, in one transaction. Without `create` an empty one is an error:
    it would forget what was revoked. Raises WorldError `store.missing` or `store.newer`."""
    connection.execute("BEGIN")
    try:
        connection.execute("SELECT pg_advisory_xact_lock(?)", (_MIGRATING,))
        version = _version(connection, create)
        for step in MIGRATIONS[version:]:
            for statement in step:
                connection.execute(statement)
        if version < len(MIGRATIONS):
            connection.execute("UPDATE nucleus_schema SET version = ?", (len(MIGRATIONS),))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: Connection, create: bool) -> int:
    if one(connection, "SELECT to_regclass('nucleus_schema')") in (None, (None,)):
        if not create:
            raise WorldError(
                "store.missing",
                "This database holds no state of Nucleus: make it first, or name another one.",
            )
        connection.execute("CREATE TABLE nucleus_schema (version BIGINT NOT NULL)")
        connection.execute("INSERT INTO nucleus_schema VALUES (0)")
    row = one(connection, "SELECT version FROM nucleus_schema")
    version = -1 if row is None else int(row[0])
    if not 0 <= version <= len(MIGRATIONS):
        raise WorldError(
            "store.newer",
            f"The state has version {version} and this program knows {len(MIGRATIONS)}: "
            "use the newer program.",
        )
    return version

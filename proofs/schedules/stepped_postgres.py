"""Law: on PostgreSQL as well the store under test is the shipped one, on a real server; only its
connections stop for the scheduler, and who waits for the writers' lock waits in the server.

A boundary stands before every statement. The lock is asked for at one boundary and held at
another: in between the statement stands in the server, where it may already have seen a moment that
passes. The server gives the lock in the order in which it was asked for.

With `every` false, a boundary stands only where another worker can tell the difference: where the
lock is asked for and where it is held, and at the first statement of a read, which fixes its
moment.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

from nucleus_issuer import postgres_schema
from nucleus_issuer.batches import Connection
from nucleus_issuer.postgres import PgConnection, Postgres, _numbered, _Rows
from nucleus_issuer.store import Store
from proofs.schedules.scheduler import Stuck
from proofs.schedules.stepped import MEMORY, Door, Shared, Stage, clock
from tests.issuer.postgres_server import running

POLLS: Final = 100_000
_ASKED = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


class Steps:
    """A connection that stops before each statement."""

    def __init__(self, real: PgConnection, database: "SteppedPostgres") -> None:
        self._real = real
        self._database = database
        self._looks = False  # a read that has not fixed its moment yet

    def execute(self, sql: str, parameters: Any = (), /) -> _Rows:
        shared, label = self._database.shared, " ".join(sql.split())[:60]
        if "pg_advisory_xact_lock" in sql:
            shared.baton.pause(label)
            return self._queue(sql, parameters)
        if self._looks or not (self._real.in_transaction or sql.startswith("BEGIN")):
            shared.baton.pause(label)
        else:
            shared.inner(label)
        self._looks = sql.startswith("BEGIN") and "READ ONLY" in sql
        try:
            return self._real.execute(sql, parameters)
        finally:
            if shared.writer is self and not self._real.in_transaction:
                shared.writer = shared.waiting.pop(0) if shared.waiting else None

    def _queue(self, sql: str, parameters: Any) -> _Rows:
        """Ask for the lock in the server, and go on when it is ours."""
        shared, real = self._database.shared, cast(Any, self._real)
        asked: Future[Any] = asyncio.run_coroutine_threadsafe(
            real._connection.fetch(_numbered(sql), *parameters), real._loop._loop
        )
        if shared.writer is None:
            asked.result()
            shared.writer = self
        else:
            shared.waiting.append(self)
            self._database.wait_for(len(shared.waiting))
        shared.baton.pause("hold the lock", lambda: shared.writer is self)
        return _Rows([tuple(row) for row in asked.result()])

    def executemany(self, sql: str, parameters: Any, /) -> _Rows:
        self._database.shared.inner(" ".join(sql.split())[:60])
        return self._real.executemany(sql, parameters)

    @property
    def is_closed(self) -> bool:
        return self._real.is_closed

    @property
    def in_transaction(self) -> bool:
        return self._real.in_transaction

    def close(self) -> None:
        self._real.close()


class SteppedPostgres(Postgres):
    """The shipped database over connections that stop; they stay open from run to run."""

    shared: Shared
    watch: PgConnection  # looks at the server, and stops for nobody

    def _connect(self) -> PgConnection:
        return cast(PgConnection, Steps(super()._connect(), self))

    def wait_for(self, count: int) -> None:
        """Until so many stand in the server's line."""
        for _ in range(POLLS):
            if self.watch.execute(_ASKED).fetchone() == (count,):
                return
        raise Stuck("who asked for the lock does not stand in the line")

    @classmethod
    @contextmanager
    def stage(cls) -> Iterator[Stage]:
        """One server; emptied for each run."""
        with tempfile.TemporaryDirectory() as home, running(MEMORY) as server:
            plain = Postgres.open(server.address, create=True)
            watch = plain._connect()
            # Foreign keys would ask for an order.
            watch.execute("SET session_replication_role = replica")
            tables = [name for (name,) in watch.execute(_TABLES).fetchall()]
            empty = [f"DELETE FROM {name}" for name in tables if name != "nucleus_schema"]  # noqa: S608  our own tables
            rows = [s for step in postgres_schema.MIGRATIONS for s in step if s[:6] == "INSERT"]
            databases: list[SteppedPostgres] = []

            @contextmanager
            def fresh() -> Iterator[Door]:
                watch.execute("; ".join(("BEGIN", *empty, *rows, "COMMIT")))
                taken = 0
                anchor = Path(home) / "anchor"
                anchor.unlink(missing_ok=True)

                @contextmanager
                def door(shared: Shared, kind: type[Store]) -> Iterator[Store]:
                    nonlocal taken
                    if taken == len(databases):
                        databases.append(cls(server.address))
                    database = databases[taken]
                    taken += 1
                    database.shared, database.watch = shared, watch
                    database._ready()
                    yield kind(database, anchor, clock, lambda: True)

                yield door

            try:
                yield fresh
            finally:
                for database in databases:
                    database.close()
                watch.close()
                plain.close()


class EarlyMoment(SteppedPostgres):
    """BROKEN on purpose: a writer sees the moment at which it asked for the lock."""

    def _begin(self, connection: Connection) -> None:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT pg_advisory_xact_lock(?)", (1,))

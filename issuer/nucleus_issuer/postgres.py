"""Law: what SQLite promises on one host, PostgreSQL promises to several: the same statements, one
writer at a time, acknowledged when it is on the server's disk.

Every write transaction holds one advisory lock, so that writers of all nodes stand in one line, as
the trace's chain needs anyway; reads are repeatable and wait for nobody. The connection lives on an
event loop of its own thread, since asyncpg is asynchronous and a statement of ours is not.

A server that does not flush what it acknowledges (fsync off) is refused. A connection that breaks
during COMMIT leaves open whether it happened: the caller is told so, and nothing runs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any, Final, TypeVar

import asyncpg

from nucleus_issuer import postgres_schema
from nucleus_issuer.batches import VALUES, Batches, Connection, closed, interrupted
from nucleus_issuer.postgres_waking import keep_listening
from nucleus_tokens.errors import CallerError, NucleusError, WorldError

T = TypeVar("T")

_CONNECT_SECONDS: Final = 10.0
_COMMAND_SECONDS: Final = 30.0
_LOCK_TIMEOUT: Final = "10s"
_IDLE_CONNECTIONS: Final = 4
# "NUCL" and one: the lock that every write transaction of ours holds.
_WRITERS: Final = 0x4E55434C_00000001
# What a connection says when the server is gone; the third, when it went in the middle of a word.
_LOST: Final = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
_ERRORS: Final = (asyncpg.PostgresError, *_LOST, TimeoutError)
_Kinds = type[BaseException] | tuple[type[BaseException], ...]
_SESSION: Final = {"application_name": "nucleus", "synchronous_commit": "on"}


class Postgres(Batches):
    """One database of a PostgreSQL server; `close` it in the process that opened it."""

    def __init__(self, address: str) -> None:
        super().__init__(_ERRORS)
        self._address = address
        self._idle: list[PgConnection] = []
        self._loop = _Loop()

    @classmethod
    def open(cls, address: str, *, create: bool = False) -> Postgres:
        """Connect, and bring the tables up to date. With `create` an empty database gets them.

        Raises WorldError `store.unreachable`, `store.missing`, `store.newer`,
        `store.not_durable`.
        """
        database = cls(address)
        try:
            database._ready()
            postgres_schema.migrate(database._writer, create=create)
        except VALUES + _ERRORS as error:
            database.close()
            raise database.meaning(error) from error
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Release the connections. A later use is a WorldError `store.closed`."""
        with self._turn:
            self._closed = True
            connections, self._idle = self._idle, []
            if self._writer is not None:
                connections.append(self._writer)
                self._writer = None
            for connection in connections:
                connection.close()
            self._loop.stop()

    def listen(self, wake: Callable[[], object]) -> Callable[[], None]:
        """On a connection of its own, made again whenever it breaks."""

        def connect() -> Any:
            return asyncpg.connect(
                self._address, timeout=_CONNECT_SECONDS, server_settings=_SESSION
            )

        return self._loop.run(keep_listening(connect, wake, _ERRORS))

    def sound(self) -> bool:
        """PostgreSQL checks its own pages; that it answers is all we ask."""
        return self.read(lambda c: c.execute("SELECT 1").fetchall()) == [(1,)]

    def read(self, job: Callable[[Connection], T]) -> T:
        """Run `job` in one read transaction: everything it sees is of one moment."""
        self._check()
        try:
            connection = self._idle.pop() if self._idle else None
            if connection is not None and connection.is_closed:
                connection = None
            connection = connection or self._connect()
            try:
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                result = job(connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
        except VALUES + _ERRORS as error:
            raise self.meaning(error) from error
        if len(self._idle) < _IDLE_CONNECTIONS and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()
        return result

    # What `Batches` asks of us ------------------------------------------------------------------

    def _ready(self) -> None:
        if self._writer is not None and self._writer.is_closed:
            self._lose()
        if self._writer is None:
            self._writer = self._connect()

    def _begin(self, connection: Connection) -> None:
        connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
        connection.execute("SELECT pg_advisory_xact_lock(?)", (_WRITERS,))

    def _commit(self, connection: Connection) -> None:
        try:
            connection.execute("COMMIT")
        except (asyncpg.PostgresConnectionError, *_LOST) as error:
            # It may have happened: nobody may act as if it had, or as if it had not.
            self._lose()
            raise interrupted() from error

    def _undo(self, connection: Connection) -> None:
        super()._undo(connection)
        if self._writer is not None and self._writer.is_closed:
            self._lose()

    def _lose(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def meaning(self, error: Exception) -> NucleusError:
        """The error of ours that says what this one means."""
        if isinstance(error, (*VALUES, asyncpg.DataError)):
            return CallerError(
                "store.value", "A text is not valid Unicode, or a number is too large."
            )
        for kind, code, says in _MEANINGS:
            if isinstance(error, kind):
                return WorldError(code, says)
        return WorldError("store.failed", f"The state could not be used: {type(error).__name__}.")

    def _connect(self) -> PgConnection:
        if self._closed:
            raise closed()
        made = asyncpg.connect(
            self._address,
            timeout=_CONNECT_SECONDS,
            command_timeout=_COMMAND_SECONDS,
            server_settings=_SESSION,
        )
        connection = PgConnection(self._loop, self._loop.wait(made))
        ((fsync, full),) = connection.execute(
            "SELECT current_setting('fsync'), current_setting('full_page_writes')"
        ).fetchall()
        if (fsync, full) != ("on", "on"):
            connection.close()
            raise WorldError(
                "store.not_durable",
                "This PostgreSQL server does not flush what it acknowledges: set fsync and "
                "full_page_writes to on.",
            )
        return connection


_MEANINGS: Final[tuple[tuple[_Kinds, str, str], ...]] = (
    (
        asyncpg.DiskFullError,
        "store.full",
        "The disk is full: nothing was recorded; free some space.",
    ),
    (
        asyncpg.ReadOnlySQLTransactionError,
        "store.readonly",
        "The state cannot be written: nothing was recorded; connect to the primary server.",
    ),
    (
        asyncpg.LockNotAvailableError,
        "store.busy",
        "Another process holds the state for too long: nothing was recorded; try again.",
    ),
    (
        asyncpg.DataCorruptedError,
        "store.corrupt",
        "The state is damaged: stop, and restore it from a copy.",
    ),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "store.unreachable",
        "PostgreSQL does not let us in: check the user, and the password in the passfile.",
    ),
    (
        asyncpg.InvalidCatalogNameError,
        "store.missing",
        "There is no such database: create it first.",
    ),
    (
        asyncpg.PostgresConnectionError,
        "store.unreachable",
        "The connection to PostgreSQL broke: nothing was recorded; try again.",
    ),
    (
        asyncpg.OperatorInterventionError,
        "store.unreachable",
        "PostgreSQL is stopping or starting: nothing was recorded; try again.",
    ),
    (
        (asyncpg.InterfaceError, asyncpg.InternalClientError),
        "store.unreachable",
        "The connection to PostgreSQL broke: nothing was recorded; try again.",
    ),
    (
        TimeoutError,
        "store.busy",
        "PostgreSQL did not answer in time: nothing was recorded; try again.",
    ),
    (OSError, "store.unreachable", "PostgreSQL cannot be reached: check that it runs, and where."),
)


class _Loop:
    """An event loop on a thread of its own, for one database."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, T] | Any) -> T:
        """Run something on the loop and wait for it."""

        async def awaited() -> T:
            done: T = await work
            return done

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result()

    def run(self, work: Coroutine[Any, Any, None]) -> Callable[[], None]:
        """Run something until it is ended by what is returned."""
        running: asyncio.Task[None] = self.wait(_started(work))

        async def end() -> None:
            running.cancel()
            await asyncio.wait({running})

        def stop() -> None:
            if not self._loop.is_closed():
                self.wait(end())

        return stop

    def stop(self) -> None:
        if self._loop.is_closed():
            return
        self.wait(_nothing_left())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _nothing_left() -> None:
    """What runs beside is ended, whoever forgot it."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for each in rest:
        each.cancel()
    if rest:
        await asyncio.wait(rest)


async def _started(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.ensure_future(work)


class _Rows:
    """What a statement gave back."""

    __slots__ = ("_rows",)

    def __init__(self, found: list[tuple[Any, ...]]) -> None:
        self._rows = found

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._rows

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows[0] if self._rows else None


class PgConnection:
    """One connection, spoken to as SQLite is. A `?` is a placeholder and nothing else."""

    def __init__(self, loop: _Loop, connection: Any) -> None:
        self._loop = loop
        self._connection = connection

    @property
    def is_closed(self) -> bool:
        return bool(self._connection.is_closed())

    @property
    def in_transaction(self) -> bool:
        return not self.is_closed and bool(self._connection.is_in_transaction())

    def execute(self, sql: str, parameters: Any = (), /) -> _Rows:
        """Run one statement. Raises what asyncpg raises."""
        if not parameters and not sql.startswith(("SELECT", "UPDATE", "INSERT", "DELETE", "WITH")):
            self._loop.wait(self._connection.execute(sql))
            return _Rows([])
        found = self._loop.wait(self._connection.fetch(_numbered(sql), *parameters))
        return _Rows([tuple(row) for row in found])

    def executemany(self, sql: str, parameters: Any, /) -> _Rows:
        """Run one statement for each tuple."""
        self._loop.wait(self._connection.executemany(_numbered(sql), list(parameters)))
        return _Rows([])

    def close(self) -> None:
        """Drop the connection; what was not committed is not there."""

        async def end() -> None:
            self._connection.terminate()
            # The transport closes its socket in a later turn of the loop.
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        self._loop.wait(end())


@lru_cache(maxsize=256)
def _numbered(sql: str) -> str:
    """PostgreSQL's placeholders: `$1`, `$2`. No statement of ours has a `?` in a text."""
    parts = sql.split("?")
    return parts[0] + "".join(f"${n}{part}" for n, part in enumerate(parts[1:], 1))

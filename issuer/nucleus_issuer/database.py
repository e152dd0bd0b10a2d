"""Law: a write is acknowledged after it is on the disk, or it did not happen; reads are one moment.

SQLite in WAL mode with synchronous=FULL. Every write is a job in a BEGIN IMMEDIATE transaction
(`batches.py`). Several processes may open one file; a connection is used by one thread at a time
and never across a fork.

No sqlite3 error leaves this file: each becomes a WorldError whose code says what to do.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from nucleus_issuer import files, migrations
from nucleus_issuer.batches import VALUES, Batches, Connection, closed
from nucleus_tokens.errors import CallerError, NucleusError, WorldError

T = TypeVar("T")

# How long to wait for another process's transaction; ours hold the lock for one flush.
_BUSY_SECONDS: Final = 10.0
_IDLE_CONNECTIONS: Final = 8

# What each of SQLite's errors means to whoever asked.
_MEANINGS: Final[dict[int, Callable[[], WorldError]]] = {
    sqlite3.SQLITE_FULL: lambda: WorldError(
        "store.full", "The disk is full: nothing was recorded; free some space."
    ),
    sqlite3.SQLITE_READONLY: lambda: WorldError(
        "store.readonly",
        "The state cannot be written: nothing was recorded; make its directory writable.",
    ),
    sqlite3.SQLITE_BUSY: lambda: WorldError(
        "store.busy",
        "Another process holds the state for too long: nothing was recorded; try again.",
    ),
    sqlite3.SQLITE_CORRUPT: lambda: WorldError(
        "store.corrupt", "The state file is damaged: stop, and restore it from a copy."
    ),
    sqlite3.SQLITE_IOERR: lambda: WorldError(
        "store.io",
        "The disk failed under the state file: nothing was recorded; check the disk.",
    ),
    sqlite3.SQLITE_CANTOPEN: lambda: WorldError(
        "store.unreachable",
        "The state file cannot be opened: check that it exists and who may open it.",
    ),
}
_SAME: Final = {
    sqlite3.SQLITE_NOTADB: sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_LOCKED: sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_PERM: sqlite3.SQLITE_CANTOPEN,
}


def meaning(error: Exception) -> NucleusError:
    """The error of ours that says what this one means."""
    if not isinstance(error, sqlite3.Error):
        return CallerError("store.value", "A text is not valid Unicode, or a number is too large.")
    # The low byte is the kind; the rest says where in SQLite it arose.
    kind = getattr(error, "sqlite_errorcode", -1) & 0xFF
    make = _MEANINGS.get(_SAME.get(kind, kind))
    if make is not None:
        return make()
    return WorldError("store.failed", f"The state file could not be used: {error}.")


def _of_one_moment(connection: Connection, job: Callable[[Connection], T]) -> T:
    connection.execute("BEGIN")
    result = job(connection)
    connection.execute("COMMIT")
    return result


class Database(Batches):
    """One SQLite file: `create` it once, `open` it, `close` it in the process that opened it."""

    def __init__(self, path: Path, *, busy_seconds: float = _BUSY_SECONDS) -> None:
        super().__init__((sqlite3.Error,))
        self.path = path
        self._busy = busy_seconds
        self._idle: list[sqlite3.Connection] = []

    @classmethod
    def open(cls, path: Path, *, busy_seconds: float = _BUSY_SECONDS) -> Database:
        """Open a file made by `create`. Raises WorldError `store.missing`, `store.readonly`,
        `store.corrupt`, `store.foreign`, `store.newer` or `file.permissions`."""
        try:
            files.check(path, path.stat(), secret=False)
        except OSError as error:
            raise WorldError("store.missing", f"There is no state file {path}.") from error
        if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
            raise _MEANINGS[sqlite3.SQLITE_READONLY]()
        database = cls(path, busy_seconds=busy_seconds)
        try:
            database._writer = database._connect()
            migrations.migrate(database._writer)
        except sqlite3.Error as error:
            database.close()
            raise meaning(error) from error
        except BaseException:
            database.close()
            raise
        return database

    @staticmethod
    def create(path: Path) -> None:
        """Make an empty file, whole or not at all. If there is one already, leave it alone."""
        files.private_directory(path.parent)
        if path.exists():
            return
        beside: Path | None = None
        try:
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            os.close(handle)
            beside = Path(name)
            connection = sqlite3.connect(beside, isolation_level=None)
            try:
                connection.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
                migrations.migrate(connection)
                connection.execute("PRAGMA journal_mode = WAL")
            finally:
                connection.close()
            try:
                os.link(beside, path)
            except FileExistsError:
                return  # another process was faster; its file is as good
            files.sync_directory(path.parent)
        except sqlite3.Error as error:
            raise meaning(error) from error
        except OSError as error:
            why = (error.strerror or "unknown reason").lower()
            raise WorldError("file.unwritable", f"{path} could not be made: {why}.") from error
        finally:
            if beside is not None:
                beside.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the file. A later use is a WorldError `store.closed`."""
        with self._turn:
            self._closed = True
            connections, self._idle = self._idle, []
            if self._writer is not None:
                connections.append(self._writer)
                self._writer = None
            for connection in connections:
                connection.close()

    def listen(self, wake: Callable[[], object]) -> Callable[[], None]:
        """A file tells nobody: whoever waits looks."""
        return lambda: None

    def sound(self) -> bool:
        """Whether the whole file has the structure it should have. Raises WorldError."""
        found = self.read(lambda c: c.execute("PRAGMA integrity_check(1)").fetchall())
        return found == [("ok",)]

    def read(self, job: Callable[[Connection], T]) -> T:
        """Run `job` in one read transaction: everything it sees is of one moment."""
        self._check()
        try:
            if self._turn.acquire(blocking=False):
                # Nobody writes here: the writer's connection knows the pages that it wrote.
                try:
                    return self._read_as_writer(job)
                finally:
                    self._turn.release()
            return self._read_beside(job)
        except (sqlite3.Error, *VALUES) as error:
            raise meaning(error) from error

    def _read_as_writer(self, job: Callable[[Connection], T]) -> T:
        if self._writer is None:
            raise closed()
        try:
            return _of_one_moment(self._writer, job)
        except BaseException:
            self._undo(self._writer)
            raise

    def _read_beside(self, job: Callable[[Connection], T]) -> T:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            result = _of_one_moment(connection, job)
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < _IDLE_CONNECTIONS and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()
        return result

    def _ready(self) -> None:
        """A connection to a file is not lost."""

    def _begin(self, connection: Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")

    def meaning(self, error: Exception) -> NucleusError:
        return meaning(error)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(self.path.absolute()))}?mode=rw",
            uri=True,
            timeout=self._busy,
            isolation_level=None,
            check_same_thread=False,  # one thread at a time, which the pool and the turn see to
            cached_statements=256,
        )
        try:
            migrations.version_of(connection)
            for pragma in ("foreign_keys = ON", "synchronous = FULL", "trusted_schema = OFF"):
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        return connection

"""Law: a write is acknowledged after its transaction is durable, or it did not happen.

Writes that arrive while another is being flushed share the next flush, each inside a savepoint of
its own, and none is answered before that flush. What keeps the state (SQLite, PostgreSQL) gives a
connection, a way to begin, and what its errors mean.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar, cast

from nucleus_tokens.errors import NucleusError, WorldError

T = TypeVar("T")

# What a value that cannot be stored raises before it reaches the state.
VALUES: Final = (UnicodeError, OverflowError)


class Cursor(Protocol):
    """What a statement gave back."""

    def fetchall(self) -> list[Any]: ...

    def fetchone(self) -> Any: ...


class Connection(Protocol):
    """One conversation with the state; used by one thread at a time. Placeholders are `?`."""

    @property
    def in_transaction(self) -> bool: ...

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor: ...

    def executemany(self, sql: str, parameters: Any, /) -> Cursor: ...

    def close(self) -> None: ...


class State(Protocol):
    """Durable state: what the store's statements need of SQLite or PostgreSQL."""

    def read(self, job: Callable[[Connection], T]) -> T:
        """Run `job` in one read transaction: everything it sees is of one moment."""
        ...

    def write(self, job: Callable[[Connection], T]) -> T:
        """Run `job` in a write transaction and return when that is durable."""
        ...

    def sound(self) -> bool:
        """Whether what is kept has the structure it should have."""
        ...

    def listen(self, wake: Callable[[], object]) -> Callable[[], None]:
        """Call `wake`, from any thread, soon after others recorded a revocation, where the state
        can tell; sometimes without need, and perhaps never. What is returned ends it."""
        ...

    def close(self) -> None: ...


class _Job:
    """A write that waits for its flush: what to do, and what came of it."""

    __slots__ = ("done", "error", "result", "run")

    def __init__(self, run: Callable[[Connection], object]) -> None:
        self.run = run
        self.done = False
        self.result: object = None
        self.error: BaseException | None = None


class Batches(ABC):
    """The writing half of a database, for as many threads as use it."""

    def __init__(self, errors: Sequence[type[Exception]]) -> None:
        """`errors` are those of the state itself; `meaning` says what each of them means."""
        self._errors = tuple(errors)
        self._ours: tuple[type[Exception], ...] = (NucleusError, *VALUES, *errors)
        self._pid = os.getpid()
        self._waiting: deque[_Job] = deque()
        self._turn = threading.Lock()
        self._closed = False
        self._writer: Any = None  # a Connection; None when it was lost, or is closed

    # What keeps the state says these ------------------------------------------------------------

    @abstractmethod
    def _begin(self, connection: Connection) -> None:
        """Begin a write transaction that no other one overlaps."""

    @abstractmethod
    def _ready(self) -> None:
        """Before a transaction: where the writer was lost, make another, if that is possible.
        Raises one of `errors`."""

    @abstractmethod
    def meaning(self, error: Exception) -> NucleusError:
        """The error of ours that says what this one means."""

    # --------------------------------------------------------------------------------------------

    def write(self, job: Callable[[Any], T]) -> T:
        """Run `job` in a write transaction and return when that is durable.

        What the job raises undoes the job alone and is raised here. A job must not write and
        then report a refusal by its result: what returns is kept.
        """
        self._check()
        mine = _Job(job)
        self._waiting.append(mine)
        with self._turn:
            if not mine.done:
                batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
                try:
                    self._run(batch)
                finally:
                    for each in batch:
                        if not each.done:
                            each.error = each.error or interrupted()
                            each.done = True
        if mine.error is not None:
            raise mine.error
        return cast(T, mine.result)

    def _run(self, batch: list[_Job]) -> None:
        """One transaction for all of `batch`, one flush, and then the answers."""
        try:
            if not self._closed:
                self._ready()
        except self._errors as error:
            lost = error
            self._fail(batch, lambda: self.meaning(lost))
            return
        if self._closed or self._writer is None:
            self._fail(batch, closed)
            return
        connection: Connection = self._writer
        try:
            self._begin(connection)
            alone = len(batch) == 1
            for job in batch:
                self._run_one(job, connection, alone=alone)
            if not (alone and batch[0].error):
                self._commit(connection)
        except self._errors as error:
            self._undo(connection)
            failed = error
            self._fail(batch, lambda: self.meaning(failed))
        except BaseException:
            self._undo(connection)
            raise
        else:
            for job in batch:
                job.done = True

    def _run_one(self, job: _Job, connection: Connection, *, alone: bool) -> None:
        """One job of a transaction. What it raises undoes it: `alone` with the transaction, among
        others to its savepoint."""
        if not alone:
            connection.execute("SAVEPOINT job")
        try:
            job.result = job.run(connection)
        except self._ours as error:
            # A full disk ends the whole transaction: then nobody's job is done.
            if not connection.in_transaction:
                raise
            connection.execute("ROLLBACK" if alone else "ROLLBACK TO job")
            job.error = error if isinstance(error, NucleusError) else self.meaning(error)
        if not alone:
            connection.execute("RELEASE job")

    def _commit(self, connection: Connection) -> None:
        connection.execute("COMMIT")

    def _undo(self, connection: Connection) -> None:
        if connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except self._errors:
                pass  # the disk or the server is gone; what was not committed is not there

    @staticmethod
    def _fail(batch: list[_Job], make: Callable[[], NucleusError]) -> None:
        for job in batch:
            job.result, job.done = None, True
            job.error = job.error or make()

    def _check(self) -> None:
        if self._closed:
            raise closed()
        if os.getpid() != self._pid:
            raise WorldError("store.forked", "The state was opened before a fork: open it again.")


def closed() -> WorldError:
    """The answer to a use after `close`."""
    return WorldError("store.closed", "The state was closed.")


def interrupted() -> WorldError:
    """The answer where nobody knows."""
    return WorldError("store.interrupted", "Interrupted: whether it was recorded is open.")


def rows(connection: Connection, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All rows of one query."""
    return connection.execute(sql, values).fetchall()


def one(connection: Connection, sql: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
    """The first row of one query."""
    row: tuple[Any, ...] | None = connection.execute(sql, values).fetchone()
    return row


def marks(count: int) -> str:
    """`?,?,?`: as many placeholders."""
    return ",".join("?" * count)

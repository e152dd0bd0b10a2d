"""Law: the store under test is the shipped one; only its connections and its lock stop for the
scheduler.

A boundary stands before every SQL statement and before the lock that threads of one process share.
SQLite lets one writer in: whoever begins a write transaction
while another is open waits, here by not being ready instead of by sleeping.

With `every` false, a boundary stands only where another worker can tell the difference. A read
transaction sees one moment, fixed by its first read; in a write transaction nobody else can write
and nobody sees what it wrote. So its inner statements commute with whatever others do, and only
its begin is a boundary. That reduction leans on SQLite's isolation, which the runs with `every`
true do not take for granted.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from nucleus_issuer.database import Database
from nucleus_issuer.store import Store
from proofs.schedules.scheduler import Baton

T = TypeVar("T")
# Opens the store of one process, on the state that the others of this run have open as well.
Door = Callable[["Shared", type[Store]], AbstractContextManager[Store]]
# Makes an empty state for one run.
Stage = Callable[[], AbstractContextManager[Door]]
# Order is judged, not the disk; where there is no memory to write to, it is only slower.
MEMORY: Final = next((p for p in (Path("/dev/shm"),) if p.is_dir()), None)  # noqa: S108  mkdtemp
NOW: Final = 1_800_000_000


def clock() -> int:
    return NOW


class Shared:
    """What the workers of one run share: the baton, and who may write the file."""

    def __init__(self, baton: Baton, every: bool) -> None:
        self.baton = baton
        self.every = every
        self.writer: object = None
        self.waiting: list[object] = []  # for the writers' lock, where they stand in a line

    def inner(self, label: str) -> None:
        if self.every:
            self.baton.pause(label)
        else:
            self.baton.note(label)


class Connection:
    """A sqlite3 connection that stops before each statement."""

    def __init__(self, real: sqlite3.Connection, shared: Shared) -> None:
        self._real = real
        self._shared = shared

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        self._stop(sql)
        done = self._real.execute(sql, values)
        if self._shared.writer is self and not self._real.in_transaction:
            self._shared.writer = None
        return done

    def executemany(self, sql: str, values: list[tuple[Any, ...]]) -> sqlite3.Cursor:
        self._stop(sql)
        return self._real.executemany(sql, values)

    def _stop(self, sql: str) -> None:
        shared, label = self._shared, " ".join(sql.split())[:60]
        if sql == "BEGIN IMMEDIATE":
            shared.baton.pause(label, lambda: shared.writer is None)
            shared.writer = self
        elif sql == "BEGIN" or not self._real.in_transaction:
            shared.baton.pause(label)
        else:
            shared.inner(label)

    @property
    def in_transaction(self) -> bool:
        return self._real.in_transaction

    def close(self) -> None:
        if self._shared.writer is self:
            self._shared.writer = None
        self._real.close()


class Turn:
    """The lock that threads of one process share, as a boundary."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._held = False

    def acquire(self, *, blocking: bool = True) -> bool:
        if blocking:
            self._shared.baton.pause("take the turn", lambda: not self._held)
        else:
            # Whatever moves the turn stops before: who asks stands where it stopped last.
            self._shared.inner("take the turn if it is free")
        taken, self._held = not self._held, True
        return taken

    def release(self) -> None:
        self._held = False

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class SteppedDatabase(Database):
    """The shipped database over connections that stop."""

    shared: Shared

    def _connect(self) -> sqlite3.Connection:
        return cast(sqlite3.Connection, Connection(super()._connect(), self.shared))

    @classmethod
    @contextmanager
    def stage(cls) -> Iterator[Stage]:
        """A file of its own for each run."""
        with tempfile.TemporaryDirectory(dir=MEMORY) as home:
            template = Path(home) / "template" / "state.sqlite"
            Database.create(template)
            place = Path(home) / "run"

            @contextmanager
            def fresh() -> Iterator[Door]:
                place.mkdir(mode=0o700)
                try:
                    path = Path(shutil.copy(template, place))
                    yield lambda shared, kind: cls.opened(path, shared, kind)
                finally:
                    shutil.rmtree(place)

            yield fresh

    @classmethod
    @contextmanager
    def opened(cls, path: Path, shared: Shared, kind: type[Store]) -> Iterator[Store]:
        opened = cls(path, busy_seconds=0)
        opened.shared = shared
        opened._turn = cast(Any, Turn(shared))
        opened._writer = opened._connect()
        opened._writer.execute("PRAGMA synchronous = OFF")  # order is judged here, not the disk
        try:
            yield kind(opened, path.with_name(path.name + ".anchor"), clock, lambda: True)
        finally:
            opened.close()


class Unlocked(SteppedDatabase):
    """BROKEN on purpose: jobs run without a transaction."""

    def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        assert self._writer is not None
        return job(self._writer)

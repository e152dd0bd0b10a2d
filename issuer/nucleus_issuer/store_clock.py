"""Law: recorded time never runs backwards, and a clock that does is noticed after a restart too.

The high-water mark is the latest second anybody recorded. `now` is never below it, so an expiry
that was reached stays reached. A clock behind it by more than the tolerance is not believed at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from nucleus_issuer.batches import Connection, State, one
from nucleus_tokens.errors import CallerError, WorldError

# A leap second steps a clock back by one, and two processes round the same moment to neighbouring
# seconds. This much is not an alarm; it is not granted either, since `now` stays at the mark.
TOLERANCE: Final = 2
# A read writes the mark at most this often: reads stay reads, and a crash forgets at most this.
READ_INTERVAL: Final = 10


class HighWater:
    """The clock of one store, joined with what was recorded."""

    def __init__(self, database: State, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._latest = 0

    def look(self, connection: Connection) -> tuple[int, bool, int]:
        """(now, whether the clock is believed, the mark on the disk)."""
        row = one(connection, "SELECT value FROM meta WHERE key = 'high_water'")
        if row is None:
            raise WorldError(
                "store.corrupt", "The state file lost its clock: restore it from a copy."
            )
        recorded: int = row[0]
        raw = int(self._clock())
        with self._lock:
            mark = max(self._latest, recorded)
            self._latest = max(mark, raw)
            return self._latest, raw >= mark - TOLERANCE, recorded

    def note(self, connection: Connection) -> int:
        """Inside a write: record the time and return it."""
        now, _, recorded = self.look(connection)
        self.mark(connection, now, recorded)
        return now

    @staticmethod
    def mark(connection: Connection, now: int, recorded: int) -> None:
        """Inside a write: record `now`, what `look` said in the same transaction."""
        if now > recorded:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'high_water'", (now,))

    def after_read(self, now: int, recorded: int) -> None:
        """Record the time now and then although nothing is written: a host that only denies, or
        idles for a night, must not wake up in its past."""
        if now < recorded + READ_INTERVAL:
            return
        try:
            self._database.write(self.note)
        except WorldError:
            # The read itself is good. What follows from it is durable by its own commit, which
            # fails loudly on the same disk.
            pass

    def lower(self, to: int) -> None:
        """A person's order, after a clock ran ahead: believe it again from `to`. Only time is
        lowered; nonces, revocations and budgets stay. Raises CallerError `clock.not_lower`."""

        def job(connection: Connection) -> None:
            row = one(connection, "SELECT value FROM meta WHERE key = 'high_water'")
            if row is None or to > row[0]:
                raise CallerError("clock.not_lower", "This order can only lower the recorded time.")
            connection.execute("UPDATE meta SET value = ? WHERE key = 'high_water'", (to,))

        self._database.write(job)
        with self._lock:
            self._latest = to

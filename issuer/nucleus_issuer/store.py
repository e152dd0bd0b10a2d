"""Law: one file is all of a host's durable state; whoever opens it sees what was acknowledged.

`Store` is the verifier's `Ledger` and `Desk` and the issuer's `Inventory` on one SQLite file, or in
one PostgreSQL database, for as many processes and threads as open it. What it acknowledged
survives kill -9 and power loss.

Not covered: a disk that lies about flushing; somebody with this uid who edits the file; a file put
back from an older copy *together with its anchor*, or whose `-wal` was removed while it was not
cleanly closed. The trace's signed checkpoints, kept elsewhere, show those.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from nucleus_issuer.batches import State
from nucleus_issuer.database import Database
from nucleus_issuer.store_allotments import SqlAllotments
from nucleus_issuer.store_approvals import SqlApprovals
from nucleus_issuer.store_audiences import SqlAudiences
from nucleus_issuer.store_clock import HighWater
from nucleus_issuer.store_desk import SqlDesk
from nucleus_issuer.store_inventory import SqlInventory
from nucleus_issuer.store_ledger import SqlLedger, always_fresh
from nucleus_tokens.errors import WorldError
from nucleus_verifier import trace

FILE_NAME: Final = "state.sqlite"
_CHECK_BATCH: Final = 1000


def wall_clock() -> int:
    """Unix seconds: the default at the edge; tests and services pass their own."""
    return int(time.time())


class Store(SqlLedger, SqlDesk, SqlApprovals, SqlInventory, SqlAudiences, SqlAllotments):
    """Ledger, desk, approvals, inventory, audiences and parts of budgets of one host."""

    def __init__(
        self, database: State, anchor: Path, clock: Callable[[], int], lease: Callable[[], bool]
    ) -> None:
        high_water = HighWater(database, clock)
        self._database = database
        SqlLedger.__init__(self, database, high_water, lease)
        SqlDesk.__init__(self, database, high_water)
        SqlApprovals.__init__(self, database, high_water)
        SqlInventory.__init__(self, database, high_water, anchor)
        SqlAudiences.__init__(self, database, high_water)
        SqlAllotments.__init__(self, database, high_water)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        create: bool = False,
        clock: Callable[[], int] = wall_clock,
        lease: Callable[[], bool] = always_fresh,
    ) -> Self:
        """Open a state file; with `create`, make it first if there is none.

        Without `create` a missing file is an error: an empty state would forget what was revoked.
        Raises WorldError `store.*` or `file.*`.
        """
        if create:
            Database.create(path)
        anchor = path.with_name(path.name + ".anchor")
        return cls._checked(Database.open(path), anchor, clock, lease)

    @classmethod
    def open_postgres(
        cls,
        address: str,
        anchor: Path,
        *,
        create: bool = False,
        clock: Callable[[], int] = wall_clock,
        lease: Callable[[], bool] = always_fresh,
    ) -> Self:
        """Open the state in a PostgreSQL database, for several issuer nodes.

        `address` is a connection URI without a password (libpq's passfile has it); `anchor` a file
        on this node. With `create`, an empty database gets its tables first.
        Raises WorldError `store.*` or `file.*`.
        """
        from nucleus_issuer.postgres import Postgres

        return cls._checked(Postgres.open(address, create=create), anchor, clock, lease)

    @classmethod
    def _checked(
        cls, database: State, anchor: Path, clock: Callable[[], int], lease: Callable[[], bool]
    ) -> Self:
        store = cls(database, anchor, clock, lease)
        try:
            store.check_anchor()
        except BaseException:
            database.close()
            raise
        return store

    def listen(self, wake: Callable[[], object]) -> Callable[[], None]:
        """Call `wake`, from any thread, soon after another node recorded a revocation, where the
        state can tell. It is a hint: look anyway. What is returned ends it; call that first."""
        return self._database.listen(wake)

    def close(self) -> None:
        """Release it; what was acknowledged is on the disk already."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    def lower_clock(self, to: int) -> None:
        """A person's order after the clock ran ahead. Nonces, revocations and budgets stay."""
        self._time.lower(to)

    def check(self) -> None:
        """Read all of it: the file's structure and the trace's chain. For `doctor`; takes a
        while on a long trace. Raises WorldError `store.corrupt`."""
        if not self._database.sound():
            raise WorldError(
                "store.corrupt", "The state file is damaged: stop, and restore it from a copy."
            )
        lines: list[bytes] = []
        while batch := self.trace_lines(len(lines), _CHECK_BATCH):
            lines += [line for _, line in batch]
        _, broken = trace.read(lines)
        if broken is not None:
            raise WorldError(
                "store.corrupt",
                f"The trace breaks at record {broken.seq}: {broken.why}. Stop, and restore it.",
            )

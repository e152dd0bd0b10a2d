"""What the other processes of the tests do. Each runs in an interpreter of its own."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from nucleus_issuer.store import Store
from nucleus_tokens.errors import CallerError
from nucleus_verifier.decision import Deny
from tests.issuer.making import NOW, RECORD, TREE, WALL, Clock, intent, issued, spend, wanted

SPAWN = multiprocessing.get_context("spawn")
TIMEOUT = 120  # seconds


def commit_until_killed(path: Path, start: int, told: Connection) -> None:
    """Commit, and tell of each commit only after it was acknowledged."""
    store = Store.open(path, clock=Clock())
    n = start
    while True:
        seen = store.read(wanted())
        change = intent(
            nonce=(str(n), NOW + 120),
            spends=(spend(1, 10**9),),
            cells=(seen.wall, seen.tree),
            raised=1 << n % 3,
        )
        if isinstance(store.commit(change, {"n": n}), int):
            told.send(("commit", n))
        if n % 7 == 0:
            tid, rid0 = f"{n + 1:032x}", f"{n + 10**6:032x}"
            store.record(issued(tid, rid0))
            store.revoke(rid0, by="worker", reason="")
            told.send(("revoke", rid0))
        n += 1


def race(place: Path | str, start: Barrier, told: Connection, rounds: int) -> None:
    """Fight over one budget, one nonce per round, and one raise of both cells. A text is the
    address of a PostgreSQL database."""
    with _opened(place) as store:
        cells = (WALL, TREE)
        start.wait()
        spent = nonces = raised = 0
        for n in range(rounds):
            spent += _won(store, spends=(spend(1, rounds),))
            nonces += _won(store, nonce=(str(n), NOW + 120))
        start.wait()
        raised += _won(store, cells=cells, raised=2)
        told.send((spent, nonces, raised))


def raced(place: Path | str, count: int, rounds: int) -> tuple[int, ...]:
    """So many processes fight as `race` does; what they won together."""
    start = SPAWN.Barrier(count)
    pipes = [SPAWN.Pipe(duplex=False) for _ in range(count)]
    processes = [
        SPAWN.Process(target=race, args=(place, start, there, rounds)) for _, there in pipes
    ]
    for process in processes:
        process.start()
    results = []
    for here, there in pipes:
        there.close()
        assert here.poll(TIMEOUT)
        results.append(here.recv())
    for process in processes:
        process.join(TIMEOUT)
        assert process.exitcode == 0
    return tuple(map(sum, zip(*results, strict=True)))


def _opened(place: Path | str) -> Store:
    if isinstance(place, Path):
        return Store.open(place, clock=Clock())
    anchor = Path(tempfile.mkdtemp()) / "anchor"
    return Store.open_postgres(place, anchor, clock=Clock())


def _won(store: Store, **changes: Any) -> bool:
    return not isinstance(store.commit(intent(**changes), RECORD), Deny)


def die_holding_the_lock(path: Path, told: Connection) -> None:
    """Be killed in the middle of a write transaction."""
    store = Store.open(path, clock=Clock())

    def job(connection: object) -> None:
        connection.execute("UPDATE cells SET bits = 7")  # type: ignore[attr-defined]  # sqlite3
        told.send("holding")
        told.recv()

    store._database.write(job)


def mint_many(path: Path, start: Barrier, told: Connection, rounds: int) -> None:
    """Issue and revoke beside another issuer; orders have the same keys in both."""
    from tests.issuer.host import Host  # what the killed workers need not wait for
    from tests.support import world

    with Store.open(path, clock=Clock(world.NOW)) as store:
        host = Host(store, Clock(world.NOW), os.urandom)
        start.wait()
        made, refused = [], 0
        for n in range(rounds):
            minted, _ = host.issue()
            made.append(minted.rid)
            host.revoker.revoke(minted.text, by="worker")
            try:
                made.append(host.issue(idempotency=f"order-{n}")[0].rid)
            except CallerError as error:
                refused += error.code == "token.already_issued"
        told.send((made, refused))

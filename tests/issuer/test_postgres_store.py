"""The PostgreSQL store keeps the contract of every store, and survives the death of its server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nucleus_issuer import postgres_schema
from nucleus_issuer.store import Store
from nucleus_tokens.errors import WorldError
from nucleus_verifier import trace
from nucleus_verifier.decision import Deny
from tests.issuer import workers
from tests.issuer.contract import CALLS, Stores, opened
from tests.issuer.contract_allotments import AllotmentContract
from tests.issuer.contract_desk import DeskContract
from tests.issuer.contract_inventory import InventoryContract
from tests.issuer.contract_ledger import LedgerContract
from tests.issuer.making import RECORD, RID0, SCALE, Clock, intent, issued, spend, wanted
from tests.issuer.postgres_server import Server, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as made:
        yield made


@pytest.fixture
def schema(server: Server, request: pytest.FixtureRequest) -> str:
    """A schema of its own for each test."""
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()
    name = f"t{digest[:16]}"
    server.sql(f"CREATE SCHEMA {name}", server.address)
    return name


@pytest.fixture
def address(server: Server, schema: str) -> str:
    return server.address_of("state", schema)


class TestPostgresStore(LedgerContract, InventoryContract, DeskContract, AllotmentContract):
    """Every claim of the contract, on a database of its own."""

    @pytest.fixture
    def stores(self, address: str, tmp_path: Path, clock: Clock) -> Iterator[Stores]:
        made: list[Store] = []

        def make(**options: Any) -> Store:
            anchor = tmp_path / "anchor"
            made.append(Store.open_postgres(address, anchor, create=True, clock=clock, **options))
            return made[-1]

        yield make
        for store in made:
            store.close()


def _open(address: str, tmp_path: Path, **options: Any) -> Store:
    return Store.open_postgres(address, tmp_path / "anchor", clock=Clock(), **options)


def _code(address: str, tmp_path: Path, **options: Any) -> str:
    with pytest.raises(WorldError) as said:
        _open(address, tmp_path, **options)
    assert str(said.value).count("\n") == 0
    return said.value.code


# What is not there, and what is not ours --------------------------------------------------------


def test_an_empty_database_is_not_taken_for_an_empty_state(address: str, tmp_path: Path) -> None:
    """An empty state knows no revocation."""
    assert _code(address, tmp_path) == "store.missing"
    _open(address, tmp_path, create=True).close()
    _open(address, tmp_path).close()


def test_a_missing_database_or_server_is_one_sentence(server: Server, tmp_path: Path) -> None:
    assert _code(server.address_of("nowhere"), tmp_path) == "store.missing"
    nobody = f"postgresql://nucleus@/state?host={tmp_path}"
    assert _code(nobody, tmp_path) == "store.unreachable"


def test_a_newer_schema_is_not_guessed_at(
    server: Server, schema: str, address: str, tmp_path: Path
) -> None:
    _open(address, tmp_path, create=True).close()
    newer = len(postgres_schema.MIGRATIONS) + 1
    server.sql(f"UPDATE {schema}.nucleus_schema SET version = {newer}", server.address)  # noqa: S608
    assert _code(address, tmp_path) == "store.newer"


def test_an_older_copy_does_not_revive_a_revoked_token(
    server: Server, schema: str, address: str, tmp_path: Path
) -> None:
    """As after a restore: the node's anchor knows more than the database."""
    with _open(address, tmp_path, create=True) as store:
        store.record(issued())
        store.revoke(RID0, by="alice", reason="")
    lower = f"UPDATE {schema}.meta SET value = 0 WHERE key = 'revocations'"  # noqa: S608
    server.sql(lower, server.address)
    assert _code(address, tmp_path) == "store.rolled_back"


def test_a_server_that_does_not_flush_is_refused(tmp_path: Path) -> None:
    with running(fsync="off") as careless:
        assert _code(careless.address, tmp_path, create=True) == "store.not_durable"


def test_a_value_that_cannot_be_stored_is_the_callers_mistake(address: str, tmp_path: Path) -> None:
    from nucleus_tokens.errors import CallerError

    with _open(address, tmp_path, create=True) as store:
        for bad in ("\ud800", "nul\0"):
            with pytest.raises(CallerError) as said:
                store.open_cell(bad, 0)
            assert said.value.code == "store.value"
        assert store.append(RECORD) == 1, "the store goes on"


# Several nodes ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_nodes_win_each_budget_nonce_and_raise_once(address: str, tmp_path: Path) -> None:
    with _open(address, tmp_path, create=True) as store:
        opened(store)
    count, rounds = 3, 10 * SCALE
    assert workers.raced(address, count, rounds) == (rounds, rounds, 1)
    with _open(address, tmp_path) as store:
        assert store.read(wanted()).spent == {CALLS: rounds}
        entries, broken = trace.read(line for _, line in store.trace_lines())
        assert (len(entries), broken) == (2 * rounds + 1, None)


# The server dies --------------------------------------------------------------------------------


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    """Each round: commits and revocations until the server is killed with all its processes; what
    was acknowledged before is there after, whole, and the same store object goes on."""
    acknowledged: set[int] = set()
    revoked: set[str] = set()
    unsure = 0
    with running() as server, _open(server.address, tmp_path, create=True) as store:
        opened(store)
        n = 0
        for round_ in range(20 if SCALE == 1 else 10 * SCALE):
            for step in range(4 + round_ % 5):
                n += 1
                assert isinstance(_commit(store, n), int)
                acknowledged.add(n)
                if step % 3 == 0:
                    rid0 = f"{n:032x}"
                    store.record(issued(f"{n + 10**6:032x}", rid0))
                    store.revoke(rid0, by="alice", reason="")
                    revoked.add(rid0)
            server.kill()
            with pytest.raises(WorldError) as said:
                _commit(store, n + 1)
            assert said.value.code in ("store.unreachable", "store.interrupted")
            unsure += 1
            server.start()
            n += 1
            assert set(store.revoked(revoked)) == revoked
            entries, broken = trace.read(line for _, line in store.trace_lines(0, 10**6))
            assert broken is None
            recorded = {e.record["n"] for e in entries if "n" in e.record}
            assert acknowledged <= recorded, "acknowledged and gone"
            assert len(recorded - acknowledged) <= unsure
            assert store.read(wanted()).spent == {CALLS: len(recorded)}


def _commit(store: Store, n: int) -> int | Deny:
    seen = store.read(wanted())
    change = intent(
        nonce=(str(n), 2**40),
        spends=(spend(1, 10**9),),
        cells=(seen.wall, seen.tree),
        raised=1 << n % 3,
    )
    return store.commit(change, {"n": n})

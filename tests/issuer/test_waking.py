"""A node of several hears of a revocation at once, and relies on hearing for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from nucleus_issuer import postgres_schema
from nucleus_issuer.postgres_waking import CHANNEL
from nucleus_issuer.service.leases import Leases
from nucleus_issuer.store import Store
from nucleus_tokens.errors import WorldError
from tests.issuer.making import RID0, issued
from tests.issuer.postgres_server import Server, running

CAP = 30.0
NEVER = 3600.0  # it looks only when it hears something


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as made:
        yield made


@pytest.fixture
def address(server: Server, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    schema = f"w_{request.node.name[:50]}"
    server.sql(f"CREATE SCHEMA {schema}", server.address)
    made = server.address_of("state", schema)
    Store.open_postgres(made, tmp_path / "made", create=True).close()
    return made


class Node:
    """One issuer's view of what is revoked, with nothing but wake-ups to tell it."""

    def __init__(self, address: str, anchor: Path) -> None:
        self.store = Store.open_postgres(address, anchor)
        self.leases = Leases(self.store, alone=False, every=NEVER)
        self.failed: list[WorldError] = []

    async def __aenter__(self) -> Node:
        loop = asyncio.get_running_loop()
        self.deaf = await asyncio.to_thread(
            self.store.listen, lambda: loop.call_soon_threadsafe(self.leases.hear)
        )
        self.polling = asyncio.ensure_future(self.leases.poll(self.failed.append))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.polling.cancel()
        await asyncio.to_thread(self.deaf)
        self.store.close()

    async def until(self, seq: int) -> None:
        async with asyncio.timeout(CAP):
            while self.leases.seq < seq:
                await self.leases.change(CAP)


def revoke(address: str, anchor: Path) -> int:
    """Another node records it."""
    with Store.open_postgres(address, anchor) as store:
        store.record(issued())
        return store.revoke(RID0, by="person", reason="").seq


async def test_a_revocation_elsewhere_wakes_a_node_that_does_not_look(
    address: str, tmp_path: Path
) -> None:
    async with Node(address, tmp_path / "here") as node:
        seq = await asyncio.to_thread(revoke, address, tmp_path / "there")
        await node.until(seq)
        assert not node.failed


async def test_what_is_recorded_while_nobody_listens_is_seen_on_coming_back(
    server: Server, address: str, tmp_path: Path
) -> None:
    """The listening connection is cut, and comes back; a wake-up between is lost for ever."""
    async with Node(address, tmp_path / "here") as node:
        await node.leases.change(CAP)  # it listens
        cut = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "  # noqa: S608  our constant
            f"WHERE query ILIKE 'LISTEN %{CHANNEL}%'"
        )
        await asyncio.to_thread(server.sql, cut, server.address)
        seq = await asyncio.to_thread(revoke, address, tmp_path / "there")
        await node.until(seq)


async def test_an_older_database_learns_to_wake(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.sql("CREATE SCHEMA older", server.address)
    address = server.address_of("state", "older")
    with monkeypatch.context() as before:
        before.setattr(postgres_schema, "MIGRATIONS", postgres_schema.MIGRATIONS[:2])
        Store.open_postgres(address, tmp_path / "made", create=True).close()
    async with Node(address, tmp_path / "here") as node:
        await node.until(await asyncio.to_thread(revoke, address, tmp_path / "there"))


async def test_a_server_that_dies_is_listened_to_again(
    server: Server, address: str, tmp_path: Path
) -> None:
    async with Node(address, tmp_path / "here") as node:
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        await node.until(await asyncio.to_thread(revoke, address, tmp_path / "there"))


def test_a_file_tells_nobody(tmp_path: Path) -> None:
    with Store.open(tmp_path / "state.sqlite", create=True) as store:
        store.listen(lambda: None)()

"""Two issuers on one PostgreSQL: a revocation at one binds the verifiers of the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from nucleus_tokens.errors import NucleusError
from tests.issuer.postgres_server import Server
from tests.issuer.postgres_server import running as postgres
from tests.service.stage import Stage, order, revoked, running
from tests.service.test_watching import watching


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as made:
        yield made


@pytest.fixture(scope="module")
def nodes(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Stage, Stage]]:
    words = ("--lease", "1s", "--postgres", server.address)
    with running(tmp_path_factory.mktemp("nodes"), *words, start=False) as one:
        one.words = (*words, "--create")
        one.start()
        one.register()
        two = Stage(one.identity, *words, name="two.sock")
        two.start()
        try:
            yield one, two
        finally:
            two.stop()


async def test_effective_at_one_node_is_effective_at_the_other(nodes: tuple[Stage, Stage]) -> None:
    one, two = nodes
    async with one.client("agent") as agent, watching(two) as verifier:
        for n in range(3):
            made = await agent.issue(order(f"node-{n}"))
            assert verifier.allows(made.rid)
            await revoked(agent, token=made.token)
            assert not verifier.allows(made.rid)
            await verifier.until_leased()


async def test_one_order_at_two_nodes_is_carried_out_once(nodes: tuple[Stage, Stage]) -> None:
    one, two = nodes
    async with one.client("agent") as here, two.client("agent") as there:
        for n in range(5):
            answers = await asyncio.gather(
                *(client.issue(order(f"both-{n}")) for client in (here, there)),
                return_exceptions=True,
            )
            refused = [each for each in answers if isinstance(each, NucleusError)]
            assert [each.code for each in refused] == ["token.already_issued"], answers


async def test_without_its_database_a_node_gives_no_lease(
    nodes: tuple[Stage, Stage], server: Server, tmp_path: Path
) -> None:
    one, two = nodes
    async with one.client("agent") as agent, watching(two) as verifier:
        made = await agent.issue(order("last"))
        await asyncio.to_thread(server.kill)
        end = asyncio.get_running_loop().time() + 20
        while verifier.leased:
            assert asyncio.get_running_loop().time() < end
            await asyncio.sleep(0.02)
        with pytest.raises(NucleusError) as said:
            await agent.issue(order("dead"))
        assert said.value.code.startswith("store.")
        await asyncio.to_thread(server.start)
        await verifier.until_leased()
        assert verifier.allows(made.rid)
        await revoked(agent, token=made.token)
        assert not verifier.allows(made.rid)

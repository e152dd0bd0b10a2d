"""The issuer as a service: what the policy gives is given, once, and taken back for everybody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nucleus_tokens import chain, header, holding
from nucleus_verifier.rpc import issuer_pb2 as pb
from tests.service.stage import Stage, order, running
from tests.support import world


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with running(tmp_path_factory.mktemp("service"), "--lease", "2s") as made:
        yield made


@pytest.fixture
async def registered(stage: Stage) -> None:
    async with stage.client("tool") as tool:
        for name in ("tool.example", "else.example"):
            await tool.register_audience(name, "k1", world.AUDIENCE.public)


async def test_a_registered_audience_gets_tokens_sealed_to_its_key(
    stage: Stage, registered: None
) -> None:
    async with stage.client("agent") as agent:
        made = await agent.issue(order("first", holder=pb.Holder(key=world.public("agent"))))
    token = holding.read_token(made.token)
    fields = header.parse(token.identifier)
    assert fields.aud == "tool.example"
    assert fields.sub == "spiffe://example.org/agent"
    assert fields.holder == ("spiffe://example.org/agent", world.public("agent"))
    private, public = world.secret("audience"), world.AUDIENCE.public
    root_key = header.open_seal(fields.seal_audience, private, public)
    assert chain.rid(chain.first_tag(root_key, token.identifier)) == made.rid

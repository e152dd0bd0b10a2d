"""What was seen at one replica is good for nothing at another; what was exchanged dies as well."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import grpc.aio
import pytest

from nucleus.home import Home
from nucleus_tokens import exchanges, holding
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.sidecar.answers import Admitted, Answer, Refused
from nucleus_verifier.sidecar.asked import Asked
from nucleus_verifier.sidecar.checking import Remote
from tests.cli.command import PASSPHRASE
from tests.service.stage import Stage, order, revoked, running
from tests.sidecar.stage import HOST, INSTANCE, Sidecar, sidecar
from tests.sidecar.test_watching import AGENT, PEERED, until_ready
from tests.support import world
from tests.support.patience import until

OTHER = "verifier:two"
POLICY = """
[[grant]]
id = "spiffe://example.org/agent"
profiles = ["read-only"]
audiences = ["{audience}", "far.example"]
exchange = ["{audience}"]
ttl_seconds = 3600
depth = 2

[[audience]]
name = "{audience}"
id = "spiffe://example.org/tool"

[[audience]]
name = "far.example"
id = "spiffe://example.org/other"
"""


class Scene(NamedTuple):
    stage: Stage
    tools: list[Sidecar]
    audience: str


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Two replicas of one audience, each with a state of its own, under one issuer."""
    root = tmp_path_factory.mktemp("replicas")
    with running(root, "--lease", "2s", start=False) as stage, ExitStack() as stack:
        audience = stage.ring().bundle().audience_named(None)
        (stage.home / "config" / "issuance.toml").write_text(POLICY.format(audience=audience.name))
        homes = []
        for name in ("one", "two"):
            shutil.copytree(stage.home, root / name)
            homes.append(Home.find(root / name, {}))
        stage.start()
        tools = []
        for home, instance in zip(homes, (INSTANCE, OTHER), strict=True):
            signer = home.keyring().issuer(home.issuer_key_id(), lambda _: PASSPHRASE).signer
            words = ("--issuer", stage.address, "--issuer-id", "spiffe://example.org/issuer")
            made = sidecar(
                root, PEERED, *words, made_home=(home, signer, audience), instance=instance,
                SPIFFE_ENDPOINT_SOCKET=stage.socket("tool"),
            )  # fmt: skip
            tools.append(stack.enter_context(made))
        yield Scene(stage, tools, audience.name)


def signed(token: str, instance: str, *, at: int | None = None) -> str:
    return holding.request(
        holding.read_token(token), world.secret("agent"), tool="files.read",
        args={"path": {"path": "/srv/a.txt"}}, time=int(time.time()) if at is None else at,
        nonce=os.urandom(16).hex(), instance=instance,
    )  # fmt: skip


async def show(tool: Sidecar, credential: str, peer: str = AGENT) -> Answer:
    async with grpc.aio.insecure_channel(f"unix:{tool.folder}/peered.sock") as channel:
        asked = Asked(credential, "GET", HOST, "/files/srv/a.txt", peer=peer)
        return await Remote(lambda: channel)(asked)


async def minted(scene: Scene, name: str, audience: str) -> str:
    async with scene.stage.client("agent") as agent:
        holder = pb.Holder(key=world.public("agent"))
        return (await agent.issue(order(name, audience=audience, holder=holder))).token


def refused(answer: Answer, tool: Sidecar, why: str) -> None:
    assert isinstance(answer, Refused), answer
    until(lambda: [each["why"] for each in tool.events(event="refused")][-1:] == [why], why)


async def test_a_request_is_replayed_nowhere(scene: Scene) -> None:
    for tool in scene.tools:
        await until_ready(tool, True)
    one, two = scene.tools
    token = await minted(scene, "replayed", scene.audience)
    seen = signed(token, INSTANCE)
    assert isinstance(await show(one, seen), Admitted)
    refused(await show(one, seen), one, "request.replayed")
    refused(await show(two, seen), two, "request.other_verifier")
    # Killed and started again it still knows.
    await asyncio.to_thread(one.kill)
    await asyncio.to_thread(one.start)
    await until_ready(one, True)
    refused(await show(one, seen), one, "request.replayed")
    late = signed(token, INSTANCE, at=int(time.time()) - 600)
    refused(await show(one, late), one, "request.stale")
    assert isinstance(await show(two, signed(token, OTHER)), Admitted)


async def test_a_stolen_token_is_nobody_elses(scene: Scene) -> None:
    tool = scene.tools[1]
    await until_ready(tool, True)
    token = await minted(scene, "stolen", scene.audience)
    for peer in ("spiffe://example.org/other", ""):
        answer = await show(tool, signed(token, OTHER), peer)
        assert isinstance(answer, Refused)
        assert (answer.code, answer.hint) == ("credential.refused", "")
    answer = await show(tool, token)  # the token alone, without the holder's proof
    assert isinstance(answer, Refused)


async def test_a_child_that_was_exchanged_dies_with_its_parent_at_every_replica(
    scene: Scene,
) -> None:
    async with scene.stage.client("other") as other:
        await other.register_audience("far.example", "k1", world.ELSEWHERE.public)
    parent = await minted(scene, "parent", "far.example")
    said = exchanges.write(
        holding.read_token(parent), world.secret("agent"), audience=scene.audience,
        nonce=world.hex16("exchange"),
    )  # fmt: skip
    async with scene.stage.client("agent") as agent:
        child = (await agent.exchange(pb.ExchangeRequest(token=parent, statement=said))).token
        for tool, instance in zip(scene.tools, (INSTANCE, OTHER), strict=True):
            await until_ready(tool, True)
            assert isinstance(await show(tool, signed(child, instance)), Admitted), tool.log[-3:]
        await revoked(agent, token=parent)
        for tool, instance in zip(scene.tools, (INSTANCE, OTHER), strict=True):
            refused(await show(tool, signed(child, instance)), tool, "token.revoked")

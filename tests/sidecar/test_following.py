"""What a sidecar takes from its issuer: whom to believe, and a person's answers; what it tells."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2

from nucleus.home import Home
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.sidecar.answers import Admitted, Refused, Waiting
from tests.cli.command import PASSPHRASE, PROGRAM, Desk
from tests.service.stage import Stage, environ, order, running
from tests.sidecar.stage import Sidecar, make_home, sidecar
from tests.sidecar.test_watching import PEERED, asked, minted, until_ready
from tests.support import world

POLICY = """
[[grant]]
id = "spiffe://example.org/agent"
profiles = ["read-only"]
audiences = ["{audience}"]
ttl_seconds = 3600

[[audience]]
name = "{audience}"
id = "spiffe://example.org/tool"

[[operator]]
id = "spiffe://example.org/ops"
may = ["approve"]
"""


class Scene(NamedTuple):
    stage: Stage
    tool: Sidecar
    audience: str


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    root = tmp_path_factory.mktemp("following")
    with running(root, "--lease", "2s", start=False) as stage:
        audience = stage.ring().bundle().audience_named(None)
        (stage.home / "config" / "issuance.toml").write_text(POLICY.format(audience=audience.name))
        shutil.copytree(stage.home, root / "second")
        home = Home.find(root / "second", {})
        signer = home.keyring().issuer(home.issuer_key_id(), lambda _: PASSPHRASE).signer
        stage.start()
        words = (
            "--issuer", stage.address, "--issuer-id", "spiffe://example.org/issuer",
            "--metrics", "127.0.0.1:0",
        )  # fmt: skip
        with sidecar(
            root, PEERED, *words, made_home=(home, signer, audience),
            SPIFFE_ENDPOINT_SOCKET=stage.socket("tool"),
        ) as tool:  # fmt: skip
            yield Scene(stage, tool, audience.name)


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    end = time.monotonic() + 30
    while not await holds():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.05)


async def test_a_person_answers_at_the_issuer_and_the_same_call_passes_once(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, tool = scene.stage, scene.tool
    await until_ready(tool, True)
    holder = pb.Holder(key=world.public("agent"))
    async with stage.client("agent") as agent:
        token = (
            await agent.issue(
                order("asks", audience=scene.audience, holder=holder, obligations=["read_files"])
            )
        ).token
    first = await asked(tool, token)
    assert isinstance(first, Waiting), first
    again = await asked(tool, token)
    assert isinstance(again, Waiting)
    assert again.request == first.request, "one question, however often the call comes"
    monkeypatch.setenv("SPIFFE_ENDPOINT_SOCKET", stage.socket("ops"))

    async def told() -> bool:
        async with stage.client("ops") as ops:
            return [r.request.id for r in (await ops.list_approvals()).requests] == [first.request]

    await until(told, "the issuer is told")
    answered = await asyncio.to_thread(
        Desk(tmp_path).run, "--home", stage.home, "approvals", "approve", first.request,
        "--issuer", stage.address, "--passphrase-file", stage.pass_file,
    )  # fmt: skip
    answered.ok()

    async def passes() -> bool:
        return isinstance(await asked(tool, token), Admitted)

    await until(passes, "the answer comes back")
    assert isinstance(await asked(tool, token), Waiting), "once"


async def test_a_denial_comes_back_as_well(scene: Scene) -> None:
    stage, tool = scene.stage, scene.tool
    await until_ready(tool, True)
    holder = pb.Holder(key=world.public("agent"))
    async with stage.client("agent") as agent:
        token = (
            await agent.issue(
                order("denied", audience=scene.audience, holder=holder, obligations=["read_files"])
            )
        ).token
    waits = await asked(tool, token)
    assert isinstance(waits, Waiting)

    async def denied() -> bool:
        async with stage.client("ops") as ops:
            pending = [each.request.id for each in (await ops.list_approvals()).requests]
            if waits.request in pending:
                await ops.deny(waits.request, "no")
        with tool.home.store() as store:
            return store.status(waits.request).status == "denied"

    await until(denied, "the denial comes back")


async def test_keys_are_believed_and_retired_while_it_runs(scene: Scene) -> None:
    stage, tool = scene.stage, scene.tool
    await until_ready(tool, True)

    def command(*words: str) -> None:
        done = subprocess.run(
            [*PROGRAM, "--home", str(stage.home), "issuer", "keys", *words],
            capture_output=True, text=True, env=environ(), check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    before = await minted(stage, "before", scene.audience)
    (first,) = [each.kid for each in stage.ring().bundle().issuers]
    assert isinstance(await asked(tool, before), Admitted)
    await asyncio.to_thread(
        command, "rotate", "--passphrase-file", str(stage.pass_file),
        "--dangerously-weak-keys-for-tests",
    )  # fmt: skip
    await asyncio.to_thread(stage.stop)
    await asyncio.to_thread(stage.start)
    await until_ready(tool, True)
    after = await minted(stage, "after", scene.audience)

    async def new_passes() -> bool:
        return isinstance(await asked(tool, after), Admitted)

    await until(new_passes, "the next key is believed")
    assert isinstance(await asked(tool, before), Admitted)
    await asyncio.to_thread(command, "retire", first, "--force")

    async def old_fails() -> bool:
        return isinstance(await asked(tool, before), Refused)

    await until(old_fails, "the old key is believed no more")
    assert isinstance(await asked(tool, after), Admitted)


async def test_it_says_how_it_is(scene: Scene) -> None:
    stage, tool = scene.stage, scene.tool
    await until_ready(tool, True)
    line = next(each for each in tool.log if "metrics at port" in each)
    page = f"http://127.0.0.1:{line.split()[-1]}/metrics"

    def counted() -> str:
        with urllib.request.urlopen(page, timeout=10) as answer:
            return str(answer.read().decode())

    text = await asyncio.to_thread(counted)
    assert 'nucleus_verifier_answers_total{outcome="admitted"}' in text
    assert "nucleus_verifier_lease_seconds " in text
    assert "example.org" not in text, "nobody is named"

    async def health() -> Any:
        async with grpc.aio.insecure_channel(f"unix:{tool.folder}/own.sock") as channel:
            ask: Any = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                health_pb2.HealthCheckRequest.SerializeToString,
                health_pb2.HealthCheckResponse.FromString,
            )
            return (await ask(health_pb2.HealthCheckRequest(), timeout=10)).status

    states = health_pb2.HealthCheckResponse
    assert await health() == states.SERVING
    await asyncio.to_thread(stage.kill)

    async def closed() -> bool:
        return bool(await health() == states.NOT_SERVING)

    await until(closed, "stale is not serving")
    await asyncio.to_thread(stage.start)

    async def open_() -> bool:
        return bool(await health() == states.SERVING)

    await until(open_, "and it comes back")


async def test_without_an_issuer_the_bundle_of_the_home_is_read_again(tmp_path: Path) -> None:
    home, signer, audience = make_home(tmp_path)
    with sidecar(tmp_path, PEERED, made_home=(home, signer, audience)) as tool:
        ring = home.keyring()
        rotated = ring.rotate(
            "k2", random=home.random, passphrase=lambda _: b"x" * 20,
            strength="dangerously_fast_for_tests",
        )  # fmt: skip
        assert rotated.kid == "k2"
        later = ring.issuer("k2", lambda _: b"x" * 20).signer

        async def status(by: Any) -> bool:
            tool.signer = by
            token = tool.bearer(world.levels(read_files="always"))
            answer = await show(tool, token)
            return isinstance(answer, Admitted)

        assert await status(signer)
        await until(lambda: status(later), "the next key is believed")
        ring.retire("k1")

        async def old_fails() -> bool:
            return not await status(signer)

        await until(old_fails, "and the old one no more")


async def show(tool: Sidecar, token: str) -> Any:
    from nucleus_verifier.sidecar.asked import Asked
    from nucleus_verifier.sidecar.checking import Remote
    from tests.sidecar.stage import HOST

    async with grpc.aio.insecure_channel(f"unix:{tool.folder}/own.sock") as channel:
        return await Remote(lambda: channel)(Asked(token, "GET", HOST, "/notes/one"))

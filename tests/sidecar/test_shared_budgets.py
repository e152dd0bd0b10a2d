"""One budget, two sidecars: never overspent, whoever is killed, and all of it can be spent."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import ExitStack
from pathlib import Path

import grpc.aio
import pytest

from nucleus.home import Home
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.sidecar.answers import Admitted, Answer, Refused
from nucleus_verifier.sidecar.asked import Asked
from nucleus_verifier.sidecar.checking import Remote
from tests.cli.command import PASSPHRASE
from tests.issuer.making import SCALE
from tests.service.stage import Stage, order, running
from tests.sidecar.stage import HOST, Sidecar, sidecar
from tests.sidecar.test_watching import POLICY, until_ready

KILLS = 3 * SCALE
CALLS = 100 * KILLS
WORKERS = 3


def second(stage: Stage, root: Path, name: str) -> tuple[Home, object, object]:
    """The same keys and bundle, and a state of its own: another host of the same audience."""
    shutil.copytree(stage.home, root / name)
    home = Home.find(root / name, {})
    signer = home.keyring().issuer(home.issuer_key_id(), lambda _: PASSPHRASE).signer
    return home, signer, home.keyring().bundle().audience_named(None)


async def minted(stage: Stage, audience: str, calls: int) -> pb.Minted:
    caveat = f'["budget","calls",{calls}]'
    async with stage.client("agent") as agent:
        return await agent.issue(
            order("one", audience=audience, holder=pb.Holder(bearer=True), caveats=[caveat])
        )


async def asked(tool: Sidecar, token: str) -> Answer:
    async with grpc.aio.insecure_channel(f"unix:{tool.folder}/own.sock") as channel:
        return await Remote(lambda: channel)(Asked(token, "GET", HOST, "/files/srv/a.txt"))


class Spending:
    """Clients of both sidecars, until everybody is told that the budget is used up."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.admitted = 0
        self.told = asyncio.Condition()

    async def work(self, tool: Sidecar) -> None:
        while True:
            answer = await asked(tool, self.token)
            if isinstance(answer, Admitted):
                async with self.told:
                    self.admitted += 1
                    self.told.notify_all()
            elif isinstance(answer, Refused) and answer.code == "budget.exhausted":
                async with self.told:
                    self.told.notify_all()
                return
            else:
                await asyncio.sleep(0.02)  # a sidecar or its issuer is gone: it comes back

    async def until(self, admitted: int, tasks: list[asyncio.Task[None]]) -> None:
        def so_far() -> bool:
            return self.admitted >= admitted or any(task.done() for task in tasks)

        async with self.told:
            await asyncio.wait_for(self.told.wait_for(so_far), 60)


def spent(home: Home) -> int:
    with sqlite3.connect(home.store_path) as raw:
        (total,) = raw.execute(
            "SELECT COALESCE(SUM(spent), 0) FROM counters WHERE id LIKE '%/calls'"
        ).fetchone()
    raw.close()
    return int(total)


@pytest.mark.slow
async def test_a_shared_budget_is_spent_once_whoever_dies(tmp_path: Path) -> None:
    with running(tmp_path, "--lease", "1s", start=False) as stage, ExitStack() as stack:
        audience = stage.ring().bundle().audience_named(None).name
        policy = POLICY.format(audience=audience).replace("ttl_", "bearer = true\nttl_", 1)
        (stage.home / "config" / "issuance.toml").write_text(policy)
        homes = [second(stage, tmp_path, name) for name in ("a", "b")]
        await asyncio.to_thread(stage.start)
        words = ("--issuer", stage.address, "--issuer-id", "spiffe://example.org/issuer")
        tools = [
            stack.enter_context(
                sidecar(
                    tmp_path,
                    "",
                    *words,
                    made_home=home,  # type: ignore[arg-type]
                    SPIFFE_ENDPOINT_SOCKET=stage.socket("tool"),
                )
            )
            for home in homes
        ]
        for tool in tools:
            await until_ready(tool, True)
        token = (await minted(stage, audience, CALLS)).token
        run = Spending(token)
        tasks = [asyncio.ensure_future(run.work(tool)) for tool in tools for _ in range(WORKERS)]
        for kill in range(KILLS):
            await run.until(run.admitted + 1 + kill * 5 % 7, tasks)
            victim = (stage, *tools)[kill % 3]
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(victim.start)
        async with asyncio.timeout(60):
            await asyncio.gather(*tasks)
        total = [spent(home) for home, _, _ in homes]
        assert sum(total) == CALLS, f"of {CALLS} they spent {total}"
        assert run.admitted <= CALLS
        assert min(total) > 0, "both had a part"

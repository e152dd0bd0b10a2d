"""A sidecar on another host than its issuer: it knows what is revoked, or it allows nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path

import grpc.aio

from nucleus.home import Home
from nucleus_tokens import holding
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.sidecar.answers import Admitted, Answer, Refused
from nucleus_verifier.sidecar.asked import Asked
from nucleus_verifier.sidecar.checking import Remote
from tests.cli.command import PASSPHRASE
from tests.service.stage import Stage, order, revoked, running
from tests.sidecar.stage import HOST, INSTANCE, Sidecar, sidecar
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
"""

AGENT = "spiffe://example.org/agent"
# The tool's middleware says who holds the connection: the token is bound to that as well.
PEERED = """
[listeners.peered]
convention = "check"
address = "unix:{folder}/peered.sock"
peer = true
"""


async def minted(stage: Stage, name: str, audience: str) -> str:
    async with stage.client("agent") as agent:
        holder = pb.Holder(key=world.public("agent"))
        return (await agent.issue(order(name, audience=audience, holder=holder))).token


async def asked(tool: Sidecar, token: str) -> Answer:
    credential = holding.request(
        holding.read_token(token), world.secret("agent"), tool="files.read",
        args={"path": {"path": "/srv/a.txt"}}, time=int(time.time()), nonce=os.urandom(16).hex(),
        instance=INSTANCE,
    )  # fmt: skip
    async with grpc.aio.insecure_channel(f"unix:{tool.folder}/peered.sock") as channel:
        return await Remote(lambda: channel)(
            Asked(credential, "GET", HOST, "/files/srv/a.txt", peer=AGENT)
        )


async def until_ready(tool: Sidecar, ready: bool) -> None:
    end = time.monotonic() + 30
    while (await asyncio.to_thread(tool.ready))[1]["ready"] is not ready:
        assert time.monotonic() < end, tool.log[-5:]
        await asyncio.sleep(0.05)


async def test_it_allows_under_a_lease_and_never_what_is_revoked(tmp_path: Path) -> None:
    with running(tmp_path, "--lease", "2s", start=False) as stage:
        audience = stage.ring().bundle().audience_named(None)
        policy = POLICY.format(audience=audience.name)
        (stage.home / "config" / "issuance.toml").write_text(policy)
        # The same keys and bundle, and a state of its own: another host of the same audience.
        shutil.copytree(stage.home, tmp_path / "second")
        home = Home.find(tmp_path / "second", {})
        signer = home.keyring().issuer(home.issuer_key_id(), lambda _: PASSPHRASE).signer
        await asyncio.to_thread(stage.start)
        words = ("--issuer", stage.address, "--issuer-id", "spiffe://example.org/issuer")
        with sidecar(
            tmp_path,
            PEERED,
            *words,
            made_home=(home, signer, audience),
            SPIFFE_ENDPOINT_SOCKET=stage.socket("tool"),
        ) as tool:
            await until_ready(tool, True)
            first = await minted(stage, "first", audience.name)
            second = await minted(stage, "second", audience.name)
            assert isinstance(await asked(tool, first), Admitted), tool.log[-3:]
            async with stage.client("agent") as agent:
                await revoked(agent, token=first)
            answer = await asked(tool, first)
            assert isinstance(answer, Refused)
            assert answer.code == "token.revoked"
            assert isinstance(await asked(tool, second), Admitted)

            await asyncio.to_thread(stage.kill)
            await until_ready(tool, False)
            assert (await asyncio.to_thread(tool.ready))[1]["missing"] == ["revocation.stale"]
            answer = await asked(tool, second)
            assert isinstance(answer, Refused)
            assert answer.code == "revocation.stale"

            await asyncio.to_thread(stage.start)
            await until_ready(tool, True)
            assert isinstance(await asked(tool, second), Admitted)
            answer = await asked(tool, first)
            assert isinstance(answer, Refused)
            assert answer.code == "token.revoked"

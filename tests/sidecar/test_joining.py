"""A verifier on a host of its own: joined, served, replicated; of the issuer it has nothing."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from nucleus.home import Home
from nucleus_verifier.sidecar.answers import Admitted, Refused
from tests.cli.command import Desk, Result
from tests.service.stage import revoked, running
from tests.sidecar.stage import sidecar
from tests.sidecar.test_watching import PEERED, POLICY, asked, minted, until_ready

AUDIENCE = "new.example"


async def test_a_host_joins_and_its_replica_needs_only_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path, "--lease", "2s", policy=POLICY.format(audience=AUDIENCE)) as stage:
        desk = Desk(tmp_path)

        async def join(who: str, home: str, *words: str) -> Result:
            monkeypatch.setenv("SPIFFE_ENDPOINT_SOCKET", stage.socket(who))
            said = ("verifier", "join", *(words or (AUDIENCE,)), "--issuer", stage.address)
            return await asyncio.to_thread(desk.run, "--home", tmp_path / home, *said)

        assert "service.refused" in (await join("agent", "agent")).ok(2).err
        assert not (tmp_path / "agent" / "data" / "keys").exists(), "half a home"
        assert "audience.not_yours" in (await join("tool", "agent", "else.example")).ok(2).err
        (await join("tool", "one")).ok()
        assert "home.exists" in (await join("tool", "one")).ok(2).err
        files = {path.name for path in (tmp_path / "one" / "data" / "keys").iterdir()}
        assert {name.partition("-")[0] for name in files} == {
            "audience",
            "trace.key",
            "bundle.json",
        }

        shutil.copytree(tmp_path / "one" / "data", tmp_path / "two" / "data")
        (tmp_path / "two" / "data").chmod(0o700)
        (await join("tool", "two")).ok()
        assert "join.audience" in (await join("tool", "two", "tool.example")).ok(2).err

        token = await minted(stage, "joined", AUDIENCE)
        words = ("--issuer", stage.address, "--issuer-id", "spiffe://example.org/issuer")
        for name in ("one", "two"):
            home: Any = (Home.find(tmp_path / name, {}), None, None)
            with sidecar(
                tmp_path, PEERED, *words, made_home=home,
                SPIFFE_ENDPOINT_SOCKET=stage.socket("tool"),
            ) as tool:  # fmt: skip
                await until_ready(tool, True)
                assert isinstance(await asked(tool, token), Admitted), tool.log[-3:]
                if name == "two":
                    async with stage.client("agent") as agent:
                        await revoked(agent, token=token)
                    assert isinstance(await asked(tool, token), Refused)

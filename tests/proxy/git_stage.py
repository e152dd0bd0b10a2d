"""A stage with a repository in its workspace and a fake forge beside it."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

from nucleus_proxy.answers import Granted
from nucleus_proxy.effects import git
from nucleus_proxy.effects.forge import HttpForge
from nucleus_proxy.effects.pushing import GitTransport
from nucleus_proxy.egress.secrets import Credential, Secret
from nucleus_proxy.native import Value
from nucleus_proxy.remotes import Remote
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import NucleusError
from nucleus_verifier.ports import PendingRequest
from nucleus_vmhost.bubblewrap import Bubblewrap
from tests.proxy.fake_forge import HEADER, FakeForge
from tests.proxy.native_stage import NativeStage
from tests.proxy.stage import until, within


def sh(place: Path, *words: str) -> str:
    """git, as its owner uses it."""
    done = subprocess.run(
        ["git", "-C", str(place), "-c", "user.name=o", "-c", "user.email=o@localhost", *words],
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.strip()


class GitStage(NativeStage):
    """A workspace that is a repository on `main` with one commit and a remote."""

    def __init__(self, tmp_path: Path, forge: FakeForge | None = None) -> None:
        workspace = tmp_path / "workspace"
        workspace.mkdir()
        sh(workspace, "init", "-q", "-b", "main")
        (workspace / "a.txt").write_text("one\n")
        sh(workspace, "add", "-A")
        sh(workspace, "commit", "-q", "-m", "first")
        super().__init__(workspace)
        self.bare = tmp_path / "bare.git"
        subprocess.run(["git", "init", "-q", "--bare", str(self.bare)], check=True)
        remotes = {"local": Remote(str(self.bare), "localhost")}
        if forge is not None:
            api = f"{forge.url}/api/v1"
            host = forge.url.removeprefix("http://")
            remotes["origin"] = Remote(f"{forge.url}/team/x.git", host, api)
        name, _, value = HEADER.partition(": ")
        prefix, _, key = value.partition(" ")
        login = Credential(name, f"{prefix} ", Secret("forge", key.encode()))
        self.tools |= git.tools(
            self.root,
            runner=Bubblewrap(),
            remotes=remotes,
            transport=GitTransport(lambda _: login),
            forge=HttpForge(lambda _: login),
        )
        self.rebind()

    async def approved(self, token: UnverifiedToken, tool: str, args: dict[str, Any]) -> Value:
        """Run a call; a person approves whatever it owes."""
        call = asyncio.create_task(self.decide(token, tool, args))
        request = await until(lambda: call.done() or self.pending(), "a decision")
        if isinstance(request, PendingRequest):
            self.approve(request)
        done = await within(call)
        assert isinstance(done, Granted), done
        return await within(self.tools[tool].run(done, self.mediator.wall))

    async def approved_code(self, token: UnverifiedToken, tool: str, args: dict[str, Any]) -> str:
        """The code of a failure of an approved call."""
        try:
            await self.approved(token, tool, args)
        except NucleusError as error:
            return error.code
        return "ok"

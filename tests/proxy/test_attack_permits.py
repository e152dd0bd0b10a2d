"""Every effect takes its permit first: used, foreign or of another cell, nothing happens."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nucleus_proxy.agents import AgentSpec
from nucleus_proxy.answers import Granted
from nucleus_proxy.effects import exec as commands
from nucleus_proxy.effects import spawn
from nucleus_proxy.work import Done, Work
from nucleus_tokens.errors import CallerError
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.ports import PendingRequest
from tests.proxy.git_stage import GitStage
from tests.proxy.stage import until, within
from tests.support import world

CALLS: dict[str, dict[str, Any]] = {
    "fs_read": {"path": "a.txt"},
    "fs_write": {"path": "new.txt", "content": "x"},
    "fs_edit": {"path": "a.txt", "old": "one", "new": "two"},
    "fs_glob": {"directory": ".", "pattern": "*"},
    "fs_grep": {"directory": ".", "text": "one"},
    "exec_run": {"argv": ["touch", "new.txt"]},
    "exec_bash": {"script": "touch new.txt"},
    "agent_spawn": {"agent": "x", "directory": ".", "task": "t", "token": "never read"},
    "git_status": {"repo": "."},
    "git_diff": {"repo": "."},
    "git_commit": {"repo": ".", "message": "m", "paths": ["a.txt"]},
    "git_push": {"repo": ".", "remote": "local", "branch": "main"},
    "git_create_pr": {"repo": ".", "remote": "local", "head": "main", "base": "x", "title": "t",
                      "body": "b"},
}  # fmt: skip


class Watched:
    """A runner that only remembers that it was asked."""

    name = "watched"

    def __init__(self) -> None:
        self.asked: list[Work] = []

    async def run(self, work: Work) -> Done:
        self.asked.append(work)
        return Done(0, b"", b"", truncated=False, timed_out=False)

    async def start(self, work: Work) -> asyncio.subprocess.Process:
        raise AssertionError(work)


class Staged(GitStage):
    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.runner = Watched()
        self.tools |= commands.tools(self.root, runner=self.runner, shows=1, draw=self.draw)
        self.tools |= spawn.tools(
            self,
            self.root.path,
            agents={"x": AgentSpec(("/bin/true",))},
            authenticate=CachingVerifier(world.KEYS).authenticate,
            ledger=self.ledger,
            draw=self.draw,
        )
        self.rebind()

    async def run(self, birth: spawn.Birth) -> spawn.Ended:
        raise AssertionError(birth)

    async def allowed(self, tool: str) -> Granted:
        call = asyncio.create_task(self.decide(self.everywhere(), tool, CALLS[tool]))
        request = await until(lambda: call.done() or self.pending(), "a decision")
        if isinstance(request, PendingRequest):
            self.approve(request)
        done = await within(call)
        assert isinstance(done, Granted), done
        return done

    def world(self) -> list[Any]:
        """Everything an effect could have changed."""
        files = {
            str(p): p.read_bytes()
            for place in (self.workspace, self.bare)
            for p in sorted(place.rglob("*"))
            if p.is_file()
        }
        return [files, len(self.runner.asked)]


def test_every_tool_is_tried(tmp_path: Path) -> None:
    assert set(CALLS) == set(Staged(tmp_path).tools), "give it a call in CALLS"


@pytest.mark.parametrize("tool", sorted(CALLS))
async def test_an_effect_without_a_good_permit_does_nothing(tmp_path: Path, tool: str) -> None:
    stage = Staged(tmp_path)
    row = stage.tools[tool]
    used = await stage.allowed(tool)
    used.permit.use(
        operation=used.call.operation, call_digest=used.call.digest, cell=stage.mediator.wall
    )
    other = await stage.allowed("fs_read" if tool != "fs_read" else "fs_grep")
    foreign = replace(await stage.allowed(tool), permit=other.permit)
    elsewhere = await stage.allowed(tool)
    before = stage.world()
    for granted, cell, code in (
        (used, stage.mediator.wall, "permit.used"),
        (foreign, stage.mediator.wall, "permit.other_call"),
        (elsewhere, "wall:other", "permit.other_call"),
        # Trying with the wrong cell took it.
        (elsewhere, stage.mediator.wall, "permit.used"),
    ):
        with pytest.raises(CallerError) as caught:
            await row.run(granted, cell)
        assert caught.value.code == code
    assert stage.world() == before

"""A shipped binding in front of the real server that it is about, and one session behind it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nucleus_proxy.flow import Flow
from nucleus_proxy.flowstate import FlowState
from nucleus_proxy.rules import Believed
from tests.proxy.rig import Rig, rigged
from tests.proxy.stage import Stage, counted
from tests.support import servers, world


def packaged(name: str) -> list[str]:
    """The command of a server that npm ships, by its whole name."""
    folder = servers.NPM / "node_modules" / name
    assert folder.is_dir(), f"{name} is missing; install it with: ./dev test"
    (entry,) = json.loads((folder / "package.json").read_bytes())["bin"].values()
    node = shutil.which("node")
    assert node, "node is missing; install it with: ./dev system"
    return [os.path.realpath(node), str(folder / entry)]


class Bound:
    """One session behind a shipped binding, at `low_risk`."""

    def __init__(self, rig: Rig, stage: Stage, tree: str) -> None:
        self.rig = rig
        self.stage = stage
        self.tree = tree
        self._number = 1

    @property
    def exposure(self) -> int:
        return self.stage.ledger.cells[self.tree].bits

    async def call(self, tool: str, **args: Any) -> dict[str, Any]:
        """The result of a call that nobody is asked about."""
        answer = self._sent(tool, args)
        asked = asyncio.ensure_future(self.stage.asked())
        first: set[asyncio.Future[Any]] = {answer, asked}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            answer.cancel()
            raise AssertionError(f"{tool} is asked about: {asked.result().obligations}")
        asked.cancel()
        return answer.result()

    async def asked(
        self, tool: str, *, approve: bool = False, **args: Any
    ) -> tuple[set[str], dict[str, Any]]:
        """What a person was asked about, who then said yes or no; and the result."""
        answer = self._sent(tool, args)
        request = await self.stage.asked()
        if approve:
            self.stage.approve(request)
        else:
            self.stage.ledger.settle(request.id, approval=None)
        return {name for name, _ in request.obligations}, await answer

    def _sent(self, tool: str, args: dict[str, Any]) -> asyncio.Future[dict[str, Any]]:
        self._number += 1

        async def answer(number: int) -> dict[str, Any]:
            result: dict[str, Any] = (await self.rig.call(number, tool, args))["result"]
            return result

        return asyncio.ensure_future(answer(self._number))


@asynccontextmanager
async def bound(
    tmp_path: Path, name: str, command: Sequence[str], *, prompt: str, more: str = ""
) -> AsyncIterator[Bound]:
    """The real server behind its binding; the user said `prompt`, the operator `more`."""
    policy = f'version = 1\n[wall]\nid = "test"\nshows = []\n[server]\nbinding = "{name}"\n{more}'
    state = FlowState.open(None)
    flow = Flow(state, believed=Believed(), releasers={}, draw=counted(9), cwd=str(tmp_path))
    stage = Stage(policy, flow=flow)
    token = stage.token(world.all_levels("low_risk"))
    state.give_prompt(Stage.tree(token), prompt)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    held = world.text(token)
    async with rigged(tmp_path, stage, held=held, command=command, env=env) as rig:
        about = {"name": "test", "version": "1"}
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": about}
        assert "result" in await rig.request(0, "initialize", hello)
        rig.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        yield Bound(rig, stage, Stage.tree(token))
    stage.verified()

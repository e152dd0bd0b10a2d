"""Law: a sub-agent runs in a cell of its own, behind a wall of its own, and with nothing of its
starter's but the task.

The launcher of `agent_spawn`: the operator's command, its environment and what it sees come from
the policy file; its token stays out here. The starter chose a name and a text, which is standard
input and never an argument.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nucleus import behind
from nucleus.bringing import Bringing
from nucleus_proxy import native
from nucleus_proxy.answers import Presented, Refusal
from nucleus_proxy.effects import cells
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.effects.spawn import OUTPUT_BYTES, Ended
from nucleus_proxy.policy import NO_WALL, Wall, Workspace
from nucleus_tokens import exposure
from nucleus_tokens.errors import NucleusError, WorldError
from nucleus_tokens.lattice import WRITE_FILES, level_of
from nucleus_verifier import gather
from nucleus_vmhost import bubblewrap
from nucleus_vmhost.cell import NO_EXTRAS
from nucleus_vmhost.vm.working import CUT, Inside

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Sequence

    from nucleus.identities import Identity
    from nucleus.proxying import Proxy
    from nucleus.walled import Where
    from nucleus_proxy.effects.cells import View
    from nucleus_proxy.effects.spawn import Birth
    from nucleus_proxy.native import Tools
    from nucleus_proxy.policy import PolicyFile
    from nucleus_tokens.authority import Authority
    from nucleus_vmhost.vm.changes import Told
    from nucleus_vmhost.work import Done


class Launcher:
    """Runs sub-agents of one proxy's process."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    async def run(self, birth: Birth) -> Ended:
        """As `spawn.Launcher.run`."""
        aside: list[str] = []
        self._proxy.log(f"sub-agent {birth.agent} {birth.id} starts")
        try:
            done, wrote, changes = await self._run(birth, aside)
        except NucleusError as error:
            # What is missing here is the operator's affair, and the starter's is that nothing ran.
            self._proxy.log(f"sub-agent {birth.agent} {birth.id} was not started: {error}")
            raise WorldError(
                "spawn.failed",
                "The sub-agent could not be started.",
                hint="Whoever runs the proxy was told why.",
            ) from error
        self._proxy.log(f"sub-agent {birth.agent} {birth.id} ended with {done.code}")
        output = (done.stdout + done.stderr).decode("utf-8", "replace")
        ended = Ended(done.code, output, done.truncated, done.timed_out, tuple(aside))
        return replace(ended, wrote=tuple(sorted(wrote)), changes=changes)

    def holder(self, agent: str, born: str) -> str:
        """As `spawn.Launcher.holder`."""
        ours = self._proxy.identity
        return agent if ours is None else ours.of(born)

    async def _run(self, birth: Birth, aside: list[str]) -> tuple[Done, set[str], dict[str, Any]]:
        ours = self._proxy.identity
        made = ours and await asyncio.to_thread(ours.beside, birth.id, self._proxy.log)
        with made or nullcontext():
            return await self._behind(birth, made, aside)

    async def _behind(
        self, birth: Birth, identity: Identity | None, aside: list[str]
    ) -> tuple[Done, set[str], dict[str, Any]]:
        """Behind a wall of its own."""
        proxy, spec = self._proxy, birth.spec
        workspace = proxy.policy.workspace
        if workspace is None:
            raise WorldError("spawn.failed", "There is no workspace.")
        with Root(workspace.root) as root:
            authority = birth.child.prefix.authority
            where = proxy.where
            view = await asyncio.to_thread(_view, root, birth, authority, where is not None)
            policy = _walled(proxy.policy, birth, view)
            agent = behind.Agent(
                name=birth.id,
                argv=spec.argv,
                folder=birth.folder,
                shown=view,
                token=birth.token,
                private=birth.private,
                identity=identity,
                beside=spec.readable,
                env=spec.env,
                stdin=birth.task.encode(errors="replace"),
                seconds=float(spec.seconds),
                output_bytes=OUTPUT_BYTES,
                brings=spec.mode == "rw" and bool(view.readable and _may_bring(authority)),
            )
            if where is not None:
                token = Presented(birth.token, "held", private=birth.private)
                bringing = Bringing(proxy, policy, root, authority, view, token, Inside())
                return await self._inside(where, bringing, birth, agent)
            mediator = proxy.mediator(policy)
            async with behind.running(
                proxy, mediator, root, authority, agent, NO_EXTRAS, aside
            ) as (process, work):
                with proxy.live.held(partial(self._stands, birth), partial(self._cut, process)):
                    return await bubblewrap.to_the_end(process, work), set(), {}

    async def _inside(
        self, where: Where, bringing: Bringing, birth: Birth, agent: behind.Agent
    ) -> tuple[Done, set[str], dict[str, Any]]:
        """In a machine of its own, where its commands run too."""
        proxy, inside = self._proxy, bringing.inside
        own: Tools = bringing.tools() if agent.brings else {}
        mediator = proxy.mediator(native.bound(bringing.policy, own))
        mediator.open()
        async with proxy.road(
            mediator, agent.token, agent.private, inside, own, agent.identity
        ) as sockets:
            work = asyncio.ensure_future(where.started(agent, sockets, inside))
            with proxy.live.held(partial(self._stands, birth), partial(self._end, work)):
                try:
                    await asyncio.wait({work})
                finally:
                    work.cancel()
                    await asyncio.gather(work, return_exceptions=True)
        if work.cancelled():
            return CUT, inside.written, {}
        done, told = work.result()
        return done, inside.written, await self._brought(bringing, told)

    async def _brought(
        self, bringing: Bringing, told: Sequence[tuple[str, Told]]
    ) -> dict[str, Any]:
        """What became of what it changed in its copy, as its starter is told."""
        if not told:
            return {}
        try:
            brought = await bringing.out(told)
        except NucleusError as error:
            self._proxy.log(f"nothing was brought out: {error}")
            return {"code": error.code, "sentence": error.message}
        return brought.answer

    def _end(self, work: asyncio.Future[Any], refusal: Refusal) -> None:
        self._proxy.log(f"a sub-agent is ended: {refusal.sentence}")
        work.cancel()

    def _stands(self, birth: Birth) -> Refusal | None:
        """Why it may not go on by itself: its own token ended. Its starter's is watched as that
        of any call."""
        now = self._proxy.ledger.read(gather.wanted(birth.child, birth.cell))
        ended = bool(now.revoked) or now.now >= birth.child.prefix.authority.exp
        return Refusal("spawn.ended", 6, "Its token has ended.", "") if ended else None

    def _cut(self, process: Process, refusal: Refusal) -> None:
        self._proxy.log(f"a sub-agent is ended: {refusal.sentence}")
        if process.returncode is None:
            process.kill()


def _view(root: Root, birth: Birth, authority: Authority, copied: bool) -> View:
    """What it sees: as the operator says, as far as its token admits. What is `copied` it writes
    in its copy."""
    if birth.spec.mode == "none" or not cells.may_read(authority):
        return behind.NOTHING
    writable = not copied and birth.spec.mode == "rw" and cells.may_write(authority)
    return behind.shown(root, authority, writable=writable)


def _may_bring(authority: Authority) -> bool:
    return level_of(authority.levels, WRITE_FILES) > 0


def _walled(policy: PolicyFile, birth: Birth, view: View) -> PolicyFile:
    """The policy behind its wall, which has already shown what is mounted."""
    shows = NO_WALL if policy.workspace is None else policy.workspace.shows
    sees = birth.spec.shows
    if view.readable or view.writable:
        sees |= shows | exposure.PRIVATE_DATA
    wall = Wall(birth.cell.removeprefix("wall:"), sees)
    return replace(policy, workspace=Workspace(birth.folder, shows), wall=wall)

"""A sub-agent: less power than its starter, and no less seen."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nucleus_proxy import connect, serve
from nucleus_proxy.agents import AgentSpec
from nucleus_proxy.answers import Granted, Presented
from nucleus_proxy.effects import spawn
from nucleus_proxy.effects.spawn import Birth, Ended
from nucleus_proxy.policy import Wall
from nucleus_proxy.waiting import Caller
from nucleus_tokens import crypto, holding, labelling, labels
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CallerError
from nucleus_tokens.exposure import ALL, EXFIL_VECTOR, PRIVATE_DATA, UNTRUSTED_CONTENT
from nucleus_tokens.lattice import RUN_BASH, SPAWN_AGENT, level_of
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.ports import PendingRequest
from tests.proxy.native_stage import NativeStage
from tests.proxy.stage import until, within
from tests.proxy.test_native_road import Client
from tests.support import world


class FakeLauncher:
    """Starts nothing; remembers what it was asked, and what the cell stood at."""

    def __init__(self) -> None:
        self.born: list[Birth] = []
        self.cells: list[int] = []
        self.stage: NativeStage
        self.until: asyncio.Event | None = None  # they live until then
        self.sees = 0

    async def run(self, birth: Birth) -> Ended:
        self.born.append(birth)
        self.cells.append(self.stage.ledger.cells[birth.cell].bits)
        self.stage.ledger.open_cell(birth.cell, self.sees)
        if self.until is not None:
            await self.until.wait()
        return Ended(0, "done")

    def holder(self, agent: str, born: str) -> str:
        return agent


class Staged(NativeStage):
    def __init__(self, workspace: Path) -> None:
        super().__init__(workspace)
        self.launcher = FakeLauncher()
        self.launcher.stage = self
        self.came: dict[str, int] = {}
        self.agents = {"reviewer": AgentSpec(("/bin/true",), depth=1, live=2)}
        self.tools |= spawn.tools(
            self.launcher,
            str(workspace),
            agents=self.agents,
            authenticate=CachingVerifier(world.KEYS).authenticate,
            ledger=self.ledger,
            draw=self.draw,
            observed=lambda cell: self.came.get(cell, labels.BOTTOM),
        )
        self.rebind()

    async def spawn_held(self, token: UnverifiedToken, private: bytes) -> None:
        """A sub-agent of whoever's token is held here, with its key."""
        row = self.tools["agent_spawn"]
        held = Presented(world.text(token), "held", private=private)

        async def heard(_: str) -> None: ...

        done = await within(
            self.mediator.call(
                held,
                lambda: row.bind({"agent": "reviewer", "task": "look"}, str(self.workspace)),
                progress=heard,
                caller=Caller(),
            )
        )
        assert isinstance(done, Granted), done
        await within(row.run(done, self.mediator.wall))


@pytest.fixture
def stage(tmp_path: Path) -> Staged:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "a.txt").write_text("inside")
    return Staged(tmp_path / "ws")


def args(token: UnverifiedToken, **rest: Any) -> dict[str, Any]:
    text = world.text(token)
    return {"agent": "reviewer", "directory": ".", "task": "look", "token": text, **rest}


async def test_a_sub_agent_starts_where_its_starter_stands(stage: Staged) -> None:
    token = stage.everywhere(depth=2)
    await stage.use(token, "fs_read", {"path": "a.txt"})
    child = world.hand(world.narrow(token, ["cap", {"run_bash": "never"}]))
    await stage.use(token, "agent_spawn", args(child))
    (birth,) = stage.launcher.born
    assert (birth.agent, birth.task, birth.private) == ("reviewer", "look", b"")
    given, born = world.opened(world.text(child)).prefix, birth.child.prefix
    assert born.rids[: len(given.rids)] == given.rids
    assert ("path", str(stage.workspace)) in [
        (scope.kind, scope.patterns[-1]) for _, scope in born.authority.scopes
    ], "the operator's folder"
    # Raised before delivery, by what was seen and by the hand-over itself.
    assert stage.launcher.cells == [PRIVATE_DATA | EXFIL_VECTOR]
    assert stage.ledger.cells[stage.tree(token)].bits == PRIVATE_DATA | EXFIL_VECTOR


@pytest.mark.parametrize("which", ["other", "parent", "forged", "bearer", "sibling"])
async def test_only_a_descendant_is_handed_on(stage: Staged, which: str) -> None:
    root = stage.everywhere(depth=2)
    token = world.narrow(root, ["cap", {"run_bash": "never"}])
    others: dict[str, str] = {
        "other": world.text(stage.token(world.all_levels(), tid=world.hex16("another"))),
        "parent": world.text(root),
        "forged": "nuc1_AAAA",
        "bearer": "",
        "sibling": world.text(world.narrow(root, ["cap", {"git_push": "never"}])),
    }
    if which == "bearer":
        token = stage.everywhere(holder=world.BEARER, obligations=[])
        others["bearer"] = world.text(world.narrow(token, ["link", world.hex16("x")]))
        code = await stage.code(token, "agent_spawn", {**args(token), "token": others[which]})
        assert code in ("spawn.bearer", "credential.refused")
    else:
        code = await stage.code(token, "agent_spawn", {**args(token), "token": others[which]})
        assert code == "spawn.token"
    assert stage.launcher.born == []


async def test_what_is_not_named_or_not_allowed_is_not_started(stage: Staged) -> None:
    token = stage.everywhere(depth=2)
    child = world.hand(token)
    unknown = args(child, agent="anybody")
    assert await stage.code(token, "agent_spawn", unknown) == "spawn.unknown"
    never = world.narrow(token, ["cap", {"spawn_agent": "never"}])
    assert await stage.code(never, "agent_spawn", args(child)) == "level.never"
    assert await stage.code(token, "agent_spawn", args(child, directory="..")) == "spawn.directory"
    src = world.narrow(token, ["path", "in", [f"{stage.workspace}/src"]])
    assert await stage.code(src, "agent_spawn", args(child)) == "scope.outside"
    assert stage.launcher.born == []


async def test_starting_one_is_a_way_out_and_meets_the_gate(stage: Staged) -> None:
    token = stage.everywhere(depth=2)
    stage.ledger.open_cell("wall:test", 3)
    owed = await stage.owed(token, "agent_spawn", args(world.hand(token)))
    assert "gate:exposure" in owed


async def test_the_sub_agents_calls_are_judged_by_its_token_and_its_cell(
    stage: Staged, tmp_path: Path
) -> None:
    """The launcher's part, done by hand: a proxy that holds the token, at a socket of its own."""
    token = stage.everywhere(depth=2)
    child = world.hand(world.narrow(token, ["cap", {"write_files": "never"}]))
    await stage.use(token, "fs_read", {"path": "a.txt"})
    await stage.use(token, "agent_spawn", args(child))
    (birth,) = stage.launcher.born
    own = Staged(stage.workspace)
    own.ledger = stage.ledger
    own.mediator.judge.ledger = stage.ledger
    own.mediator._desk = stage.ledger
    own.mediator.judge.wall = birth.cell
    assert Wall(birth.cell, 0).id == birth.cell
    service = serve.Service(
        own.mediator, draw=own.draw, log=lambda _: None, native=own.tools, held=birth.token
    )
    async with serve.listening(tmp_path / "run" / "s", service):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "run" / "s")
        await connect.hello(reader)
        client = Client(own, reader, writer)
        read = await client.call("fs_read", {"path": "a.txt"})
        assert read["structuredContent"]["content"] == "inside"
        assert read["_meta"]["nucleus/exposure"] == ["private_data", "exfil_vector"]
        wrote = await client.call("fs_write", {"path": "a.txt", "content": "x"})
        assert wrote["_meta"]["nucleus/refusal"]["code"] == "level.never"
        # The third leg in either place completes all three in both.
        stage.ledger.open_cell(stage.tree(token), ALL)
        asking = asyncio.create_task(client.call("agent_spawn", args(world.hand(child, "sub"))))
        request = await until(lambda: asking.done() or stage.pending(), "a decision")
        if isinstance(request, PendingRequest):
            assert "gate:exposure" in [name for name, _ in request.obligations]
            stage.ledger.withdraw(request.id)
        await within(asking)
        writer.close()


async def test_a_held_token_is_narrowed_by_the_proxy(stage: Staged, tmp_path: Path) -> None:
    token = stage.everywhere(depth=2)
    service = serve.Service(
        stage.mediator,
        draw=stage.draw,
        log=lambda _: None,
        native=stage.tools,
        held=world.text(token),
    )
    given: dict[str, Any] = {"agent": "reviewer", "task": "look"}
    async with serve.listening(tmp_path / "run" / "s", service):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "run" / "s")
        await connect.hello(reader)
        client = Client(stage, reader, writer)
        caveats = [["cap", {"write_files": "never"}]]
        done = await client.call("agent_spawn", {**given, "caveats": caveats})
        assert done["structuredContent"]["agent"] == "reviewer"
        assert done["structuredContent"]["output"] == "done"
        (birth,) = stage.launcher.born
        child = world.opened(birth.token).prefix
        assert child.rids[0] == world.opened(token).prefix.rids[0]
        assert child.authority.levels != world.opened(token).prefix.authority.levels
        # Nothing of the token comes back to whoever asked.
        assert birth.token not in str(done)
        # Nobody counts the hops of a token without a key: it starts nobody itself.
        assert level_of(child.authority.levels, SPAWN_AGENT) == 0
        for odd in ({"caveats": [["no-such"]]}, {"caveats": [], "token": world.text(token)}):
            refused = await client.call("agent_spawn", {**given, **odd})
            assert refused["_meta"]["nucleus/failure"]["code"].startswith("spawn.")
        writer.close()
        await writer.wait_closed()
    carried = await stage.code(token, "agent_spawn", {**given, "caveats": []})
    assert carried == "spawn.token"
    assert len(stage.launcher.born) == 1


async def test_a_held_token_with_its_key_is_delegated(stage: Staged) -> None:
    """To a key that is made here, one hop lower, behind the operator's caveats."""
    token = stage.everywhere(depth=2)
    stage.agents["reviewer"] = replace(
        stage.agents["reviewer"], caveats=(["cap", {"run_bash": "never"}],), depth=7
    )
    key = world.secret("agent")
    for number, depth in enumerate((1, 0)):
        await stage.spawn_held(token, key)
        birth = stage.launcher.born[-1]
        child = birth.child.prefix
        assert child.holder.key == crypto.public_of(birth.private)
        assert [hop.to for hop in child.hops] == ["reviewer"] * (number + 1)
        assert child.depth == depth
        assert level_of(child.authority.levels, RUN_BASH) == 0
        token, key = holding.read_token(birth.token), birth.private
    with pytest.raises(CallerError) as refused:
        await stage.spawn_held(token, key)
    assert refused.value.code == "spawn.depth"
    assert len(stage.launcher.born) == 2


async def test_what_it_saw_comes_back_with_what_it_says(stage: Staged) -> None:
    token = stage.everywhere(depth=2)
    stage.launcher.sees = UNTRUSTED_CONTENT
    value = await stage.use(token, "agent_spawn", args(world.hand(token)))
    assert value.saw == UNTRUSTED_CONTENT | EXFIL_VECTOR
    assert stage.ledger.cells["wall:test"].bits == value.saw
    assert labels.integ(value.label) == labels.ADVERSARIAL


async def test_what_it_says_is_no_better_than_what_its_tools_told_it(stage: Staged) -> None:
    token = stage.everywhere(depth=2)
    stage.came[stage.tree(token)] = labelling.TOOL_RESPONSE
    value = await stage.use(token, "agent_spawn", args(world.hand(token)))
    assert labels.join(value.label, labelling.TOOL_RESPONSE) == value.label


async def test_no_more_live_than_the_operator_says(stage: Staged) -> None:
    token = stage.everywhere(depth=2)
    child = args(world.hand(token))
    stage.launcher.until = asyncio.Event()
    two = [asyncio.create_task(stage.use(token, "agent_spawn", child)) for _ in range(2)]
    await until(lambda: len(stage.launcher.born) == 2, "two sub-agents")
    cells = set(stage.ledger.cells)
    assert await stage.code(token, "agent_spawn", child) == "spawn.full"
    assert set(stage.ledger.cells) == cells, "nothing was made for it"
    two[0].cancel()
    await asyncio.gather(two[0], return_exceptions=True)
    third = asyncio.create_task(stage.use(token, "agent_spawn", child))
    await until(lambda: len(stage.launcher.born) == 3, "room for another one")
    stage.launcher.until.set()
    await within(asyncio.gather(two[1], third))

"""A session of any length, against its laws: authority only falls, exposure and what is spent only
rise, the trace only grows, and a denial changes nothing.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from nucleus_proxy.answers import Granted, Refusal
from nucleus_tokens import names
from nucleus_tokens.authority import Authority
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import NucleusError
from nucleus_verifier.ports import PendingRequest
from tests.proxy.native_stage import NativeStage
from tests.proxy.stage import until, within
from tests.support import world

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))
FILES = ("a.txt", "d/b.txt", ".env", ".envrc", "../out.txt", "link")
LOCAL = ("read_files", "write_files", "edit_files", "glob_search", "grep_search")

paths = st.sampled_from(FILES)
calls = st.one_of(
    st.tuples(st.just("fs_read"), st.fixed_dictionaries({"path": paths})),
    st.tuples(
        st.just("fs_write"),
        st.fixed_dictionaries({"path": paths, "content": st.sampled_from(("x", "y", ""))}),
    ),
    st.tuples(
        st.just("fs_edit"),
        st.fixed_dictionaries({"path": paths, "old": st.just("x"), "new": st.just("y")}),
    ),
    st.tuples(
        st.just("fs_glob"),
        st.fixed_dictionaries({"directory": st.just("."), "pattern": st.just("**")}),
    ),
    st.tuples(
        st.just("fs_grep"), st.fixed_dictionaries({"directory": st.just("d"), "text": st.just("x")})
    ),
)


def caveats(root: str) -> st.SearchStrategy[list[Any]]:
    levels = st.dictionaries(st.sampled_from(LOCAL), st.sampled_from(names.LEVELS), min_size=1)
    scopes = st.sampled_from(
        (["in", [root]], ["in", [f"{root}/d"]], ["not", ["**/.env"]], ["in", ["/"]], ["in", []])
    )
    return st.one_of(
        levels.map(lambda given: ["cap", given]),
        scopes.map(lambda scope: ["path", *scope]),
        st.integers(0, 6).map(lambda count: ["budget", "calls", count]),
        st.sampled_from(LOCAL).map(lambda op: ["approve", [op]]),
        st.lists(st.sampled_from(names.EXPOSURES), unique=True).map(
            lambda bits: ["exposure", sorted(bits)]
        ),
    )


class Session(RuleBasedStateMachine):
    tokens = Bundle("tokens")

    @initialize(target=tokens)
    def begin(self) -> UnverifiedToken:
        self.loop = asyncio.Runner()
        self.place = Path(tempfile.mkdtemp()).resolve()
        self.workspace = self.place / "workspace"
        (self.workspace / "d").mkdir(parents=True)
        for name in ("a.txt", "d/b.txt", ".env"):
            (self.workspace / name).write_text("x")
        (self.place / "out.txt").write_text("outside")
        (self.workspace / "link").symlink_to(self.place / "out.txt")
        self.stage = NativeStage(self.workspace)
        self.seen: dict[str, int] = {}
        self.spent: dict[str, int] = {}
        self.lines: list[Any] = []
        self.effects = 0
        return self.stage.everywhere()

    @rule(target=tokens, token=tokens, data=st.data())
    def narrow(self, token: UnverifiedToken, data: st.DataObject) -> UnverifiedToken:
        child = world.narrow(token, data.draw(caveats(str(self.workspace))))
        before, after = _authority(token), _authority(child)
        assert after.levels & ~before.levels == 0
        assert after.obligations & before.obligations == before.obligations
        assert after.exposure & ~before.exposure == 0
        assert set(before.scopes) <= set(after.scopes)
        assert set(before.counters) <= set(after.counters)
        return child

    @rule(token=tokens, call=calls, approves=st.booleans(), runs=st.booleans())
    def call(self, token: UnverifiedToken, call: Any, approves: bool, runs: bool) -> None:
        tool, args = call
        before = self._world()
        state = self._state()
        done = self.loop.run(self._decided(token, tool, args, approves))
        if not isinstance(done, Granted):
            assert isinstance(done, Refusal), done
            assert self._world() == before
            assert self._state() == state
            return
        assert self._world() == before, "nothing runs before its permit is used"
        if runs:
            try:
                self.loop.run(within(self.stage.tools[tool].run(done, self.stage.mediator.wall)))
            except NucleusError:
                assert self._world() == before
            self.effects += 1
            if tool in ("fs_read", "fs_glob", "fs_grep"):
                assert self._world() == before

    @rule(bits=st.integers(0, 3))
    def see(self, bits: int) -> None:
        """Content came in by some other road."""
        self.stage.ledger.open_cell("wall:test", bits)

    async def _decided(
        self, token: UnverifiedToken, tool: str, args: dict[str, Any], approves: bool
    ) -> Any:
        task = asyncio.create_task(self.stage.decide(token, tool, args))
        request = await until(lambda: task.done() or self.stage.pending(), "a decision")
        if isinstance(request, PendingRequest):
            if approves:
                self.stage.approve(request)
            else:
                self.stage.ledger.withdraw(request.id)
        return await within(task)

    def _world(self) -> dict[str, str]:
        return {str(p): p.read_text() for p in sorted(self.place.rglob("*")) if p.is_file()}

    def _state(self) -> tuple[Any, ...]:
        ledger = self.stage.ledger
        return {k: c.bits for k, c in ledger.cells.items()}, dict(ledger.spent)

    @invariant()
    def exposure_and_spending_only_rise_and_the_trace_only_grows(self) -> None:
        if not hasattr(self, "stage"):
            return
        ledger = self.stage.ledger
        for name, bits in self.seen.items():
            assert ledger.cells[name].bits & bits == bits
        for name, spent in self.spent.items():
            assert ledger.spent[name] >= spent
        assert ledger.lines[: len(self.lines)] == self.lines
        self.seen = {name: cell.bits for name, cell in ledger.cells.items()}
        self.spent, self.lines = dict(ledger.spent), list(ledger.lines)
        allowed = [r for r in ledger.records("decision") if r["decision"]["verdict"] == "allow"]
        assert self.effects <= len(allowed)
        assert (self.place / "out.txt").read_text() == "outside"

    def teardown(self) -> None:
        if hasattr(self, "stage"):
            self.stage.verified()
            self.stage.root.close()
            self.loop.close()
            shutil.rmtree(self.place)


def _authority(token: UnverifiedToken) -> Authority:
    return world.opened(token).prefix.authority


TestSession = Session.TestCase
TestSession.settings = settings(
    max_examples=25 * SCALE,
    stateful_step_count=20,
)

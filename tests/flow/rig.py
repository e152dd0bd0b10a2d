"""A session over a `Flow`: calls are looked at, decided by the real kernel, and their results seen.

The ledger is the fake one; everything else is real.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nucleus_proxy import binding, policy
from nucleus_proxy.binding import Hints
from nucleus_proxy.flow import Flow, Kept, Looked
from nucleus_proxy.flowstate import FlowState
from nucleus_tokens import label_names, releases
from nucleus_tokens.chain import UnverifiedToken
from nucleus_verifier import gather
from nucleus_verifier.clear import clear
from nucleus_verifier.commit import Permit, commit
from nucleus_verifier.decision import Allow, Ask, Decision, Deny
from nucleus_verifier.facts import Call
from tests.proxy.stage import Clock, counted
from tests.support import world
from tests.support.memory_ledger import MemoryLedger

# Seals are drawn anew for each token: the same tree is the same token.
TOKEN = world.mint(world.all_levels("low_risk"))
RELEASERS = {"person": world.public("person")}


class Session:
    """One token's session behind one wall."""

    def __init__(
        self,
        text: str,
        *,
        token: UnverifiedToken | None = None,
        state: FlowState | None = None,
        releasers: Mapping[str, bytes] = RELEASERS,
        wall: str = world.WALL,
        cwd: str = "/",
        ledger: MemoryLedger | None = None,
    ) -> None:
        self.policy = policy.parse(text.encode(), base=Path(cwd))
        self.clock = Clock()
        self.ledger = ledger or MemoryLedger(self.clock)
        self.state = state or FlowState.open(None)
        self.token = token or TOKEN
        self.credential = world.opened(self.token)
        self.tree = gather.tree_cell(self.credential)
        self.wall = wall
        self.cwd = cwd
        for cell in (self.tree, wall):
            self.ledger.open_cell(cell, 0)
        self.flow = Flow(
            self.state, believed=self.policy.believed, releasers=releasers,
            draw=counted(id(self) % 10**6), cwd=cwd,
        )  # fmt: skip
        self.last: Looked | None = None

    def prompt(self, text: str) -> Session:
        self.state.give_prompt(self.tree, text)
        # Another connection would see it by the file's version; this one is the same.
        self.flow.forget()
        return self

    def call(self, tool: str, args: Any, refs: Mapping[str, str] | None = None) -> Call:
        """The call as the kernel is asked about it."""
        bound = replace(
            binding.bind(tool, args, self.policy.tools.get(tool), Hints(), self.cwd),
            references=refs or {},
        )
        wanted = gather.wanted(self.credential, self.wall)
        wanted = replace(wanted, counters=wanted.counters + self.flow.counters(self.credential))
        snapshot = self.ledger.read(wanted)
        cells = snapshot.wall.bits | snapshot.tree.bits
        self.snapshot = snapshot
        self.last = self.flow.look(
            self.credential, bound, self.policy.tools.get(tool), wall=self.wall, cells=cells,
            spent=snapshot.spent, now=snapshot.now,
        )  # fmt: skip
        return bound.at(cells, self.last)

    def decide(self, tool: str, args: Any, refs: Mapping[str, str] | None = None) -> Decision:
        call = self.call(tool, args, refs)
        assert self.last is not None
        facts = gather.facts(
            world.KEYS, self.snapshot, arrived=self.clock(), instance=world.INSTANCE,
            channel="held", peer=None, policy=self.policy.verifier, evidence=self.last.evidence,
        )  # fmt: skip
        return clear(self.credential, call, facts)

    def run(
        self, tool: str, args: Any, refs: Mapping[str, str] | None = None
    ) -> Permit | Deny | Ask:
        """Decide and commit."""
        done = self.decide(tool, args, refs)
        if not isinstance(done, Allow):
            return done
        assert self.last is not None
        intent = done.intent._replace(spends=done.intent.spends + self.last.spends)
        return commit(intent, self.ledger, {"type": "decision"})

    def saw(self, tool: str, args: Any, value: Any, *, label: int | None = None) -> Kept:
        """A call that was allowed gave this."""
        self.call(tool, args)
        assert self.last is not None
        return self.flow.saw(self.last, value, now=self.clock(), label=label)

    def release(self, released: Any, *, by: str = "person", **change: Any) -> str:
        """A person releases a content to the public, for mail."""
        number = len(self.state.releases(self.tree))
        body: dict[str, Any] = {
            "axis": "confidentiality",
            "basis": "human_review",
            "by": by,
            "content": releases.commitment(released).hex(),
            "from": "secret",
            "id": world.hex16(f"release {number}"),
            "not_after": self.clock() + 600,
            "reason": "read it",
            "sinks": ["email_send"],
            "to": "public",
            "tree": self.tree,
            "v": 1,
            **change,
        }
        signer = change.pop("signer", by)
        body.pop("signer", None)
        self.state.add_release(self.tree, body["id"], releases.sign(body, world.secret(signer)))
        self.flow.forget()
        return str(body["id"])


def words(label: int) -> Any:
    return label_names.describe_label(label)


def owed(done: object) -> set[str]:
    assert isinstance(done, Ask), done
    return {o.id for o in done.obligations}


def code(done: object) -> str:
    assert isinstance(done, Deny), done
    return done.code


def ran(done: object) -> Permit:
    assert isinstance(done, Permit), done
    return done

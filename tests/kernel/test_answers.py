"""What a decision says, whole: every field of an Allow and of an Ask, and what is spent for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nucleus_tokens import approvals
from nucleus_tokens.header import Holder
from nucleus_tokens.names import operation
from nucleus_verifier.decision import Ask, Intent, Obligation, Spend
from nucleus_verifier.facts import Approver, Cell, Policy
from tests.support import world
from tests.support.judging import allowed, asked, denied, judge
from tests.support.world import NOW

WRITE = world.write()
TOKEN = world.narrow(world.mint(obligations=["write_files"]), ["exp", NOW + 9])
WALL, TREE = Cell(world.WALL, 3, 1), Cell("tree:other", 4, 0)


def test_all_that_an_allowed_call_commits() -> None:
    rid, nonce = "ab" * 16, "cd" * 16
    token = world.mint(
        world.all_levels(), ["budget", "calls", 9], ["budget", "tokens", 7],
        ancestors=[(rid, world.public("a"))],
    )  # fmt: skip
    token = world.narrow(token, ["exp", NOW + 99])
    call = world.read(costs={"tokens": 2, "bytes_out": 5})
    credential = world.request(token, call, nonce=nonce)
    prefix = world.opened(credential).prefix
    intent = allowed(
        judge(credential, call, channel="carried", arrived=NOW + 9, wall=WALL, tree=TREE)
    )
    assert intent == Intent(
        call=call,
        tid=world.hex16("tid"),
        rid=prefix.rids[1],
        rids=prefix.rids,
        ancestors=(rid,),
        nonce=(nonce, NOW + 9 + 120),
        spends=(Spend(f"{rid}/calls", 1, 9), Spend(f"{rid}/tokens", 2, 7)),
        cells=(WALL, TREE),
        expires=NOW + 99,
        discharged=(),
    )
    assert allowed(judge(token, call)).nonce is None


def test_all_that_is_asked() -> None:
    prefix = world.opened(TOKEN).prefix
    assert judge(TOKEN, WRITE, wall=WALL) == Ask(
        (Obligation("op:write_files", "write_files needs an approval under this token"),),
        world.hex16("tid"),
        prefix.rids[1],
        world.WALL,
        operation("write_files"),
        WRITE.digest,
    )


def test_why_each_thing_is_asked() -> None:
    token = world.mint(world.all_levels("low_risk"))

    def why(call: Any, **facts: Any) -> dict[str, str]:
        decision = judge(token, call, **facts)
        assert isinstance(decision, Ask)
        return dict(decision.obligations)

    assert why(WRITE) == {"input:/path": "nothing vouches for the argument /path"}
    bare = world.write(selectors=())
    assert why(bare) == {"input:": "nothing vouches for the argument list"}
    told = why(world.push(observed=1, ttl=1), **world.seen(3))
    assert told["gate:exposure"] == (
        "private data, untrusted content and a way out would meet in this session"
    )
    assert told["flow:freshness"] == "what would be written fails the sink's freshness rule"


def test_an_issuers_two_limits_for_one_unit_are_one_counter() -> None:
    for limits in ((9, 5), (5, 9)):
        token = world.mint(world.all_levels(), *(["budget", "calls", n] for n in limits))
        (spend,) = allowed(judge(token, WRITE)).spends
        assert (spend.amount, spend.limit) == (1, 5)


def test_an_approval_is_spent_once_and_only_if_it_adds_a_voice() -> None:
    one = world.approve(TOKEN, WRITE, ["op:write_files"], name="one")
    two = world.approve(TOKEN, WRITE, ["op:write_files"], name="two", approver="second")
    intent = allowed(judge(TOKEN, WRITE, approvals=(one, two)))
    assert [s.counter for s in intent.spends] == [f"approval:{world.hex16('one')}/uses"]
    both = allowed(
        judge(TOKEN, WRITE, approvals=(one, two), policy=Policy(quorum={WRITE.operation: 2}))
    )
    assert len(both.spends) == 2
    pattern = world.approve(TOKEN, [["tool", "in", ["fs.write"]]], ["op:write_files"], count=3)
    (spend,) = allowed(judge(TOKEN, WRITE, approvals=(pattern,))).spends
    assert spend == Spend(f"approval:{approvals.parse(pattern).id}/uses", 1, 3)


@pytest.mark.parametrize("name", ["read_files", "write_files", "git_push", "spawn_agent"])
def test_an_approver_speaks_for_his_operations_and_no_others(name: str) -> None:
    only = Approver(world.public("person"), 1 << operation(name))
    others = Approver(only.key, world.EVERY_OPERATION & ~only.operations)
    for approver in (only, others):
        keys = replace(world.KEYS, approvers={"person": approver})
        said = world.approve(TOKEN, WRITE, ["op:write_files"])
        decision = judge(TOKEN, WRITE, keys=keys, approvals=(said,))
        if (approver is only) == (name == "write_files"):
            allowed(decision)
        else:
            asked(decision)


# The connection says who is there only where the token asks for it ------------------------------


def test_whoever_holds_by_key_may_come_on_any_connection() -> None:
    token = world.mint()
    credential = world.request(token, WRITE)
    for peer in (None, "spiffe://test/somebody"):
        allowed(judge(credential, WRITE, channel="carried", peer=peer))


def test_whoever_holds_by_connection_signs_nothing() -> None:
    token = world.mint(holder=Holder("spiffe://test/agent", None))
    bare = world.request(token, WRITE).partition(".")[0]
    allowed(judge(bare, WRITE, like=token, channel="carried", peer="spiffe://test/agent"))
    denied(judge(bare, WRITE, like=token, channel="carried", peer="spiffe://x"), 5, "holder.peer")


# Flow -------------------------------------------------------------------------------------------


def test_a_release_that_is_not_valid() -> None:
    for call in (world.write(bad_declassification=True), world.fetch(bad_declassification=True)):
        denied(judge(world.mint(), call), 12, "flow.bad_declassification")


@pytest.mark.parametrize(
    ("observed", "ttl", "stale"),
    [(NOW - 1000, 0, False), (0, 0, False), (NOW - 1000, 500, True), (NOW - 10, 500, False)],
)
def test_what_was_seen_too_long_ago_is_asked_about(observed: int, ttl: int, stale: bool) -> None:
    fresh = world.push(observed=NOW, ttl=3600)
    call = world.push(observed=observed, ttl=ttl)
    before = {o for o in owed(fresh) if o.startswith("flow:")}
    assert {o for o in owed(call) if o.startswith("flow:")} - before == (
        {"flow:freshness"} if stale else set()
    )


def owed(call: Any) -> set[str]:
    return asked(judge(world.mint(obligations=["git_push"]), call))

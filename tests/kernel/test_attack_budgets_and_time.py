"""Somebody spends twice, spends less than nothing, outlives his token or its parents."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from nucleus_tokens.errors import CredentialError
from nucleus_tokens.limits import INTEGER
from nucleus_verifier import gather
from nucleus_verifier.facts import Call, Cell, Policy
from nucleus_verifier.ports import Snapshot
from tests.support import world
from tests.support.judging import allowed, asked, denied, judge
from tests.support.world import NOW

READ = world.read()


def priced(amount: int, unit: str = "micro_usd") -> Call:
    return world.read(costs={unit: amount})


def counter(token: Any, unit: str = "calls", prefix: int = -1) -> str:
    return f"{world.opened(token).prefix.rids[prefix]}/{unit}"


# Budgets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spent", "limit", "fits"),
    [(0, 1, True), (1, 1, False), (9, 10, True), (10, 10, False), (11, 10, False), (0, 0, False)],
)
def test_the_last_call_of_a_budget(spent: int, limit: int, fits: bool) -> None:
    token = world.narrow(world.mint(), ["budget", "calls", limit])
    decision = judge(token, READ, spent={counter(token): spent})
    if fits:
        assert (counter(token), 1, limit) in allowed(decision).spends
    else:
        denied(decision, 11, "budget.exhausted")


@pytest.mark.parametrize("cost", [-1, -(10**9), -INTEGER])
def test_a_negative_cost_earns_nothing(cost: int) -> None:
    token = world.narrow(world.mint(), ["budget", "micro_usd", 100])
    for spent in (0, 50, 100):
        decision = judge(token, priced(cost), spent={counter(token, "micro_usd"): spent})
        denied(decision, 11, "budget.exhausted")


def test_the_price_of_a_call_in_calls_is_one() -> None:
    """Whatever anybody says it costs."""
    token = world.narrow(world.mint(), ["budget", "calls", 1])
    for said in (0, -5, 100):
        intent = allowed(judge(token, priced(said, "calls")))
        assert [s.amount for s in intent.spends] == [1]


@pytest.mark.parametrize("cost", [101, 10**12, INTEGER, 2**200])
def test_a_huge_cost_does_not_wrap(cost: int) -> None:
    token = world.narrow(world.mint(), ["budget", "micro_usd", 100])
    denied(judge(token, priced(cost)), 11, "budget.exhausted")


def test_huge_limits_and_huge_debts() -> None:
    token = world.narrow(world.mint(), ["budget", "calls", INTEGER])
    allowed(judge(token, READ, spent={counter(token): INTEGER - 1}))
    for spent in (INTEGER, 2**70, -1, -INTEGER):
        denied(judge(token, READ, spent={counter(token): spent}), 11, "budget.exhausted")


@pytest.mark.parametrize("amount", [-1, INTEGER + 1, 1.5, "1", True, None])
def test_a_budget_that_is_no_amount(amount: Any) -> None:
    with pytest.raises(CredentialError):
        world.narrow(world.mint(), ["budget", "calls", amount])


def test_a_counter_nobody_can_read_is_used_up() -> None:
    token = world.narrow(world.mint(), ["budget", "calls", 5])
    facts = replace(world.facts(token), spent={})
    denied(world.World(world.text(token), READ, facts).decide(), 11, "budget.unknown")


def test_siblings_share_what_their_parent_may_spend() -> None:
    """The counter belongs to the caveat that set it, so every descendant spends from it."""
    parent = world.narrow(world.mint(), ["budget", "calls", 2])
    one = world.narrow(parent, ["link", "00" * 16], ["budget", "calls", 1])
    two = world.narrow(parent, ["link", "11" * 16], ["budget", "calls", 1])
    ids = [{s.counter for s in allowed(judge(t, READ)).spends} for t in (one, two)]
    assert ids[0] & ids[1] == {counter(parent)}
    denied(judge(one, READ, spent={counter(parent): 2}), 11, "budget.exhausted")


def test_a_child_cannot_set_itself_a_wider_budget() -> None:
    token = world.narrow(world.mint(), ["budget", "calls", 1])
    child = world.narrow(token, ["budget", "calls", 100], ["budget", "calls", INTEGER])
    denied(judge(child, READ, spent={counter(token): 1}), 11, "budget.exhausted")


def test_every_unit_of_every_budget_counts() -> None:
    token = world.narrow(
        world.mint(), ["budget", "calls", 9], ["budget", "micro_usd", 5], ["budget", "tokens", 5]
    )
    allowed(judge(token, world.read(costs={"micro_usd": 5, "tokens": 5})))
    for unit in ("micro_usd", "tokens"):
        denied(judge(token, priced(6, unit)), 11, "budget.exhausted")


def test_what_an_exchange_carries_over_keeps_its_counter() -> None:
    """The original rid: were it this header's, an Exchange would refill every budget."""
    original = world.hex16("original")
    token = world.mint(narrowed=[(original, ["budget", "calls", 3])])
    assert allowed(judge(token, READ)).spends == ((f"{original}/calls", 1, 3),)
    denied(judge(token, READ, spent={f"{original}/calls": 3}), 11, "budget.exhausted")
    twice = world.mint(
        narrowed=[(original, ["budget", "calls", 3])],
        tid=world.hex16("t2"),
        root_key=world.secret("2"),
    )
    assert allowed(judge(twice, READ)).spends == allowed(judge(token, READ)).spends


def test_what_an_exchanged_token_is_judged_by_is_its_whole_trees() -> None:
    """Its counters, its cell, its revocations: as of the token that it was exchanged for."""
    ancestors = [(world.hex16(name), world.public(name)) for name in ("root", "hop")]
    root = ancestors[0][0]
    minted = world.mint(world.all_levels(), ["budget", "calls", 3], ancestors=ancestors)
    token = world.narrow(minted, ["link", "00" * 16])
    assert allowed(judge(token, READ)).spends == ((f"{root}/calls", 1, 3),)
    credential = world.opened(token)
    wanted = gather.wanted(credential, "wall:1")
    assert (wanted.wall, wanted.tree) == ("wall:1", f"tree:{root}")
    assert (wanted.rids, wanted.rid) == (credential.prefix.rids, credential.prefix.rids[-1])
    assert wanted.ancestors == tuple(rid for rid, _ in ancestors)
    assert wanted.counters == (f"{root}/calls",)
    fresh = world.opened(world.mint())
    assert gather.tree_cell(fresh) == f"tree:{fresh.prefix.rids[0]}"


def test_what_was_read_is_what_is_judged_by() -> None:
    """Nothing that speaks against a call is lost between the store and the decision."""
    snapshot = Snapshot(
        now=7, clock_ok=False, lease_ok=False, nonce_seen=True, revoked=frozenset({"a"}),
        spent={"b": 1}, wall=Cell("w", 1, 1), tree=Cell("t", 2, 2), approvals=(b"c",),
        revocation_seq=3,
    )  # fmt: skip
    facts = gather.facts(
        world.KEYS, snapshot, arrived=5, instance="i", channel="carried", peer="p",
        policy=Policy("evidence", 4), evidence=frozenset({"/e"}),
    )  # fmt: skip
    for field in fields(snapshot):
        if field.name != "revocation_seq":
            assert getattr(facts, field.name) == getattr(snapshot, field.name), field.name
    assert (facts.keys, facts.arrived, facts.instance) == (world.KEYS, 5, "i")
    assert (facts.channel, facts.peer, facts.evidence) == ("carried", "p", {"/e"})
    assert facts.policy == Policy("evidence", 4)


def test_an_account_outlives_its_tokens() -> None:
    """Issued again, under another tid and key: the account is the same."""
    account = ("team", {"calls": 3, "micro_usd": 10})
    ids = set()
    for name in ("a", "b"):
        token = world.mint(tid=world.hex16(name), root_key=world.secret(name), account=account)
        ids.add(tuple(s.counter for s in allowed(judge(token, READ)).spends))
        denied(judge(token, READ, spent={"account:team/calls": 3}), 11, "budget.exhausted")
        denied(judge(token, priced(11)), 11, "budget.exhausted")
        denied(judge(token, priced(-1)), 11, "budget.exhausted")
        facts = replace(world.facts(token), spent={})
        denied(world.World(world.text(token), READ, facts).decide(), 11, "budget.unknown")
    assert ids == {("account:team/calls", "account:team/micro_usd")}


def test_an_ask_spends_nothing() -> None:
    """Only an Allow has an intent; an Ask and a Deny have nowhere to put a spend."""
    token = world.narrow(world.mint(obligations=["read_files"]), ["budget", "calls", 1])
    decision = judge(token, READ)
    asked(decision)
    assert not hasattr(decision, "intent")


# Revocation -----------------------------------------------------------------------------------


def test_revoking_any_prefix_kills_all_below_it() -> None:
    token = world.narrow(world.mint(), ["exp", NOW + 99], ["nbf", 0], ["link", "00" * 16])
    rids = world.opened(token).prefix.rids
    assert len(set(rids)) == 4
    for rid in rids:
        denied(judge(token, READ, revoked=frozenset((rid,))), 6, "token.revoked")
    sibling = world.narrow(world.mint(), ["exp", NOW + 99], ["nbf", 0], ["link", "11" * 16])
    allowed(judge(sibling, READ, revoked=frozenset((rids[-1],))))


def test_revoking_a_child_leaves_its_parent() -> None:
    parent = world.narrow(world.mint(), ["exp", NOW + 99])
    child = world.narrow(parent, ["link", "00" * 16])
    rid = world.opened(child).prefix.rids[-1]
    allowed(judge(parent, READ, revoked=frozenset((rid,))))
    denied(judge(child, READ, revoked=frozenset((rid,))), 6, "token.revoked")


def test_revoking_what_a_token_was_exchanged_for() -> None:
    ancestors = [(world.hex16(name), world.public(name)) for name in ("root", "hop")]
    token = world.narrow(world.mint(ancestors=ancestors), ["link", "00" * 16])
    allowed(judge(token, READ))
    for rid, _ in ancestors:
        denied(judge(token, READ, revoked=frozenset((rid,))), 6, "token.revoked")


def test_a_request_changes_no_rid() -> None:
    token = world.narrow(world.mint(), ["link", "00" * 16])
    rid = world.opened(token).prefix.rids[-1]
    credential = world.request(token, READ)
    assert world.opened(credential).prefix.rids[-1] == rid
    decision = judge(credential, READ, revoked=frozenset((rid,)), channel="carried")
    denied(decision, 6, "token.revoked")


def test_without_a_fresh_list_nothing_is_allowed() -> None:
    denied(judge(world.mint(), READ, lease_ok=False), 6, "revocation.stale")


# Time -----------------------------------------------------------------------------------------


def test_an_end_has_no_grace() -> None:
    token = world.narrow(world.mint(), ["exp", NOW])
    denied(judge(token, READ), 7, "token.expired")
    allowed(judge(token, READ, now=NOW - 1))
    later = world.narrow(token, ["exp", NOW + 10**6])
    denied(judge(later, READ), 7, "token.expired")
    denied(judge(world.mint(exp=NOW), READ), 7, "token.expired")


def test_a_beginning_has_a_minute() -> None:
    """The skew of two honest clocks; it is never added to an end."""
    for start, ok in ((NOW + 60, True), (NOW + 61, False)):
        narrowed = judge(world.narrow(world.mint(), ["nbf", start]), READ)
        issued = judge(world.mint(iat=start), READ)
        for decision in (narrowed, issued):
            if ok:
                allowed(decision)
            else:
                denied(decision, 7, "token.not_yet_valid")


def test_beginnings_meet_in_the_latest_and_ends_in_the_earliest() -> None:
    """In either order: what comes later in the chain does not replace what came before."""
    for first, second in ((NOW + 99, NOW - 99), (NOW - 99, NOW + 99)):
        token = world.narrow(world.mint(), ["nbf", first], ["nbf", second])
        denied(judge(token, READ), 7, "token.not_yet_valid")
        token = world.narrow(world.mint(), ["exp", first], ["exp", second])
        denied(judge(token, READ), 7, "token.expired")


def test_a_clock_that_stepped_back_allows_nothing() -> None:
    denied(judge(world.mint(), READ, clock_ok=False), 7, "clock.stepped_back")
    denied(judge(world.mint(), READ, now=0), 7, "token.not_yet_valid")


def test_the_intent_ends_when_its_authority_does() -> None:
    token = world.narrow(world.mint(exp=NOW + 500), ["exp", NOW + 100], ["exp", NOW + 300])
    assert allowed(judge(token, READ)).expires == NOW + 100


# Exposure -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["wall", "tree"])
def test_an_exposure_limit_holds_in_both_cells(cell: str) -> None:
    """What only the wall has seen, and what only the delegation tree has seen, both count."""
    token = world.narrow(world.mint(), ["exposure", ["private_data"]])
    for bits in range(8):
        seen: dict[str, Any] = {cell: Cell(f"{cell}:test", 0, bits)}
        decision = judge(token, READ, **seen)
        if bits & ~1:
            denied(decision, 9, "exposure.exceeded")
        else:
            allowed(decision)


def test_exposure_limits_meet() -> None:
    token = world.narrow(
        world.mint(), ["exposure", ["private_data"]], ["exposure", ["untrusted_content"]]
    )
    allowed(judge(token, READ))
    for bits in (1, 2, 4):
        denied(judge(token, READ, **world.seen(bits)), 9, "exposure.exceeded")


def test_three_legs_meet_across_the_two_cells() -> None:
    """Private in one, untrusted in the other: together with a way out they are complete."""
    token = world.mint(world.levels(web_fetch="always"))
    split: dict[str, Any] = {"wall": Cell(world.WALL, 0, 1), "tree": Cell("tree:test", 0, 2)}
    fetch = world.fetch()
    assert asked(judge(token, fetch, **split)) == {"gate:exposure"}
    other: dict[str, Any] = {"wall": Cell(world.WALL, 0, 2), "tree": Cell("tree:test", 0, 1)}
    assert asked(judge(token, fetch, **other)) == {"gate:exposure"}
    assert asked(judge(token, fetch, **world.seen(1))) == {"gate:exposure"}  # the page is the third
    allowed(judge(token, fetch, **world.seen(2)))


@pytest.mark.parametrize("sink", [-1, 19, 31, 10**6])
def test_a_sink_nobody_listed(sink: int) -> None:
    denied(judge(world.mint(), world.read(sink=sink)), 12, "flow.unknown_sink")


def test_both_cells_rise_by_what_the_call_leaves_behind() -> None:
    intent = allowed(judge(world.mint(), READ, **world.seen(0)))
    assert intent.call.records == 1
    assert [c.id for c in intent.cells] == [world.WALL, "tree:test"]

"""Exchange: what is carried over, for whom, and that no chain of them is ever wider."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_issuer.exchanging import Exchanger
from nucleus_tokens import canonical, chain, exchanges, header, holding
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import NucleusError
from nucleus_tokens.header import Holder
from nucleus_verifier import gather
from nucleus_verifier.clear import clear
from nucleus_verifier.decision import Allow, Ask, Decision, Deny
from nucleus_verifier.facts import Call, Cell, Facts
from nucleus_verifier.verdict import ALLOW, ASK, DENY
from tests.issuer.host import Drawing, Host
from tests.issuer.making import SCALE, Clock
from tests.support import world
from tests.support.calls import KINDS, random_call, random_caveat, varied
from tests.support.chains import random_policy
from tests.support.memory_inventory import MemoryInventory

READ = world.read()


@pytest.fixture
def handed(host: Host) -> UnverifiedToken:
    """A token with one of each that an exchange treats in a way of its own."""
    _, root = host.issue(
        ceil=(world.levels(read_files="always", git_push="low_risk"), ["budget", "calls", 9]),
        obligations=["git_push"],
        account=("team", {"micro_usd": 50}),
    )
    narrow = world.narrow(root, ["exp", world.NOW + 600], ["budget", "calls", 5])
    return world.narrow(world.hand(narrow, depth=3), ["approve", ["read_files"]])


def test_what_the_issuer_said_stays_and_what_was_appended_is_carried_over(
    host: Host, handed: UnverifiedToken
) -> None:
    before = world.opened(handed).prefix
    _, made = host.exchange(handed, "sub")
    old, new = before.opened.header, world.opened(made, world.KEYS_ELSEWHERE).prefix.opened.header
    for same in ("ceil", "exp", "sub", "obligations", "account"):
        assert getattr(new, same) == getattr(old, same), same
    assert (new.aud, new.akid) == (world.ELSEWHERE.name, world.ELSEWHERE.akid)
    assert new.tid != old.tid
    assert (new.holder, new.depth) == (before.holder, 3)
    kept = [i for i, raw in enumerate(before.raw, 1) if canonical.decode(raw)[0] != "delegate"]
    assert [rid for rid, _ in new.narrowed] == [before.rids[i] for i in kept]
    assert new.ancestors == (before.rids[0], before.rids[3]), "rid 0 and the hop"
    assert new.earlier == (world.public("agent"), world.public("sub"))


def test_budgets_keep_their_counters_and_the_exposure_its_cell(
    host: Host, handed: UnverifiedToken
) -> None:
    _, made = host.exchange(handed, "sub")
    _, again = host.exchange(handed, "sub", nonce="another")
    first = gather.wanted(world.opened(handed), world.WALL)
    for exchanged in (made, again):
        shown = gather.wanted(world.opened(exchanged, world.KEYS_ELSEWHERE), world.WALL)
        assert set(shown.counters) == set(first.counters)
        assert shown.tree == first.tree


def test_it_is_in_the_inventory_with_all_it_came_from(host: Host, handed: UnverifiedToken) -> None:
    minted, _ = host.exchange(handed, "sub")
    known = host.store.issued(minted.tid)
    assert known is not None
    assert set(known.ancestors) == set(world.opened(handed).prefix.rids)
    assert known.aud == world.ELSEWHERE.name
    for rid in known.ancestors:
        assert host.store.link(rid) is not None, "an operator can revoke it by name"


def test_an_exchange_of_an_exchange_remembers_everything(
    host: Host, handed: UnverifiedToken
) -> None:
    _, made = host.exchange(handed, "sub")
    further = world.hand(world.narrow(made, ["nbf", 1]), "sub", "third", depth=1)
    # ELSEWHERE names itself again: what matters is the header.
    minted, last = host.exchange(further, "third", nonce="further")
    fields = world.opened(last, world.KEYS_ELSEWHERE).prefix.opened.header
    assert fields.earlier == tuple(map(world.public, ("agent", "sub", "sub", "third")))
    assert len(fields.narrowed) == 4
    known = host.store.issued(minted.tid)
    assert known is not None
    assert set(known.ancestors) >= {*world.opened(handed).prefix.rids}
    counters = gather.wanted(world.opened(last, world.KEYS_ELSEWHERE), world.WALL).counters
    assert set(counters) == set(gather.wanted(world.opened(handed), world.WALL).counters)


def test_its_holder_can_use_narrow_and_hand_it_on(host: Host) -> None:
    _, root = host.issue(depth=1)
    _, made = host.exchange(root)
    handed = world.hand(world.narrow(made, ["tool", "in", ["fs.*"]]), taker="sub", depth=0)
    assert isinstance(host.judge(handed, READ, world.KEYS_ELSEWHERE), Allow)
    assert isinstance(host.judge(handed, world.fetch(), world.KEYS_ELSEWHERE), Deny)


def test_it_expires_when_the_token_would_have(host: Host) -> None:
    _, root = host.issue()
    _, made = host.exchange(world.narrow(root, ["exp", world.NOW + 60]))
    host.clock.now += 60
    decision = host.judge(made, READ, world.KEYS_ELSEWHERE)
    assert isinstance(decision, Deny)
    assert decision.code == "token.expired"


def test_a_clock_that_is_behind_makes_nothing_valid_sooner(host: Host) -> None:
    _, root = host.issue()
    issued = header.parse(root.identifier).iat
    host.clock.now -= 1000
    _, made = host.exchange(root)
    assert header.parse(made.identifier).iat == issued


def test_more_than_a_header_holds_is_refused_in_one_sentence(host: Host) -> None:
    _, root = host.issue()
    many = world.narrow(root, *(["nbf", n] for n in range(64)))
    _, made = host.exchange(many)
    long = world.narrow(root, *(["tool", "in", ["fs.*", "z" * 800]] for _ in range(5)))
    for token, nonce in ((world.narrow(made, ["nbf", 65]), "a"), (long, "b")):
        with pytest.raises(NucleusError) as caught:
            host.exchange(token, nonce=nonce)
        assert caught.value.code == "exchange.too_large"


# The law: never wider ---------------------------------------------------------------------------


def _verdict(decision: Decision) -> int:
    return {Allow: ALLOW, Ask: ASK, Deny: DENY}[type(decision)]


def _facts(r: Random, call: Call, tree: str, counters: Iterable[str]) -> Facts:
    # In the tokens' own order: a counter's name follows from seals, which differ between runs.
    return Facts(
        keys=world.KEYS,
        now=world.NOW + r.choice((0, 0, 0, 0, 1, 700, -60)),
        arrived=world.NOW,
        instance=world.INSTANCE,
        channel="held",
        peer=None,
        clock_ok=True,
        lease_ok=True,
        nonce_seen=False,
        revoked=frozenset(),
        spent={counter: r.choice((0, 0, 0, 1, 4)) for counter in counters},
        wall=Cell(world.WALL, 0, r.choice((0, 0, 1, 3))),
        tree=Cell(tree, 0, r.choice((0, 0, 1, 3))),
        evidence=frozenset(s.pointer for s in call.selectors if r.random() < 0.7),
        policy=random_policy(r, call),
    )


def _approved(
    facts: Facts, token: UnverifiedToken, keys: Any, call: Call, asked: Ask, people: list[str]
) -> Facts:
    """The facts with these people's approvals of all that is owed, for this very token."""
    credential = world.opened(token, keys)
    said = tuple(
        world.approve(credential, call, [o.id for o in asked.obligations], approver=p, name=p)
        for p in people
    )
    uses = {f"approval:{world.hex16(p)}/uses": 0 for p in people}
    return replace(facts, approvals=said, spent={**facts.spent, **uses}, keys=keys)


@settings(max_examples=250 * SCALE)
@given(st.randoms(use_true_random=False))
def test_an_exchanged_token_decides_exactly_as_the_one_it_came_from(r: Random) -> None:
    """Never wider, and nothing lost: for the same facts and the same people's approvals, the same
    verdict. Only what names the token itself (an approval given before) does not carry over."""
    people = {**world.KEYS.approvers, "sub": replace(world.KEYS.approvers["person"])}
    here = replace(world.KEYS, approvers=people)
    there = replace(world.KEYS_ELSEWHERE, approvers=people)
    home = random_call(r)
    ceil = [world.all_levels(r.choice(("low_risk", "always")))]
    ceil += [random_caveat(r, r.choice(("path", "arg", "budget", "cap")), home)] * r.randrange(2)
    inventory = MemoryInventory()
    token = world.mint(*ceil, obligations=r.choice(([], ["git_push", "read_files"])))
    inventory.adopt(token)
    holder, depth = "agent", 4
    exchanger = _exchanger(inventory)
    original = exchanged = token
    for _ in range(r.randrange(1, 7)):
        kind = r.choice(KINDS)
        if kind == "delegate" and depth:
            depth, taker = depth - 1, r.choice(("sub", "person", "third"))
            original = world.hand(original, holder, taker, depth=depth)
            exchanged = world.hand(exchanged, holder, taker, depth=depth)
            holder = taker
        elif kind != "delegate":
            caveat = random_caveat(r, kind, home)
            original = world.narrow(original, caveat)
            exchanged = world.narrow(exchanged, caveat)
        if r.random() < 0.4:
            exchanged = _exchanged(exchanger, exchanged, holder, r)
    exchanged = _exchanged(exchanger, exchanged, holder, r)
    if header.parse(exchanged.identifier).aud != world.ELSEWHERE.name:
        return
    one, other = world.opened(original, here), world.opened(exchanged, there)
    tree = gather.tree_cell(one)
    assert gather.tree_cell(other) == tree
    shown = dict.fromkeys(gather.wanted(one, world.WALL).counters)
    inherited = dict.fromkeys(gather.wanted(other, world.WALL).counters)
    for _ in range(4):
        call = varied(r, home)
        facts = _facts(r, call, tree, shown | inherited)
        # What was appended after an exchange stands on another prefix: it counts for itself.
        own = dict.fromkeys(shown.keys() ^ inherited.keys(), 0)
        facts = replace(facts, spent={**facts.spent, **own})
        was, now = clear(one, call, facts), clear(other, call, replace(facts, keys=there))
        assert _verdict(was) == _verdict(now), (was, now)
        if isinstance(was, Ask) and isinstance(now, Ask):
            assert [o.id for o in was.obligations] == [o.id for o in now.obligations]
            voices = r.sample(("person", "second", "sub"), 2)
            agreed = clear(one, call, _approved(facts, original, here, call, was, voices))
            again = clear(other, call, _approved(facts, exchanged, there, call, now, voices))
            assert _verdict(agreed) == _verdict(again), voices


def _exchanger(inventory: MemoryInventory) -> Exchanger:
    host = Host(store=None, clock=Clock(world.NOW))  # type: ignore[arg-type]  # for its opener
    audiences = {each.name: each for each in (world.AUDIENCE, world.ELSEWHERE)}
    return Exchanger(
        world.SIGNER, host.opener, inventory, audiences.__getitem__,
        clock=Clock(world.NOW - 59), random=Drawing(),
    )  # fmt: skip


def _exchanged(
    exchanger: Exchanger, token: UnverifiedToken, holder: str, r: Random
) -> UnverifiedToken:
    statement = exchanges.write(
        token, world.secret(holder), audience=world.ELSEWHERE.name, nonce=r.randbytes(16).hex()
    )
    try:
        return holding.read_token(exchanger.exchange(token, statement).text)
    except NucleusError as refused:
        # Expired by its own caveat, or grown too large: then there is nothing to compare.
        if refused.code in ("token.expired", "exchange.too_large"):
            return token
        raise


def test_the_holder_must_have_a_key(host: Host) -> None:
    _, named = host.issue(holder=Holder("spiffe://example.org/a", None), depth=0)
    _, bearer = host.issue(holder=world.BEARER, bearer=True, depth=0)
    for token, code in ((named, "exchange.no_key"), (bearer, "exchange.bearer")):
        with pytest.raises(NucleusError) as caught:
            host.exchange(token)
        assert caught.value.code == code


def test_a_holder_that_is_also_a_spiffe_id_asks_on_its_connection(host: Host) -> None:
    spiffe = "spiffe://example.org/a"
    _, token = host.issue(holder=Holder(spiffe, world.public("agent")))
    statement = exchanges.write(
        token, world.secret("agent"), audience=world.ELSEWHERE.name, nonce=world.hex16("n")
    )
    for peer in (None, "spiffe://example.org/b"):
        with pytest.raises(NucleusError) as caught:
            host.exchanger.exchange(token, statement, peer=peer)
        assert caught.value.code == "exchange.peer"
    made = host.exchanger.exchange(token, statement, peer=spiffe)
    assert header.parse(holding.read_token(made.text).identifier).holder.spiffe == spiffe
    assert chain.rid(holding.read_token(made.text).tag) == made.rid

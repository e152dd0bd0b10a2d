"""Attacks on Exchange: to get more, to keep it longer, to ask in another's name, or to flood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Barrier, Thread
from typing import Any

import pytest

from nucleus_tokens import chain, crypto, exchanges, header, holding, writing
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import NucleusError
from nucleus_tokens.limits import EXCHANGES_PER_TREE
from nucleus_verifier import gather
from nucleus_verifier.clear import clear
from nucleus_verifier.commit import Permit, commit
from nucleus_verifier.decision import Allow, Ask, Deny
from nucleus_verifier.facts import Call
from tests.issuer.host import Host
from tests.support import world

READ = world.read()
THERE = world.KEYS_ELSEWHERE


def code_of(use: Callable[[], object]) -> str:
    with pytest.raises(NucleusError) as caught:
        use()
    return caught.value.code


def refused(host: Host, token: UnverifiedToken, call: Call = READ) -> str:
    decision = host.judge(token, call, THERE)
    assert isinstance(decision, Deny), decision
    return decision.code


def asked(host: Host, token: UnverifiedToken, statement: bytes) -> Callable[[], object]:
    return lambda: host.exchanger.exchange(token, statement)


def statement(token: UnverifiedToken, holder: str = "agent", **change: Any) -> bytes:
    given = {"audience": world.ELSEWHERE.name, "nonce": world.hex16("nonce"), **change}
    return exchanges.write(token, world.secret(holder), **given)


# In another's name ------------------------------------------------------------------------------


def test_only_the_current_holder_asks(host: Host) -> None:
    """Whoever handed it on holds the wider token; the narrower one is no longer theirs."""
    _, root = host.issue()
    token = world.hand(root)
    for who in ("agent", "stranger", "person", "issuer"):
        assert code_of(asked(host, token, statement(token, who))) == "exchange.signature", who


def test_a_statement_is_for_one_prefix(host: Host) -> None:
    """A statement about the wide token must not turn the narrow one into it, nor the reverse."""
    _, wide = host.issue()
    narrow = world.narrow(wide, ["path", "in", ["/srv"]])
    assert code_of(asked(host, narrow, statement(wide))) == "exchange.signature"
    assert code_of(asked(host, wide, statement(narrow))) == "exchange.signature"


def test_a_statement_is_for_one_audience_and_one_nonce(host: Host) -> None:
    _, token = host.issue()
    good = statement(token)
    for other in (
        statement(token, audience=world.AUDIENCE.name),
        statement(token, nonce=world.hex16("other")),
    ):
        spliced = good[: crypto.SIGNATURE_BYTES] + other[crypto.SIGNATURE_BYTES :]
        assert code_of(asked(host, token, spliced)) == "exchange.signature"


def test_what_else_a_holder_signed_is_no_statement(host: Host) -> None:
    """A request's proof, a delegation and an approval are signed under other domains."""
    _, token = host.issue()
    body = statement(token)[crypto.SIGNATURE_BYTES :]
    for domain in (b"nucleus/proof/v1\0", b"nucleus/delegate/v1\0", b"nucleus/approval/v1\0", b""):
        signature = crypto.sign(world.secret("agent"), domain + body)
        assert code_of(asked(host, token, signature + body)) == "exchange.signature"


def test_a_stolen_statement_makes_nothing_for_its_thief(host: Host) -> None:
    """What comes out belongs to the same holder, so the thief cannot use it; and only once."""
    _, token = host.issue()
    stolen = statement(token)
    made = host.exchanger.exchange(token, stolen)
    assert header.parse(holding.read_token(made.text).identifier).holder == world.AGENT
    assert code_of(asked(host, token, stolen)) == "token.already_issued"


def test_a_request_is_not_exchanged(host: Host) -> None:
    """A stolen request is good for one call; it must not become a token."""
    _, token = host.issue()
    bound = chain.read_credential(world.request(token, READ)).token
    for about in (bound, token):
        assert code_of(asked(host, bound, statement(about))) == "token.sealed"


def test_a_chain_that_does_not_hold_is_not_exchanged(host: Host) -> None:
    _, root = host.issue()
    token = world.narrow(root, ["path", "in", ["/srv"]], ["exp", world.NOW + 9])
    for caveats in (token.caveats[:1], token.caveats[::-1], ()):
        forged = UnverifiedToken(token.identifier, caveats, token.tag)
        assert code_of(asked(host, forged, statement(forged))) == "token.forged"


def test_a_token_of_another_issuer_or_of_nobody(host: Host) -> None:
    foreign = world.mint(signer=replace(world.SIGNER, kid="k2"))
    assert code_of(asked(host, foreign, statement(foreign))) == "token.other_issuer"
    unrecorded = world.mint()
    assert code_of(asked(host, unrecorded, statement(unrecorded))) == "token.unknown"


def test_an_audience_nobody_registered(host: Host) -> None:
    _, token = host.issue()
    with pytest.raises(KeyError):
        asked(host, token, statement(token, audience="proxy:invented"))()


# To get more ------------------------------------------------------------------------------------


def test_what_was_appended_is_not_shed(host: Host) -> None:
    _, root = host.issue()
    token = world.narrow(
        world.hand(world.narrow(root, ["path", "in", ["/srv/data"]])),
        ["exposure", ["private_data"]], ["approve", ["write_files"]], ["exp", world.NOW + 60],
    )  # fmt: skip
    _, made = host.exchange(token, "sub")
    assert refused(host, made, world.read("/etc/passwd")) == "scope.outside"
    assert isinstance(host.judge(made, world.write(), THERE), Ask)
    host.store.open_cell(gather.tree_cell(world.opened(token)), 2)
    assert refused(host, made) == "exposure.exceeded"


def test_a_broken_audience_and_a_holder_do_not_shed_what_the_issuer_appended(host: Host) -> None:
    """The audience knows the root key, so it can start the chain anew at the ceiling. For itself
    that is said in the guarantees; an exchange would carry it to everybody else."""
    _, token = host.issue(extra=[["approve", ["read_files"]]])
    root_key = header.open_seal(
        header.parse(token.identifier).seal_audience, world.secret("audience"),
        world.AUDIENCE.public,
    )  # fmt: skip
    bare = UnverifiedToken(token.identifier, (), chain.first_tag(root_key, token.identifier))
    assert isinstance(host.judge(bare, READ), Allow), "at the broken audience it passes"
    for forged in (bare, writing.append(bare, b'["approve",["git_push"]]')):
        assert code_of(asked(host, forged, statement(forged))) == "exchange.altered"
    _, made = host.exchange(token)
    assert isinstance(host.judge(made, READ, THERE), Ask)


def test_a_broken_audience_does_not_free_a_delegate(host: Host) -> None:
    """The delegation covers what stands before it, whoever knows the root key."""
    _, root = host.issue()
    token = world.hand(world.narrow(root, ["path", "in", ["/srv/data"]]))
    root_key = header.open_seal(
        header.parse(token.identifier).seal_audience, world.secret("audience"),
        world.AUDIENCE.public,
    )  # fmt: skip
    bare = UnverifiedToken(token.identifier, (), chain.first_tag(root_key, token.identifier))
    forged = writing.append(bare, token.caveats[1])
    assert code_of(asked(host, forged, statement(forged, "sub"))) == "delegate.signature"


def spend(host: Host, token: UnverifiedToken, keys: Any) -> bool:
    facts = host.look(token, keys)
    decision = clear(world.opened(token, keys), READ, facts)
    if isinstance(decision, Deny):
        assert decision.code == "budget.exhausted", decision
        return False
    assert isinstance(decision, Allow), decision
    return isinstance(commit(decision.intent, host.store, {"type": "decision"}), Permit)


@pytest.mark.parametrize("where", ["ceil", "appended", "account"])
def test_a_budget_is_not_refilled(host: Host, where: str) -> None:
    """Five calls are five calls, over the token and all it was exchanged for."""
    budget = ["budget", "calls", 5]
    given: dict[str, Any] = {
        "ceil": {"ceil": (world.all_levels(), budget)},
        "appended": {"extra": ()},
        "account": {"account": ("team", {"calls": 5})},
    }[where]
    _, token = host.issue(**given)
    if where == "appended":
        token = world.narrow(token, budget)
    made = [host.exchange(token, nonce=f"{n}")[1] for n in range(3)]
    last = made[0]
    for n in range(3):
        last = host.exchange(last, nonce=f"again {n}")[1]
    tokens = [(token, world.KEYS), *((each, THERE) for each in (*made, last))]
    assert sum(spend(host, *tokens[n % 5]) for n in range(20)) == 5


def test_a_session_that_saw_too_much_does_not_start_anew(host: Host) -> None:
    """The exposure of the tree stays with what is exchanged, in both directions."""
    _, token = host.issue()
    _, made = host.exchange(token)
    cell = gather.tree_cell(world.opened(token))
    host.store.open_cell(cell, 3)
    assert host.look(made, THERE).tree.bits == 3
    page = world.fetch()
    assert isinstance(host.judge(token, page), Ask)
    assert isinstance(host.judge(made, page, THERE), Ask)


def test_nobody_who_held_it_before_approves_it(host: Host) -> None:
    """Exchanged, the chain of holders starts anew: the header says who was in the old one."""
    _, root = host.issue(ceil=(world.all_levels(),), obligations=["read_files"])
    token = world.hand(world.hand(root, taker="person", depth=3), "person", "sub", depth=2)
    _, made = host.exchange(token, "sub")
    for approver, answer in (("person", Ask), ("second", Allow)):
        credential = world.opened(made, THERE)
        facts = world.facts(
            credential, keys=THERE,
            approvals=(world.approve(credential, READ, ["op:read_files"], approver=approver),),
        )  # fmt: skip
        assert isinstance(clear(credential, READ, facts), answer), approver


def test_an_approval_of_the_old_token_does_not_serve_the_new_one(host: Host) -> None:
    _, token = host.issue(obligations=["read_files"])
    old = world.opened(token)
    agreed = world.approve(old, READ, ["op:read_files"])
    assert isinstance(clear(old, READ, world.facts(old, approvals=(agreed,))), Allow)
    new = world.opened(host.exchange(token)[1], THERE)
    facts = world.facts(new, keys=THERE, approvals=(agreed,))
    assert isinstance(clear(new, READ, facts), Ask)


def test_depth_is_not_won_back(host: Host) -> None:
    _, root = host.issue(depth=1)
    token = world.hand(root, depth=0)
    _, made = host.exchange(token, "sub")
    assert header.parse(made.identifier).depth == 0
    deeper = writing.append(
        made, *world.hand(made, "sub", "third", depth=0).caveats[len(made.caveats) :]
    )
    with pytest.raises(AssertionError, match=r"delegate\.depth"):
        world.opened(deeper, THERE)


def test_the_old_audience_does_not_take_the_new_token(host: Host) -> None:
    _, token = host.issue()
    with pytest.raises(AssertionError, match=r"audience\.unknown"):
        world.opened(host.exchange(token)[1], world.KEYS)


# To keep it longer ------------------------------------------------------------------------------


@pytest.fixture
def deep(host: Host) -> UnverifiedToken:
    _, root = host.issue(extra=[["nbf", 1]])
    token = world.hand(world.narrow(root, ["link", world.hex16("a")]), depth=3)
    return world.narrow(token, ["link", world.hex16("b")])


@pytest.mark.parametrize("place", range(5))
def test_revoking_anything_it_came_from_kills_it(
    host: Host, deep: UnverifiedToken, place: int
) -> None:
    """Also the exchange of the exchange, and also by a prefix that `ancestors` does not name."""
    rids = world.opened(deep).prefix.rids
    _, first = host.exchange(deep, "sub")
    _, second = host.exchange(world.narrow(first, ["nbf", 2]), "sub", nonce="second")
    assert isinstance(host.judge(second, READ, THERE), Allow)
    host.revoker.revoke(rids[place], by="operator")
    assert refused(host, first) == refused(host, second) == "token.revoked"


@pytest.mark.parametrize("place", range(5))
def test_what_is_revoked_is_not_exchanged(host: Host, deep: UnverifiedToken, place: int) -> None:
    rids = world.opened(deep).prefix.rids
    host.store.note_links(host.opener.open(world.text(deep)).links)
    host.revoker.revoke(rids[place], by="operator")
    assert code_of(asked(host, deep, statement(deep, "sub"))) == "token.revoked"
    assert len(host.store.inventory()) == 1, "and nothing was recorded"


def test_an_exchanged_token_whose_origin_is_revoked_is_not_exchanged(host: Host) -> None:
    _, token = host.issue()
    minted, first = host.exchange(token)
    host.revoker.revoke(minted.rid, by="operator")
    assert code_of(asked(host, first, statement(first))) == "token.revoked"
    _, other = host.exchange(token, nonce="other")
    assert isinstance(host.judge(other, READ, THERE), Allow), "a sibling lives"
    assert isinstance(host.judge(token, READ), Allow)


def test_every_earlier_holder_can_take_it_back(host: Host, deep: UnverifiedToken) -> None:
    """By the preimage of what they held, as before the exchange."""
    _, made = host.exchange(deep, "sub")
    _, root = host.issue(idempotency=None)
    assert root.identifier != deep.identifier
    held = UnverifiedToken(deep.identifier, deep.caveats[:2], _tag_of(deep, 2))
    host.revoker.revoke(holding.reveal(held), by="holder")
    assert refused(host, made) == "token.revoked"


def _tag_of(token: UnverifiedToken, length: int) -> bytes:
    root_key = header.open_seal(
        header.parse(token.identifier).seal_audience, world.secret("audience"),
        world.AUDIENCE.public,
    )  # fmt: skip
    bare = UnverifiedToken(token.identifier, (), chain.first_tag(root_key, token.identifier))
    return writing.append(bare, *token.caveats[:length]).tag


def test_a_race_of_exchange_and_revocation_leaves_nothing_alive(host: Host) -> None:
    """Whichever transaction comes first: refused, or dead with the rest."""
    ends = [_race(host, host.issue()[1]) for _ in range(20)]
    for made in ends:
        assert made == "token.revoked" or refused(host, made) == "token.revoked"


def _race(host: Host, token: UnverifiedToken) -> Any:
    start, made = Barrier(2), list[Any]()

    def exchange() -> None:
        start.wait()
        try:
            made.append(host.exchange(token, nonce="race")[1])
        except NucleusError as error:
            made.append(error.code)

    def revoke() -> None:
        start.wait()
        host.revoker.revoke(chain.rid(token.tag), by="operator")

    threads = [Thread(target=exchange), Thread(target=revoke)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made[0]


def test_an_expired_token_is_not_exchanged(host: Host) -> None:
    _, root = host.issue()
    token = world.narrow(root, ["exp", world.NOW + 60])
    host.clock.now += 60
    assert code_of(asked(host, token, statement(token))) == "token.expired"


# To flood ---------------------------------------------------------------------------------------


def test_a_tree_has_a_bounded_number_of_live_exchanges(host: Host) -> None:
    """Over all its branches; what has expired does not count."""
    _, root = host.issue()
    short = world.narrow(root, ["link", world.hex16("x")])
    made = root
    for n in range(EXCHANGES_PER_TREE):
        made = host.exchange((root, short, made)[n % 3], nonce=f"flood {n}")[1]
    for token in (root, short, made):
        with pytest.raises(NucleusError) as caught:
            host.exchange(token, nonce="one more")
        assert caught.value.code == "exchange.too_many"
    _, other = host.issue()
    host.exchange(other, nonce="another tree")


@pytest.mark.parametrize("size", [0, 63, 64, 65, 1000, 2049, 10**6])
def test_bytes_that_are_no_statement(host: Host, size: int) -> None:
    _, token = host.issue()
    assert code_of(asked(host, token, b"{" * size)) == "exchange.malformed"

"""Issuing: what leaves is recorded, is what was ordered, and passes the kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nucleus_issuer.issuing import Issuer
from nucleus_issuer.ports import Link
from nucleus_issuer.profiles import named
from nucleus_tokens import canonical, chain, header, holding
from nucleus_tokens.errors import NucleusError, WorldError
from nucleus_tokens.header import Holder
from nucleus_verifier import gather
from nucleus_verifier.commit import Permit, commit
from nucleus_verifier.decision import Allow, Deny
from tests.issuer.host import Host
from tests.support import world


def code_of(use: Callable[[], object]) -> str:
    with pytest.raises(NucleusError) as caught:
        use()
    return caught.value.code


def test_an_issued_token_is_what_was_ordered_and_passes_the_kernel(host: Host) -> None:
    minted, token = host.issue(
        ceil=None,
        ttl=None,
        profile=named("codegen"),
        extra=[["path", "in", ["/srv"]], ["exposure", ["private_data"]], ["nbf", world.NOW]],
        account=("team", {"micro_usd": 7}),
        memo="for the build",
    )
    fields = header.parse(token.identifier)
    assert (fields.sub, fields.holder, fields.depth) == ("agent", world.AGENT, 4)
    assert (fields.iat, fields.exp) == (world.NOW, world.NOW + 3600)
    assert fields.account == ("team", (("micro_usd", 7),))
    assert len(fields.ceil) == 5, "levels, blocked paths, the path scope, two budgets"
    assert [canonical.decode(c)[0] for c in token.caveats] == ["exposure", "nbf"]
    assert minted.rid == chain.rid(token.tag)
    assert isinstance(host.judge(token, world.read()), Allow)
    outside = host.judge(token, world.read("/etc/hosts"))
    assert isinstance(outside, Deny)
    assert outside.code == "scope.outside"


def test_it_is_in_the_inventory_with_its_prefixes_and_without_its_secrets(host: Host) -> None:
    minted, token = host.issue(memo="for the build", extra=[["exp", world.NOW + 60]])
    known = host.store.issued(minted.tid)
    assert known is not None
    assert (known.sub, known.aud, known.memo) == ("agent", "proxy:test", "for the build")
    assert (known.iat, known.exp) == (world.NOW, minted.exp)
    assert canonical.decode(known.holder.encode())["key"] == world.public("agent").hex()
    assert host.store.link(minted.rid) == Link(minted.rid, minted.tid, known.rid0, "")
    assert canonical.decode(known.header.encode())["ceil"] == [world.all_levels()]
    raw = host.store._database.path.read_bytes() + b"".join(
        p.read_bytes() for p in host.store._database.path.parent.glob("*-wal")
    )
    for secret in (token.tag, chain.to_text(token.tag).encode(), token.tag.hex().encode()):
        assert secret not in raw
    assert minted.text.encode() not in raw
    assert minted.text not in repr(minted)


def test_the_tree_cell_of_a_fresh_token_is_clean(host: Host) -> None:
    """The name agrees with the one the verifier computes."""
    _, token = host.issue()
    wanted = gather.wanted(world.opened(token), world.WALL)
    assert host.store.read(wanted).tree == (wanted.tree, 1, 0)


def test_a_token_that_could_not_be_recorded_does_not_leave(host: Host) -> None:
    """And is not half recorded."""

    class Full:
        def __getattr__(self, name: str) -> Any:
            raise WorldError("store.full", "The disk is full.")

    issuer = Issuer(
        world.SIGNER,
        Full(),
        clock=host.clock,
        random=host.random,
    )
    assert code_of(lambda: issuer.issue(host.order())) == "store.full"
    writer = host.store._database._writer
    assert writer is not None
    writer.execute("PRAGMA query_only = ON")
    assert code_of(host.issue) == "store.readonly"
    writer.execute("PRAGMA query_only = OFF")
    assert host.store.inventory() == []


def test_an_order_with_a_key_is_carried_out_once(host: Host) -> None:
    host.issue(idempotency="order-7")
    assert code_of(lambda: host.issue(idempotency="order-7")) == "token.already_issued"
    host.issue()
    host.issue()
    assert len(host.store.inventory()) == 3


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"profile": named("codegen")}, "order.profile"),
        ({"ceil": None}, "order.profile"),
        ({"ceil": None, "profile": named("codegen"), "ttl": 3601}, "order.ttl"),
        ({"ttl": None}, "order.ttl"),
        ({"ttl": 0}, "token.lifetime"),
        ({"ttl": 400 * 86400}, "token.lifetime"),
        ({"holder": world.BEARER, "depth": 0}, "order.bearer"),
        ({"bearer": True}, "order.bearer"),
        ({"holder": Holder("spiffe://x/y", None), "depth": 1}, "order.depth"),
        ({"depth": 9}, "order.depth"),
        ({"depth": -1}, "order.depth"),
        ({"memo": "x" * 2000}, "order.memo"),
        ({"ceil": []}, "header.malformed"),
        ({"ceil": [["path", "in", ["/"]]]}, "header.malformed"),
        ({"extra": [["delegate", {}, ""]]}, "caveat.reserved"),
        ({"extra": [["fly"]]}, "caveat.unknown"),
        ({"extra": [[]]}, "caveat.malformed"),
        ({"extra": [["path", "in", ["relative"]]]}, "header.malformed"),
        ({"obligations": ["fly"]}, "header.malformed"),
        ({"sub": ""}, "header.malformed"),
        ({"sub": "\ud800"}, "header.malformed"),
        ({"account": ("team", {"wishes": 3})}, "header.malformed"),
    ],
)
def test_an_order_that_cannot_be_is_refused_and_nothing_is_recorded(
    host: Host, change: dict[str, Any], code: str
) -> None:
    assert code_of(lambda: host.issue(**change)) == code
    assert host.store.inventory() == []


def test_a_shorter_life_than_the_profile_grants_may_be_ordered(host: Host) -> None:
    minted, _ = host.issue(ceil=None, profile=named("release"), ttl=60)
    assert minted.exp == world.NOW + 60
    assert canonical.decode(host.store.inventory()[0].header.encode())["obligations"] == [
        "create_pr",
        "git_push",
    ]


def test_a_bearer_token_is_made_when_it_is_asked_for_by_name(host: Host) -> None:
    _, token = host.issue(holder=world.BEARER, bearer=True, depth=0)
    assert header.parse(token.identifier).holder.bearer


def test_two_issuers_on_one_file_mint_different_tokens(tmp_path: Path, host: Host) -> None:
    from nucleus_issuer.store import Store

    with Store.open(host.store._database.path, clock=host.clock) as second:
        other = Issuer(world.SIGNER, second, clock=host.clock, random=host.random)
        for _ in range(5):
            host.issue()
            other.issue(host.order())
        assert len(host.store.inventory()) == len({i.tid for i in second.inventory()}) == 10
        other.issue(host.order(idempotency="a"))
        assert code_of(lambda: host.issue(idempotency="a")) == "token.already_issued"


def test_spending_under_an_issued_token_goes_through_to_a_permit(host: Host) -> None:
    _, token = host.issue(ceil=[world.all_levels(), ["budget", "calls", 1]])
    decision = host.judge(token, world.read())
    assert isinstance(decision, Allow)
    assert isinstance(commit(decision.intent, host.store, {"type": "decision"}), Permit)
    raced = commit(decision.intent, host.store, {"type": "decision"})
    assert isinstance(raced, Deny)
    again = host.judge(holding.attenuate(token, ["link", "ab" * 16]), world.read())
    assert isinstance(again, Deny)
    assert again.code == "budget.exhausted", "a child spends from its parent's budget"

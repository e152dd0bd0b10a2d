"""Who can revoke what: holders by showing so, operators what is known, strangers nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nucleus_issuer.opening import AudienceOpener
from nucleus_issuer.revoking import Node, Revoker
from nucleus_tokens import chain, holding, writing
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_verifier.commit import commit
from nucleus_verifier.decision import Allow, Deny
from nucleus_verifier.record import decision_record
from tests.issuer.host import Host
from tests.support import world


def code_of(use: Callable[[], object]) -> str:
    with pytest.raises(NucleusError) as caught:
        use()
    return caught.value.code


def revoked(host: Host, token: UnverifiedToken) -> bool:
    decision = host.judge(token, world.read())
    if isinstance(decision, Deny):
        assert decision.code == "token.revoked"
        return True
    assert isinstance(decision, Allow)
    return False


@pytest.fixture
def family(host: Host) -> dict[str, UnverifiedToken]:
    """agent → one → one's child, and agent → two."""
    _, root = host.issue()
    one = world.hand(world.narrow(root, ["link", "01" * 16]), taker="one", depth=3)
    two = world.hand(world.narrow(root, ["link", "02" * 16]), taker="two", depth=3)
    child = world.hand(world.narrow(one, ["nbf", 1]), "one", "child", depth=2)
    return {"root": root, "one": one, "two": two, "child": child}


def dead(host: Host, family: dict[str, UnverifiedToken]) -> set[str]:
    return {name for name, token in family.items() if revoked(host, token)}


@pytest.mark.parametrize(
    ("name", "falls"),
    [
        ("root", {"root", "one", "two", "child"}),
        ("one", {"one", "child"}),
        ("two", {"two"}),
        ("child", {"child"}),
    ],
)
@pytest.mark.parametrize("how", ["token", "credential", "rid", "preimage", "record"])
def test_revoking_kills_the_subtree_and_nothing_else(
    host: Host, family: dict[str, UnverifiedToken], name: str, falls: set[str], how: str
) -> None:
    token = family[name]
    holder = "agent" if name == "root" else name
    what: Any = world.text(token)
    prefix = None
    if how == "credential":
        what = world.request(token, world.read(), holder)
    elif how == "rid":
        host.store.note_links(host.opener.open(what).links)
        what = chain.rid(token.tag)
    elif how == "preimage":
        what, prefix = holding.reveal(token), world.text(token)
    elif how == "record":
        call = world.read()
        facts, credential = host.look(token), world.opened(token)
        decision = host.judge(token, call)
        what, _ = decision_record(credential, call, facts, decision, salt=b"\0" * 16)
    done = host.revoker.revoke(what, by="somebody", reason="why not", prefix=prefix)
    assert done.wanted == done.entry.rid == chain.rid(token.tag)
    assert dead(host, family) == falls
    assert host.revoker.revoke(what, by="again", prefix=prefix).seq == done.seq


def test_a_preimage_of_a_presented_prefix_needs_nothing_else(
    host: Host, family: dict[str, UnverifiedToken]
) -> None:
    decision = host.judge(family["one"], world.read())
    assert isinstance(decision, Allow)
    commit(decision.intent, host.store, {"type": "decision"})
    host.revoker.revoke(holding.reveal(family["one"]), by="agent")
    assert dead(host, family) == {"one", "child"}


def test_an_ancestors_holder_revokes_below_with_a_token_that_extends_it(
    host: Host, family: dict[str, UnverifiedToken]
) -> None:
    """The issuer gets to know of the prefix from the child's token alone."""
    host.revoker.revoke(holding.reveal(family["one"]), by="a", prefix=world.text(family["child"]))
    assert dead(host, family) == {"one", "child"}


def test_invented_preimages_and_rids_are_refused(
    host: Host, family: dict[str, UnverifiedToken]
) -> None:
    invented = b"\x01" * 32
    assert code_of(lambda: host.revoker.revoke(invented, by="x")) == "revoke.unknown"
    with_token = lambda: host.revoker.revoke(  # noqa: E731
        invented, by="x", prefix=world.text(family["one"])
    )
    assert code_of(with_token) == "revoke.preimage"
    # A descendant's preimage with the ancestor's token: not a prefix of it.
    lifted = lambda: host.revoker.revoke(  # noqa: E731
        holding.reveal(family["child"]), by="x", prefix=world.text(family["one"])
    )
    assert code_of(lifted) == "revoke.preimage"
    assert code_of(lambda: host.revoker.revoke(b"short", by="x")) == "revoke.preimage"
    assert code_of(lambda: host.revoker.revoke("ab" * 16, by="x")) == "revoke.unknown"
    for bad in ("", "xyz", "ab" * 15, "ab" * 17, "nuc2_x", "-" * 32):
        assert code_of(lambda b=bad: host.revoker.revoke(b, by="x")) == "revoke.rid"  # type: ignore[misc]
    assert host.store.revocations() == []


def test_a_prefix_that_the_seal_does_not_prove_is_refused(
    host: Host, family: dict[str, UnverifiedToken]
) -> None:
    """A flood of prefixes that nobody was ever given."""
    one = family["one"]
    more = (*one.caveats, b'["link","' + b"ef" * 16 + b'"]')
    forged = UnverifiedToken(one.identifier, more, b"\x07" * 32)
    text, rev = writing.write_credential(forged), chain.preimage(forged.tag)
    assert code_of(lambda: host.revoker.revoke(rev, by="x", prefix=text)) == "token.forged"
    assert code_of(lambda: host.revoker.revoke(text, by="x")) == "token.forged"
    body = bytearray(one.identifier)
    body[70] ^= 1
    broken = writing.write_credential(UnverifiedToken(bytes(body), one.caveats, one.tag))
    assert code_of(lambda: host.revoker.revoke(broken, by="x")).startswith("header.")
    bad_hop = world.forge(
        one,
        b'["delegate",{"depth":1,"key":"%s","purpose":"","to":"me"},"%s"]'
        % (world.public("me").hex().encode(), b"00" * 64),
    )
    assert code_of(lambda: host.revoker.revoke(world.text(bad_hop), by="x")) == "delegate.signature"
    elsewhere = world.mint(signer=replace(world.SIGNER, iss="other"))
    assert (
        code_of(lambda: host.revoker.revoke(world.text(elsewhere), by="x")) == "token.other_issuer"
    )
    assert host.store.revocations() == []
    assert host.store.links("ef" * 16) == []


def test_a_header_of_ones_own_is_refused_though_its_seal_opens(
    host: Host, family: dict[str, UnverifiedToken]
) -> None:
    """Else anybody seals a key of his own to the issuer, and fills the list of another's token."""
    tid = host.store.inventory()[0].tid
    attacker = replace(world.SIGNER, private=world.secret("attacker"))
    own = world.mint(tid=tid, signer=attacker)
    assert code_of(lambda: host.revoker.revoke(world.text(own), by="x")) == "header.signature"
    assert host.store.link(chain.rid(own.tag)) is None


@pytest.mark.parametrize(
    "record",
    [{}, {"token": None}, {"token": {"tid": "x", "rids": []}}, {"token": {"tid": 1, "rids": 2}},
     {"token": {"tid": "ab" * 16, "rids": ["nope"]}}, {"type": "outcome"}],
)  # fmt: skip
def test_a_record_about_no_token_is_refused(host: Host, record: dict[str, Any]) -> None:
    assert code_of(lambda: host.revoker.revoke(record, by="x")) == "revoke.record"


def test_the_audience_opens_its_tokens_without_the_issuers_keys(
    host: Host, family: dict[str, UnverifiedToken]
) -> None:
    by_audience = AudienceOpener(world.KEYS)
    for token in family.values():
        text = world.text(token)
        assert by_audience.open(text) == host.opener.open(text)
    forged = UnverifiedToken(family["one"].identifier, (), b"\x07" * 32)
    assert code_of(lambda: by_audience.open(world.text(forged))) == "token.forged"
    Revoker(host.store, by_audience).revoke(world.text(family["two"]), by="operator")
    assert dead(host, family) == {"two"}


# Drawing -----------------------------------------------------------------------------------------


def flat(node: Node) -> list[Node]:
    return [node, *(each for child in node.children for each in flat(child))]


def test_the_tree_shows_who_holds_and_who_can_revoke(
    host: Host, family: dict[str, UnverifiedToken]
) -> None:
    for token in family.values():
        host.store.note_links(host.opener.open(world.text(token)).links)
    host.revoker.revoke(world.text(family["one"]), by="agent")
    tid = host.store.inventory()[0].tid
    tree = host.revoker.tree(tid)
    assert tree.issued == host.store.issued(tid)
    nodes = {node.rid: node for node in flat(tree.root)}
    at = {name: nodes[chain.rid(token.tag)] for name, token in family.items()}
    assert len(nodes) == 1 + 2 + 2 + 2
    assert tree.root == at["root"]
    assert at["root"].revokers == ("agent",)
    assert at["one"].revokers == ("agent", "one")
    assert at["child"].revokers == ("agent", "one", "child")
    assert [at[n].who for n in ("root", "one", "two", "child")] == ["agent", "one", "two", "child"]
    assert [n for n in at if at[n].delegated] == ["one", "two", "child"]
    assert [n for n in at if at[n].dead] == ["one", "child"]
    assert [n for n in at if at[n].revoked] == ["one"]
    link, holders, entry = host.revoker.explain(at["child"].rid)
    assert (link.who, holders) == ("child", ("agent", "one", "child"))
    assert entry is not None
    assert entry.rid == at["one"].rid
    assert host.revoker.explain(at["two"].rid)[2] is None
    for token in family.values():
        assert token.tag.hex() not in repr(tree)


def test_the_list_says_what_is_dead(host: Host) -> None:
    first, _ = host.issue()
    host.clock.now += 1
    second, _ = host.issue()
    host.revoker.revoke(first.rid, by="alice")
    assert [(i.tid, gone) for i, gone in host.revoker.list()] == [
        (second.tid, False),
        (first.tid, True),
    ]


def test_unknown_tokens_have_no_tree(host: Host) -> None:
    with pytest.raises(CallerError) as caught:
        host.revoker.tree("ab" * 16)
    assert caught.value.code == "token.unknown"
    assert code_of(lambda: host.revoker.explain("ab" * 16)) == "revoke.unknown"


def test_a_chain_of_the_longest_kind_is_drawn(host: Host) -> None:
    minted, token = host.issue()
    long = world.narrow(token, *([["link", f"{n:032x}"] for n in range(64)]))
    host.store.note_links(host.opener.open(world.text(long)).links)
    tree = host.revoker.tree(minted.tid)
    assert len(flat(tree.root)) == 65


def test_what_the_issuer_appended_only_the_issuer_revokes_before(host: Host) -> None:
    """The holder was handed the tag after those caveats, and can compute none before."""
    minted, token = host.issue(extra=[["approve", ["git_push"]], ["exp", world.NOW + 60]])
    host.store.note_links(host.opener.open(world.text(token)).links)
    root = host.revoker.tree(minted.tid).root
    middle, last = root.children[0], root.children[0].children[0]
    assert last.rid == chain.rid(token.tag)
    assert (root.revokers, middle.revokers, last.revokers) == ((), (), ("agent",))
    assert [host.revoker.explain(n.rid)[1] for n in (root, middle, last)] == [(), (), ("agent",)]

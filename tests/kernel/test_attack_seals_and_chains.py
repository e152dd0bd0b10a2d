"""Somebody rewrites a token: its seals, its header, its chain of caveats, its bytes."""

from __future__ import annotations

import itertools

import pytest

from nucleus_issuer.mint import Signer
from nucleus_tokens import canonical, chain, crypto
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.fields import name_set
from nucleus_verifier.decide import decide
from nucleus_verifier.decision import Deny
from tests.support import world
from tests.support.judging import allowed, denied, judge

READ = world.read()
SEALS = 2 * crypto.SEALED_KEY_BYTES


def minted() -> UnverifiedToken:
    return world.mint(world.levels(read_files="always"))


def narrowed() -> UnverifiedToken:
    return world.narrow(minted(), ["path", "in", ["/nowhere"]], ["exp", world.NOW + 10])


def reseal(token: UnverifiedToken, root_key: bytes) -> bytes:
    """The identifier with both seals replaced by seals of another root key."""
    seals = crypto.seal(world.AUDIENCE.public, root_key) + crypto.seal(
        world.SIGNER.exchange, root_key
    )
    return token.identifier[:-SEALS] + seals


def restart(identifier: bytes, root_key: bytes, *caveats: bytes) -> UnverifiedToken:
    """A chain from the top under a root key of one's own."""
    tag = chain.first_tag(root_key, identifier)
    return world.forge(UnverifiedToken(identifier, (), tag), *caveats)


def test_swapped_seal_and_dropped_caveats() -> None:
    """Were the seals not signed, anybody could seal a key of his own and start over at the
    ceiling: the header's signature must cover them."""
    mine = world.secret("mallory")
    stolen = narrowed()
    fresh = restart(reseal(stolen, mine), mine)
    denied(judge(fresh, READ, like=stolen), 3, "header.signature")
    allowed(judge(restart(stolen.identifier, world.secret("root")), READ))  # the control: it is
    # nothing but the root key that keeps the chain from starting over


@pytest.mark.parametrize("seal", ["audience", "issuer"])
def test_one_seal_swapped(seal: str) -> None:
    token, mine = narrowed(), world.secret("mallory")
    own = crypto.seal(world.AUDIENCE.public, mine)
    half = crypto.SEALED_KEY_BYTES
    body, first, second = (
        token.identifier[:-SEALS],
        token.identifier[-SEALS:-half],
        token.identifier[-half:],
    )
    identifier = body + (own + second if seal == "audience" else first + own)
    denied(judge(restart(identifier, mine), READ, like=token), 3, "header.signature")


def test_the_two_seals_exchanged() -> None:
    token = narrowed()
    half = crypto.SEALED_KEY_BYTES
    identifier = (
        token.identifier[:-SEALS] + token.identifier[-half:] + token.identifier[-SEALS:-half]
    )
    changed = UnverifiedToken(identifier, token.caveats, token.tag)
    denied(judge(changed, READ, like=token), 3, "header.signature")


def test_a_seal_of_another_token_of_the_same_issuer() -> None:
    """Two honest tokens; the seals of one on the body of the other."""
    wide, tight = (
        minted(),
        world.mint(world.levels(read_files="low_risk"), root_key=world.secret("b")),
    )
    identifier = wide.identifier[:-SEALS] + tight.identifier[-SEALS:]
    mixed = restart(identifier, world.secret("b"))
    denied(judge(mixed, READ, like=wide), 3, "header.signature")


def test_a_header_signed_by_somebody_else() -> None:
    signer = Signer(
        world.SIGNER.iss, world.SIGNER.kid, world.secret("mallory"), world.SIGNER.exchange
    )
    denied(judge(world.mint(signer=signer), READ, stranger=True), 3, "header.signature")


def test_a_header_of_an_issuer_nobody_pinned() -> None:
    signer = Signer("issuer:mallory", "k1", world.secret("mallory"), world.SIGNER.exchange)
    denied(judge(world.mint(signer=signer), READ, stranger=True), 2, "issuer.unknown")


def test_a_key_id_of_another_issuer_is_not_his_key() -> None:
    """Keys are looked up by issuer and key id together."""
    signer = Signer(world.SIGNER.iss, "k2", world.secret("issuer"), world.SIGNER.exchange)
    denied(judge(world.mint(signer=signer), READ, stranger=True), 2, "issuer.unknown")


def test_every_changed_byte_of_the_header_is_noticed() -> None:
    token = minted()
    for at in range(0, len(token.identifier), 7):
        changed = bytearray(token.identifier)
        changed[at] ^= 1
        forged = restart(bytes(changed), world.secret("root"))
        decision = judge(forged, READ, like=token)
        assert isinstance(decision, Deny), at
        assert decision.step <= 3, (at, decision)


def test_every_changed_bit_of_the_tag_is_noticed() -> None:
    """Also the last: a comparison that stops early can be guessed byte by byte."""
    token = narrowed()
    for at in range(8 * len(token.tag)):
        changed = bytearray(token.tag)
        changed[at // 8] ^= 1 << at % 8
        forged = UnverifiedToken(token.identifier, token.caveats, bytes(changed))
        denied(judge(forged, READ, like=token), 3, "token.forged")


def test_a_longer_life_or_a_wider_ceiling_written_into_the_header() -> None:
    token = minted()
    body = canonical.decode(token.identifier[64 : -SEALS - 1])
    for change in (
        {"exp": body["exp"] + 3600},
        {"ceil": [world.all_levels()]},
        {"depth": 8},
        {"holder": {"bearer": True, "key": None, "spiffe": None}},
        {"obligations": ["git_push"]},
        {"tid": world.hex16("other")},
    ):
        spelled = canonical.encode({**body, **change})
        identifier = token.identifier[:64] + spelled + token.identifier[-SEALS - 1 :]
        forged = restart(identifier, world.secret("root"))
        denied(judge(forged, READ, like=token), 3, "header.signature")


# The chain ------------------------------------------------------------------------------------


def test_truncated() -> None:
    """The last caveat cut off: the tag is that of a longer chain, and no shorter one follows."""
    token = narrowed()
    for keep in range(len(token.caveats)):
        cut = UnverifiedToken(token.identifier, token.caveats[:keep], token.tag)
        denied(judge(cut, READ, like=token), 3, "token.forged")


def test_reordered() -> None:
    token = world.narrow(minted(), ["exp", world.NOW + 9], ["path", "in", ["/srv"]], ["nbf", 0])
    for order in itertools.permutations(token.caveats):
        decision = judge(UnverifiedToken(token.identifier, order, token.tag), READ, like=token)
        if order == token.caveats:
            allowed(decision)
        else:
            denied(decision, 3, "token.forged")


def test_widened_in_place() -> None:
    token = narrowed()
    wider = (canonical.encode(["path", "in", ["/srv"]]), token.caveats[1])
    denied(
        judge(UnverifiedToken(token.identifier, wider, token.tag), READ, like=token),
        3,
        "token.forged",
    )


def test_widened_by_appending() -> None:
    """Every caveat that says more than was there is harmless: all of them hold together."""
    token = narrowed()
    for caveat in (
        ["path", "in", ["/"]],
        ["path", "in", ["/srv"]],
        ["exp", world.NOW + 10**6],
        world.all_levels(),
        ["cap", {"read_files": "always", "run_bash": "always"}],
        ["exposure", ["exfil_vector", "private_data", "untrusted_content"]],
        ["approve", []],
    ):
        denied(judge(world.narrow(token, caveat), READ), 10, "scope.outside")
    bare = minted()
    for caveat in (world.all_levels(), ["cap", {"run_bash": "always"}]):
        denied(judge(world.narrow(bare, caveat), world.bash("ls")), 9, "level.never")


def test_one_caveat_split_or_joined_with_its_neighbour() -> None:
    """The MAC runs over caveats, not over their concatenation."""
    token = world.narrow(minted(), ["nbf", 0], ["nbf", 1])
    joined = UnverifiedToken(token.identifier, (b"".join(token.caveats),), token.tag)
    denied(judge(joined, READ, like=token), 3, "token.forged")


def test_a_tag_of_an_intermediate_chain_opens_only_that_chain() -> None:
    """Whoever saw the wider token holds it; whoever saw only the narrower one does not."""
    token = minted()
    narrow = world.narrow(token, ["path", "in", ["/nowhere"]])
    allowed(judge(token, READ))
    denied(
        judge(UnverifiedToken(token.identifier, (), narrow.tag), READ, like=token),
        3,
        "token.forged",
    )


@pytest.mark.parametrize(
    "raw",
    [
        b'["admin",true]',
        b'["Exp",9999999999]',
        b'["exp ",9999999999]',
        b'["or",["exp",1],["exp",2]]',
        b'["approved",["git_push"]]',
        b'["grant",{"run_bash":"always"}]',
    ],
)
def test_an_unknown_caveat_denies(raw: bytes) -> None:
    denied(judge(world.forge(minted(), raw), READ, stranger=True), 3, "caveat.unknown")


@pytest.mark.parametrize(
    "raw",
    [
        b'["exp",1.5]',
        b'["exp","9999999999"]',
        b'["exp",true]',
        b'["exp"]',
        b'["exp",9999999999,1]',
        b'["cap",{"fly":"always"}]',
        b'["cap",{"read_files":"ALWAYS"}]',
        b'["path","in","/srv"]',
        b'["path","maybe",["/srv"]]',
        b'["path","in",["/srv","/etc"]]',
        b'["path","in",["/srv/.."]]',
        b'["budget","calls",-1]',
        b'["budget","wishes",1]',
        b'["approve",["git_push","git_push"]]',
        b'["exposure",["none"]]',
        b'["arg","fs.read",{"/path":["regex",".*"]}]',
        b'["link","00"]',
        b"[]",
        b"{}",
        b"null",
        b' ["exp",9999999999]',
        b'["exp",9999999999] ',
        b'["\\u0065xp",9999999999]',
        b"exp < 9999999999",
        b"",
    ],
)
def test_a_caveat_that_cannot_be_read_denies(raw: bytes) -> None:
    """A verifier that skips what it cannot read would drop a restriction."""
    decision = judge(world.forge(minted(), raw), READ, stranger=True)
    assert isinstance(decision, Deny)
    assert decision.step == 3
    assert decision.code in {"caveat.malformed", "json.canonical"}


def test_an_exchange_carries_no_hand_over_and_no_request() -> None:
    """What an issuer would sign as narrowed only narrows."""
    token = world.mint()
    credential = chain.read_credential(world.request(world.hand(token), READ, "sub"))
    for raw in credential.token.caveats:
        with pytest.raises(CredentialError, match=r"header.malformed"):
            world.mint(narrowed=[(world.hex16("r"), canonical.decode(raw))])


def test_a_set_names_nothing_twice() -> None:
    twice = ["write_files", "write_files"]
    with pytest.raises(CredentialError):
        world.narrow(world.mint(), ["approve", twice])
    with pytest.raises(ValueError, match=r"^$"):
        name_set(twice)


def test_more_patterns_than_a_chain_may_hold() -> None:
    token = minted()
    many = [f"/srv/{i:03}" for i in range(60)]
    token = world.narrow(token, *[["path", "in", many]] * 3)
    denied(judge(token, READ, stranger=True), 3, "caveat.too_many_patterns")


# Who is told what -----------------------------------------------------------------------------


def test_strangers_get_one_answer() -> None:
    """`denied` checks it at each silent step; here once more side by side."""
    token = narrowed()
    wrong = [
        "",
        "nuc1_",
        "nuc1_AAAA",
        "x" * 8000,
        world.text(token)[:-1],
        world.text(UnverifiedToken(token.identifier, (), token.tag)),
        world.text(world.forge(token, b'["admin"]')),
        world.text(token, bytes(64)),
    ]
    facts = world.facts(channel="carried")
    answers = set()
    for text in [*wrong, world.text(token)]:
        decision = decide(text, READ, facts)
        denied(decision, getattr(decision, "step", 0), getattr(decision, "code", ""))
        assert isinstance(decision, Deny)
        assert decision.step <= 5
        answers.add((decision.public_code,))
    assert answers == {("credential.refused",)}

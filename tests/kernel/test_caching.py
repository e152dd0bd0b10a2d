"""A cache may save work and never change an answer, whoever fills it."""

from __future__ import annotations

import os
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.limits import CACHED_PREFIXES_PER_TREE
from nucleus_verifier.authenticate import authenticate
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.decision import Deny
from nucleus_verifier.facts import Keys
from tests.support import world

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))
READ = world.read()
OTHER_KEYS = replace(world.KEYS, issuers={}, epoch=1)


def presented(r: Random, trees: list[UnverifiedToken]) -> str:
    """A credential: honest, narrowed, bound, or spoiled in one of many ways."""
    token = r.choice(trees)
    for _ in range(r.randrange(3)):
        token = world.narrow(
            token, r.choice((["exp", world.NOW + 9], ["nbf", 0], ["link", "00" * 16]))
        )
    kind = r.randrange(9)
    if kind == 0:
        return world.text(UnverifiedToken(token.identifier, token.caveats, r.randbytes(32)))
    if kind == 1:
        return world.text(
            UnverifiedToken(token.identifier, (*token.caveats, b'["nbf",1]'), token.tag)
        )
    if kind == 2:
        return world.text(world.forge(token, b'["admin"]'))
    if kind == 3:
        return world.text(token, bytes(64))
    if kind in (4, 5):
        credential = world.request(
            token, READ, r.choice(("agent", "thief")), nonce=r.randbytes(16).hex()
        )
        return credential if kind == 4 else credential.partition(".")[0]
    if kind == 6:
        return world.text(token)[: -r.randrange(1, 4)]
    return world.text(token)


@settings(max_examples=60 * SCALE)
@given(st.randoms(use_true_random=False), st.sampled_from([1, 2, 5, 4096]))
def test_a_memory_changes_no_answer(r: Random, size: int) -> None:
    """Forged and honest tokens in any order, keys replaced in between, however small the memory."""
    trees = [world.mint(tid=world.hex16(n), root_key=world.secret(n)) for n in ("a", "b")]
    verifier = CachingVerifier(world.KEYS, size=size)
    texts = [presented(r, trees) for _ in range(12)]
    for _ in range(30):
        if r.random() < 0.1:
            verifier.use_keys(r.choice((world.KEYS, OTHER_KEYS)))
        text = r.choice(texts)
        assert verifier.authenticate(text) == authenticate(text, verifier.keys)


@pytest.mark.parametrize("warm", ["nothing", "header", "prefix", "whole"])
def test_a_forged_token_is_refused_at_every_warmth(warm: str) -> None:
    token = world.narrow(world.mint(), ["exp", world.NOW + 9])
    verifier = CachingVerifier(world.KEYS)
    if warm == "header":
        verifier.authenticate(world.text(world.narrow(token, ["nbf", 0])))
    elif warm == "prefix":
        verifier.authenticate(world.request(token, READ))
    elif warm == "whole":
        verifier.authenticate(world.text(token))
    forged = UnverifiedToken(token.identifier, token.caveats, bytes(32))
    shorter = UnverifiedToken(token.identifier, (), token.tag)
    for bad in (forged, shorter):
        for _ in range(2):
            decision = verifier.authenticate(world.text(bad))
            assert isinstance(decision, Deny)
            assert decision.code == "token.forged"


def test_what_was_refused_is_not_remembered() -> None:
    """Nothing enters before the tag held and every hop did: a flood leaves no entry."""
    token = world.mint()
    verifier = CachingVerifier(world.KEYS)
    for number in range(50):
        verifier.authenticate(
            world.text(UnverifiedToken(token.identifier, (), number.to_bytes(32, "big")))
        )
        verifier.authenticate(world.text(world.forge(token, f'["x",{number}]'.encode())))
    assert sizes(verifier) == [0, 0, 0]


def test_a_request_is_not_remembered_whole() -> None:
    """It is good for one call; only its prefix comes again."""
    token = world.mint()
    verifier = CachingVerifier(world.KEYS)
    for number in range(20):
        verifier.authenticate(world.request(token, READ, nonce=f"{number:032x}"))
    assert sizes(verifier) == [1, 1, 0]


def test_one_tree_does_not_push_out_another() -> None:
    """Who narrows a thousand times has his own entries replaced, not his neighbour's."""
    mine, other = (
        world.mint(tid=world.hex16(n), root_key=world.secret(n)) for n in ("mine", "other")
    )
    verifier = CachingVerifier(world.KEYS, size=200)
    verifier.authenticate(world.text(other))
    for number in range(3 * CACHED_PREFIXES_PER_TREE):
        verifier.authenticate(world.text(world.narrow(mine, ["nbf", number])))
    assert sizes(verifier) == [2] + [CACHED_PREFIXES_PER_TREE + 1] * 2


def test_the_memory_is_bounded_over_all_trees() -> None:
    verifier = CachingVerifier(world.KEYS, size=9)
    for number in range(12):
        token = world.mint(tid=f"{number:032x}", root_key=world.secret(str(number)))
        verifier.authenticate(world.text(token))
        assert sizes(verifier) == [min(number + 1, 3)] * 3


def test_who_was_shown_last_is_forgotten_last() -> None:
    """A tree that is in use stays when another one needs the room."""
    texts = [
        world.text(world.mint(tid=f"{n:032x}", root_key=world.secret(str(n)))) for n in range(4)
    ]
    verifier = CachingVerifier(world.KEYS, size=9)
    for number in (0, 1, 2, 0, 3):
        verifier.authenticate(texts[number])
    assert [t.opened.header.tid[-1] for t in verifier._trees.values()] == ["2", "0", "3"]


@pytest.mark.parametrize("place", [-3, -2, -1])
def test_a_header_that_differs_at_its_end_is_another_header(place: int) -> None:
    """A known text is compared in whole groups of four characters, within which a header ends."""
    for length in range(3):
        token = world.mint(sub="x" * (1 + length))
        verifier = CachingVerifier(world.KEYS)
        assert not isinstance(verifier.authenticate(world.text(token)), Deny)
        spoiled = bytearray(token.identifier)
        spoiled[place] ^= 1
        text = world.text(UnverifiedToken(bytes(spoiled), token.caveats, token.tag))
        decision = verifier.authenticate(text)
        assert decision == authenticate(text, world.KEYS)
        assert isinstance(decision, Deny)
        assert decision.code == "header.signature"


@pytest.mark.parametrize(
    "keys",
    [
        replace(world.KEYS, issuers={}),
        replace(world.KEYS, audience="other"),
        replace(world.KEYS, issuers={("issuer:test", "k1"): world.public("mallory")}),
    ],
)
def test_another_bundle_forgets_everything(keys: Keys) -> None:
    text = world.text(world.mint())
    verifier = CachingVerifier(world.KEYS)
    assert not isinstance(verifier.authenticate(text), Deny)
    verifier.use_keys(keys)
    assert isinstance(verifier.authenticate(text), Deny)
    assert sizes(verifier) == [0, 0, 0]
    verifier.use_keys(world.KEYS)
    assert not isinstance(verifier.authenticate(text), Deny)


def test_what_is_no_text_is_refused_here_too() -> None:
    verifier = CachingVerifier(world.KEYS)
    texts: list[Any] = [None, 5, b"x", [], {}]
    for text in texts:
        decision = verifier.authenticate(text)
        assert isinstance(decision, Deny)
        assert decision.step == 1


def sizes(verifier: CachingVerifier) -> list[int]:
    """How many headers, prefixes and whole credentials are remembered."""
    trees = verifier._trees.values()
    found = [len(trees), sum(len(t.prefixes) for t in trees), sum(len(t.texts) for t in trees)]
    assert verifier._held == sum(found)
    return found

"""One token, two implementations: what is written here, pymacaroons reads, verifies and writes
again byte for byte; what pymacaroons narrows is read and honoured here.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nucleus_issuer.crosscheck import cross_check
from nucleus_tokens import chain, crypto, writing
from nucleus_verifier.authenticate import authenticate
from nucleus_verifier.decide import decide
from nucleus_verifier.decision import Allow, Deny
from tests.support import world
from tests.vectors import reading
from tests.wire.tools import assert_same_bytes, caveats, root_key, theirs, they_verify

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))
VALID = reading.document("valid")["cases"]
KEY = {"private": bytes.fromhex(reading.document("valid")["secrets"]["audience"])}


# What we write ----------------------------------------------------------------------------------


def test_a_minted_token() -> None:
    assert_same_bytes(world.text(world.mint()))


def test_a_token_with_every_field_of_a_header() -> None:
    token = world.mint(
        world.levels(read_files="low_risk"),
        ["path", "in", ["/srv/caf\u00e9"]],
        obligations=["git_push", "read_files"],
        narrowed=[(world.hex16("rid"), ["budget", "calls", 3])],
        account=("team", {"calls": 5, "micro_usd": 7}),
        ancestors=[(world.hex16("rid"), world.public("a"))],
    )
    assert_same_bytes(world.text(token))


def test_a_chain_of_delegations_and_its_request() -> None:
    token = world.hand(world.narrow(world.mint(), ["exp", world.NOW + 9]), depth=3)
    token = world.hand(world.narrow(token, ["tool", "in", ["fs.*"]]), "sub", "subsub", depth=2)
    assert_same_bytes(world.text(token))
    assert_same_bytes(world.request(token, world.read(), "subsub"))


@pytest.mark.parametrize("case", VALID, ids=lambda case: case["id"])
def test_every_valid_vector(case: dict[str, Any]) -> None:
    assert_same_bytes(case["credential"], **KEY)


# Over 128 patterns are refused in a whole chain, so few caveats at a time.
@settings(max_examples=150 * SCALE)
@given(st.lists(caveats, max_size=6))
@example([["arg", "*", {"/a~1b": ["equals", '\u2028"\\\x7f\x00']}]])
def test_any_caveats(restrictions: list[list[Any]]) -> None:
    token = world.narrow(world.mint(), *restrictions)
    assert_same_bytes(world.text(token))
    # Both append alike too.
    read = theirs(world.text(world.mint()))
    assert token.caveats == tuple(
        c.caveat_id_bytes for c in _they_append(read, *token.caveats).caveats
    )


def _they_append(read: Any, *raw: bytes) -> Any:
    for caveat in raw:
        read.add_first_party_caveat(caveat.decode())
    return read


# What pymacaroons writes ------------------------------------------------------------------------


@settings(max_examples=100 * SCALE)
@given(st.lists(caveats, min_size=1, max_size=4))
def test_what_pymacaroons_narrows_is_the_same_text(restrictions: list[list[Any]]) -> None:
    parent = world.mint()
    ours = world.narrow(parent, *restrictions)
    narrowed = _they_append(theirs(world.text(parent)), *ours.caveats)
    text = chain.PREFIX + narrowed.serialize().rstrip("=")
    assert text == world.text(ours)
    assert not isinstance(authenticate(text, world.KEYS), Deny)


def test_what_pymacaroons_narrows_is_honoured() -> None:
    """The caveat it appended decides; without it the same call is allowed."""
    parent = world.text(world.mint())
    spelled = writing.caveat(["path", "in", ["/srv/other"]])
    narrowed = _they_append(theirs(parent), spelled)
    text = chain.PREFIX + narrowed.serialize().rstrip("=")
    assert isinstance(decide(parent, world.read(), world.facts()), Allow)
    denied = decide(text, world.read(), world.facts())
    assert isinstance(denied, Deny)
    assert (denied.step, denied.code) == (10, "scope.outside")


def test_other_spellings_by_pymacaroons_users_are_refused() -> None:
    """pymacaroons appends any text; what is not a canonical caveat kills the token, loudly."""
    for text in ("tool = read", '["exp", 1800000100]', '["exp",1.8e9]', ""):
        narrowed = _they_append(theirs(world.text(world.mint())), text.encode())
        refused = authenticate(chain.PREFIX + narrowed.serialize().rstrip("="), world.KEYS)
        assert isinstance(refused, Deny)
        assert refused.step == 3


# The cross-check --------------------------------------------------------------------------------


def test_the_cross_check_agrees_on_what_is_valid() -> None:
    keys = reading.keys(reading.document("valid")["bundle"])
    for case in reading.document("valid")["cases"]:
        checked = cross_check(case["credential"], keys)
        assert checked.agrees, (case["id"], checked.differences)
        assert checked.ours.holds is True, case["id"]


@pytest.mark.parametrize("name", ["invalid", "malleable"])
def test_the_cross_check_is_total(name: str) -> None:
    """Every refused credential gets an answer. Where the two differ the kernel refuses more, but
    for one caveat: pymacaroons cannot verify bytes that are not UTF-8."""
    keys = reading.keys(reading.document(name)["bundle"])
    for case in reading.document(name)["cases"]:
        checked = cross_check(case["credential"], keys)
        if case["id"] == "caveat-not-utf8":
            assert "pymacaroons does not: UnicodeDecodeError" in checked.differences[0]
        elif not checked.agrees:
            (said,) = checked.differences
            assert said == f"pymacaroons reads it, the kernel does not: {checked.ours.refused}"


def test_the_cross_check_without_the_key_says_nothing_of_the_chain() -> None:
    checked = cross_check(world.text(world.mint()), world.KEYS)
    assert checked.agrees
    assert checked.ours.holds is checked.theirs.holds is True
    other = world.text(world.mint(signer=world.SIGNER, audience=_elsewhere()))
    checked = cross_check(other, world.KEYS)
    assert checked.agrees
    assert checked.ours.holds is checked.theirs.holds is None


def _elsewhere() -> Any:
    from nucleus_issuer.mint import Audience

    return Audience("proxy:other", "a9", crypto.exchange_public_of(world.secret("other")))


def test_the_cross_check_sees_a_kernel_that_computes_another_mac(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control: a cross-check that cannot fail checks nothing."""
    text = world.text(world.narrow(world.mint(), ["exp", world.NOW + 9]))
    real = crypto.mac
    monkeypatch.setattr(crypto, "mac", lambda key, data: real(key, data + b"\0"))
    checked = cross_check(text, world.KEYS)
    assert checked.differences == ("they differ on the chain",)


def test_the_cross_check_sees_a_kernel_that_reads_another_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = world.text(world.narrow(world.mint(), ["exp", world.NOW + 9]))
    real = chain.parse
    monkeypatch.setattr(chain, "parse", lambda raw: real(raw)._replace(caveats=()))
    checked = cross_check(text, world.KEYS)
    assert "they differ on the caveats" in checked.differences
    assert "they differ on the text" in checked.differences


def test_a_flipped_tag_holds_for_neither() -> None:
    token = world.mint()
    flipped = token._replace(tag=bytes((token.tag[0] ^ 1, *token.tag[1:])))
    assert not they_verify(theirs(world.text(flipped)), root_key(token))
    checked = cross_check(world.text(flipped), world.KEYS)
    assert checked.agrees
    assert checked.ours.holds is checked.theirs.holds is False

"""Where agreeing with pymacaroons 0.13 would be a bug. Each test shows what it does, and that the
kernel does otherwise; if a later pymacaroons is stricter, the first half says so.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest
from pymacaroons import Macaroon, Verifier
from pymacaroons.caveat import Caveat
from pymacaroons.exceptions import MacaroonInvalidSignatureException
from pymacaroons.serializers.binary_serializer import BinarySerializer, _decode_uvarint
from pymacaroons.verifier import FirstPartyCaveatVerifierDelegate

from nucleus_issuer.crosscheck import cross_check
from nucleus_tokens import caveats, chain, crypto
from nucleus_tokens.errors import CredentialError
from nucleus_verifier.authenticate import authenticate
from nucleus_verifier.decide import decide
from nucleus_verifier.decision import Allow, Deny
from tests.support import world
from tests.vectors import reading
from tests.wire.tools import counted, root_key, theirs, they_verify


def refused(text: str) -> tuple[int, str]:
    """The kernel's step and code."""
    denied = authenticate(text, world.KEYS)
    assert isinstance(denied, Deny), "the kernel accepted it"
    return denied.step, denied.code


def raw_text(raw: bytes) -> str:
    return chain.PREFIX + chain.to_text(raw)


# Trap 1: caveats nobody signed ------------------------------------------------------------------


def test_unsigned_caveats_do_not_verify() -> None:
    """pymacaroons skips the MAC of a caveat that is not met, so anybody appends some to a token and
    it still verifies: an audit, a budget or a revocation id read from them is the attacker's."""
    token = world.narrow(world.mint(), ["tool", "in", ["fs.read"]])
    read = theirs(world.text(token))
    invented = '["delegate",{"to":"admin"}]'
    read.caveats.append(Caveat(caveat_id=invented, version=2))
    read = Macaroon.deserialize(read.serialize())
    judge = Verifier()
    judge.satisfy_exact('["tool","in",["fs.read"]]')
    assert judge.verify(read, root_key(token)) is True
    assert read.caveats[-1].caveat_id_bytes == invented.encode()

    text = chain.PREFIX + read.serialize().rstrip("=")
    assert refused(text) == (3, "token.forged")


def test_a_caveat_that_is_not_met_is_not_a_forged_token() -> None:
    """pymacaroons reports an honest caveat that is not met as a wrong signature, without its name:
    nobody can tell tampering from a denial."""
    token = world.narrow(world.mint(), ["tool", "in", ["fs.list"]])
    judge = Verifier()
    with pytest.raises(MacaroonInvalidSignatureException, match="Signatures do not match"):
        judge.verify(theirs(world.text(token)), root_key(token))

    denied = decide(world.text(token), world.read(), world.facts())
    assert isinstance(denied, Deny)
    assert (denied.step, denied.code, denied.source) == (10, "scope.outside", ("caveat", 1))


# Traps 3 and 4: satisfiers ----------------------------------------------------------------------


def test_no_caveat_of_a_forged_token_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """pymacaroons shows every caveat to the satisfiers before it knows whether anybody signed it.
    The kernel computes the MAC over all of them first, and parses none when it does not hold."""
    token = world.forge(world.mint(), *[b'["exp",1]'] * 5)._replace(tag=bytes(32))
    shown: list[str] = []

    def satisfier(caveat: str) -> bool:
        shown.append(caveat)
        return True

    judge = Verifier()
    judge.satisfy_general(satisfier)
    with pytest.raises(MacaroonInvalidSignatureException):
        judge.verify(theirs(world.text(token)), root_key(token))
    assert len(shown) == 5, "attacker's text went into the satisfier"

    with counted(monkeypatch, (caveats, "parse")) as calls:
        assert refused(world.text(token)) == (3, "token.forged")
    assert calls == {"parse": 0}


def test_one_sloppy_satisfier_does_not_satisfy_every_caveat() -> None:
    """pymacaroons asks whether ANY satisfier says yes; here a caveat has one meaning."""
    token = world.narrow(
        world.mint(), ["path", "in", ["/srv"]], ["path", "in", ["/nowhere"]], ["exp", 1]
    )
    judge = Verifier()
    judge.satisfy_general(lambda caveat: caveat.startswith("["))
    judge.satisfy_general(lambda _: False)
    assert judge.verify(theirs(world.text(token)), root_key(token)) is True

    denied = decide(world.text(token), world.read(), world.facts())
    assert isinstance(denied, Deny)
    assert denied.code == "token.expired"


def test_answers_are_not_added_up() -> None:
    """pymacaroons sums the satisfiers' results: yes and minus one make no. A decision here is a
    value without a truth value."""
    token = world.narrow(world.mint(), ["exp", world.NOW + 10])
    judge = Verifier()
    judge.satisfy_general(lambda _: True)
    judge.satisfy_general(lambda _: -1)
    with pytest.raises(MacaroonInvalidSignatureException):
        judge.verify(theirs(world.text(token)), root_key(token))

    allowed = decide(world.text(token), world.read(), world.facts())
    assert isinstance(allowed, Allow)
    with pytest.raises(TypeError, match="no truth value"):
        bool(allowed)


# Trap 5: discharges -----------------------------------------------------------------------------


def test_the_work_of_discharges_does_not_double_per_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """A discharge that needs the next one twice doubles pymacaroons' work per level: 4.5 kB are a
    second of CPU. Here a third-party section is refused before a single MAC is computed."""
    work = []
    for depth in (4, 5, 6):
        root, discharges = _tower(depth)
        with counted(
            monkeypatch, (FirstPartyCaveatVerifierDelegate, "verify_first_party_caveat")
        ) as calls:
            judge = Verifier()
            judge.satisfy_general(lambda _: True)
            assert judge.verify(root, b"k" * 32, discharges)
        work.append(calls["verify_first_party_caveat"])
    assert work == [8, 16, 32]

    root, _ = _tower(6)
    with counted(monkeypatch, (crypto, "mac_chain"), (crypto, "verify")) as calls:
        assert refused(chain.PREFIX + root.serialize().rstrip("=")) == (1, "token.malformed")
    assert calls == {"mac_chain": 0, "verify": 0}


def _tower(depth: int) -> tuple[Macaroon, list[Macaroon]]:
    """A token whose discharge needs the next one twice, and so on; the last has one caveat."""
    root = Macaroon(location="", identifier="root", key=b"k" * 32, version=2)
    keys = [bytes((i,)) * 32 for i in range(depth)]
    root.add_third_party_caveat("", keys[0], "d0")
    made = []
    for i in range(depth):
        discharge = Macaroon(location="", identifier=f"d{i}", key=keys[i], version=2)
        for _ in range(2 if i + 1 < depth else 0):
            discharge.add_third_party_caveat("", keys[i + 1], f"d{i + 1}")
        if i + 1 == depth:
            discharge.add_first_party_caveat("leaf")
        made.append(root.prepare_for_request(discharge))
    return root, made


# Trap 6: sizes ----------------------------------------------------------------------------------


def test_a_length_is_bounded() -> None:
    """pymacaroons follows a varint as far as it goes, into a number of any size: 256 kB of 0xff are
    11 seconds. Here the third byte of a length is already refused."""
    for size in (100, 1000, 4000):
        number, read = _decode_uvarint(b"\xff" * size + b"\x01")
        assert read == size + 1
        assert number.bit_length() == 7 * size + 1, "as many bits as the attacker sends"

    with pytest.raises(CredentialError, match="a length that is not minimal"):
        chain.parse(b"\x02\x01\x00\x02" + b"\xff" * 4000)


def test_the_size_is_bounded_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """pymacaroons takes a caveat of a megabyte. Here over 7,168 characters are not decoded."""
    large = Macaroon(location="", identifier="i", key=b"k", version=2)
    large.add_first_party_caveat("a" * 1_000_000)
    assert len(Macaroon.deserialize(large.serialize()).caveats[0].caveat_id) == 1_000_000

    with counted(monkeypatch, (chain, "from_text"), (chain, "parse")) as calls:
        assert refused(chain.PREFIX + large.serialize().rstrip("=")) == (1, "token.too_large")
    assert calls == {"from_text": 0, "parse": 0}


def test_the_number_of_caveats_is_bounded() -> None:
    token = world.mint()
    read = theirs(world.text(token))
    for _ in range(300):
        read.add_first_party_caveat('["exp",1]')
    text = chain.PREFIX + read.serialize().rstrip("=")
    assert len(theirs(text).caveats) == 300
    assert they_verify(theirs(text), root_key(token))
    assert refused(text) == (1, "token.malformed")


# Trap 7: malleability ---------------------------------------------------------------------------

# What pymacaroons reads, and says that its chain holds, in the malleable vectors.
TAKEN_BY_THEM = {
    "padding", "spare-bits", "standard", "newline", "inner-newline", "space", "garbage",
    "equals-inside", "nul", "unicode", "dot", "two-dots", "trailing", "trailing-token",
    "no-location", "location", "varint-caveat", "varint-identifier", "tag-twice",
}  # fmt: skip


def test_one_token_has_one_text() -> None:
    """Nineteen other spellings of one token verify in pymacaroons. A text is then no identity: a
    cache, a replay list or a log keyed on it is walked around by adding a space."""
    file = reading.document("malleable")
    keys = reading.keys(file["bundle"])
    assert not isinstance(authenticate(file["spells"], keys), Deny)
    taken = set()
    for case in file["cases"]:
        checked = cross_check(case["credential"], keys)
        assert checked.ours.refused or case["id"] == "header-signature"
        assert isinstance(authenticate(case["credential"], keys), Deny), case["id"]
        if checked.theirs.holds and not checked.agrees:
            taken.add(case["id"])
    assert taken == TAKEN_BY_THEM


def test_the_location_that_nobody_signed_is_refused() -> None:
    """In pymacaroons a changed location verifies: whoever sends people there is believed."""
    token = world.mint()
    read = theirs(world.text(token))
    read.location = "https://evil.example"
    again = Macaroon.deserialize(read.serialize())
    assert they_verify(again, root_key(token))
    assert again.location == "https://evil.example"
    assert refused(chain.PREFIX + read.serialize().rstrip("=")) == (1, "token.malformed")


def test_the_v1_form_is_refused() -> None:
    """In v1 whatever stands behind the signature is read too, and the last signature wins."""
    one = Macaroon(location="", identifier="i", key=b"k", version=1)
    form = BinarySerializer()
    raw = base64.urlsafe_b64decode(one.serialize() + "==")
    raw += form._packetize(b"cid", b"admin = true") + form._packetize(b"identifier", b"other")
    read = form.deserialize_raw(raw)
    assert (read.identifier, len(read.caveats)) == ("other", 1)
    assert refused(raw_text(raw)) == (1, "token.malformed")


# Trap 9: a verification id that disappears ------------------------------------------------------


def test_a_third_party_caveat_does_not_turn_into_a_first_party_one() -> None:
    """In v1 pymacaroons drops the verification id when the location is empty: what demanded
    somebody else's consent becomes a text that a satisfier may agree to. Here there is no v1, and
    a section with a verification id is refused at once."""
    one = Macaroon(location="", identifier="i", key=b"k", version=1)
    one.add_third_party_caveat("", b"other", "ask-mother")
    assert one.caveats[0].third_party()
    read = Macaroon.deserialize(one.serialize())
    assert read.caveats[0].caveat_id == "ask-mother"
    assert not read.caveats[0].third_party()

    token = world.mint()
    with_vid: Any = theirs(world.text(token))
    with_vid.add_third_party_caveat("", b"other", "ask-mother")
    assert refused(chain.PREFIX + with_vid.serialize().rstrip("=")) == (1, "token.malformed")
    assert refused(chain.PREFIX + one.serialize().rstrip("=")) == (1, "token.malformed")

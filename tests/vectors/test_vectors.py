"""The vectors, judged by this implementation: each file says what must come out.

Effects of the bugs they catch stand in each case's note. The expectations were written by hand,
and the credentials by a writer that shares no code with what is judged here.
"""

from __future__ import annotations

import functools
import struct
from typing import Any

import pytest
from nacl.public import PrivateKey, SealedBox

from nucleus_tokens import arguments, chain, exchanges, header
from nucleus_tokens.arguments import args_digest
from nucleus_tokens.arguments import encode as jcs
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.jcs import number
from nucleus_verifier.caching import CachingVerifier
from nucleus_verifier.clear import clear
from nucleus_verifier.decide import decide
from nucleus_verifier.decision import Decision, Deny
from nucleus_verifier.record import spell_decision
from tests.vectors import generate, reading, writer
from tests.vectors.frozen import FORMAT, identifier
from tests.vectors.reading import FILES, document
from tests.vectors.writer import exchange_public, key

FIELDS = {"id", "note", "credential", "expect"}
MAY = {"call", "facts", "parts"}


@functools.cache
def _generated() -> dict[str, dict[str, Any]]:
    return generate.documents()


def _cases(*files: str) -> list[Any]:
    return [
        pytest.param(name, case, id=f"{name}-{case['id']}")
        for name in files
        for case in document(name)["cases"]
    ]


@pytest.mark.parametrize("name", [*FILES, "exchange"])
def test_the_generator_writes_the_committed_files(name: str) -> None:
    """Byte for byte: the format did not move, and nobody edited a vector to make it pass."""
    committed = (reading.HERE / f"{name}.json").read_text(encoding="ascii")
    # Not compared by ==, whose difference would be megabytes.
    assert (generate.spelled(_generated()[name]) == committed) is True


@pytest.mark.parametrize("name", FILES)
def test_every_case_is_whole(name: str) -> None:
    file = document(name)
    assert file["format"] == FORMAT
    seen = [case["id"] for case in file["cases"]]
    assert len(set(seen)) == len(seen), "an id names one case"
    for case in file["cases"]:
        assert FIELDS <= set(case) <= FIELDS | MAY, case["id"]
        assert len(case["note"]) > 3, f"{case['id']}: say which bug it catches"


@pytest.mark.parametrize(("name", "case"), _cases(*FILES))
def test_the_answer_is_the_expected_one(name: str, case: dict[str, Any]) -> None:
    credential, call, facts = reading.judged(document(name), case)
    assert spell_decision(decide(credential, call, facts)) == case["expect"], case["note"]


def test_a_cache_changes_no_answer() -> None:
    """One cache for all of them, twice: what one credential left there serves no other."""
    for name in FILES:
        file = document(name)
        verifier = CachingVerifier(reading.keys(file["bundle"]), size=64)
        for _ in range(2):
            for case in file["cases"]:
                credential, call, facts = reading.judged(file, case)
                verified = verifier.authenticate(credential)
                got: Decision = (
                    verified if isinstance(verified, Deny) else clear(verified, call, facts)
                )
                assert spell_decision(got) == case["expect"], case["id"]


@pytest.mark.parametrize("name", ["invalid", "malleable"])
def test_these_files_hold_refusals_only(name: str) -> None:
    assert {case["expect"]["verdict"] for case in document(name)["cases"]} == {"deny"}


def test_a_spelling_that_is_refused_differs_from_the_one_that_is_not() -> None:
    """Otherwise a malleable vector would test nothing."""
    file = document("malleable")
    assert all(case["credential"] != file["spells"] for case in file["cases"])
    valid = [case["credential"] for case in document("valid")["cases"]]
    assert file["spells"] in valid, "the token that is spelled in other ways is a valid vector"


@pytest.mark.parametrize("case", document("valid")["cases"], ids=lambda c: c["id"])
def test_the_parts_are_what_is_inside(case: dict[str, Any]) -> None:
    """For whoever writes a parser: what it must find."""
    token, _ = chain.read_credential(case["credential"])
    expected = case["parts"]
    assert token.identifier.hex() == expected["identifier"]
    assert [c.decode() for c in token.caveats] == expected["caveats"]
    assert token.tag.hex() == expected["tag"]
    assert chain.rid(token.tag) == expected["rids"][-1]


@pytest.mark.parametrize("case", document("revocation")["preimages"], ids=lambda c: c["id"])
def test_preimages_and_rids(case: dict[str, Any]) -> None:
    """A rid follows from the preimage and the preimage from the tag, each by one hash."""
    token, _ = chain.read_credential(case["credential"])
    tags = [bytes.fromhex(p["tag"]) for p in case["prefixes"]]
    assert [chain.follow(tags[0], token.caveats[:n])[0] for n in range(len(tags))] == tags
    for prefix in case["prefixes"]:
        preimage = chain.preimage(bytes.fromhex(prefix["tag"]))
        assert preimage.hex() == prefix["preimage"]
        assert chain.rid_of_preimage(preimage) == prefix["rid"]


@pytest.mark.parametrize("case", document("exchange")["cases"], ids=lambda c: c["id"])
def test_statements_that_ask_for_an_exchange(case: dict[str, Any]) -> None:
    token, _ = chain.read_credential(case["credential"])
    found = _of_statement(token, case)
    assert found == case["expect"], case["note"]


def _of_statement(token: chain.UnverifiedToken, case: dict[str, Any]) -> str:
    try:
        statement = exchanges.parse(chain.from_text(case["statement"]))
    except CredentialError as refused:
        return refused.code
    held = exchanges.holds(statement, token, bytes.fromhex(case["holder"]))
    return "holds" if held else "fails"


def test_the_frozen_seal_is_a_sealed_box() -> None:
    """libsodium opens it: only the drawing of the ephemeral key differs from the real one."""
    private = key("audience")
    sealed = writer.seal(exchange_public(private), b"k" * 32, key("any"))
    assert bytes(SealedBox(PrivateKey(private)).decrypt(sealed)) == b"k" * 32
    parsed = header.parse(identifier())
    exchange = SealedBox(PrivateKey(key("exchange")))
    assert bytes(exchange.decrypt(parsed.seal_issuer)) == key("root")


# Arguments --------------------------------------------------------------------------------------


def test_numbers_are_spelled_as_ecmascript_spells_them() -> None:
    """One digit of another spelling is another digest: a correct client would be refused."""
    wrong = []
    for bits, text in document("jcs")["numbers"]:
        got = number(*struct.unpack(">d", bytes.fromhex(bits)))
        if got != text:
            wrong.append((bits, got, text))
    assert not wrong, f"{len(wrong)} of them, such as {wrong[:5]}"


@pytest.mark.parametrize("case", document("jcs")["objects"], ids=lambda c: c["id"])
def test_arguments_have_one_spelling_and_one_digest(case: dict[str, Any]) -> None:
    value = arguments.parse(case["text"].encode())
    assert jcs(value).decode() == case["jcs"]
    assert args_digest(value).hex() == case["digest"]
    again = arguments.parse(case["jcs"].encode())
    assert jcs(again).decode() == case["jcs"]


@pytest.mark.parametrize("case", document("jcs")["refused"], ids=lambda c: c["id"])
def test_arguments_two_readers_read_differently_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(CredentialError) as refused:
        arguments.parse(case["text"].encode("utf-8", "surrogatepass"))
    assert refused.value.code == "json.refused", case["note"]

"""One value, one spelling: at every layer, what is read writes back to the same bytes, and every
other spelling of it is refused.
"""

from __future__ import annotations

import json
import os
import unicodedata
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from nucleus_tokens import arguments, canonical, caveats, chain, holding, limits, writing
from nucleus_tokens.arguments import args_digest
from nucleus_tokens.arguments import encode as jcs
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CallerError, CredentialError
from tests.support import world
from tests.wire.tools import caveats as restrictions

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))
BIG = 2**53 - 1
many = settings(max_examples=200 * SCALE)
some = settings(max_examples=80 * SCALE)

_strings = st.text(max_size=20).filter(lambda s: unicodedata.is_normalized("NFC", s))
_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-BIG, BIG) | _strings,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_strings, inner, max_size=4),
    max_leaves=8,
)
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-BIG, BIG)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
_fields = st.binary(max_size=300)


# Canonical JSON ---------------------------------------------------------------------------------


@many
@given(_plain)
def test_canonical_json_goes_there_and_back(value: Any) -> None:
    assert canonical.decode(canonical.encode(value)) == value


@many
@given(
    _plain, st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (",", ": ")]), st.booleans()
)
def test_another_spelling_is_refused(
    value: Any, ascii_only: bool, separators: tuple[str, str], backwards: bool
) -> None:
    """Whoever keys anything on the bytes must find one value under one key."""
    if backwards and type(value) is dict:
        value = dict(sorted(value.items(), reverse=True))
    spelled = json.dumps(value, ensure_ascii=ascii_only, separators=separators).encode()
    if spelled == canonical.encode(value):
        assert canonical.decode(spelled) == value
    else:
        with pytest.raises(CredentialError):
            canonical.decode(spelled)


@many
@given(st.text('[]{}":,0123456789.eE+-\\utrnfalsb \u00e9e\u0301', max_size=24))
@example("[9007199254740992]")
@example("99999999999999999999999999")
@example("-0")
@example('"\u00e9"')
@example('"e\u0301"')
@example('"\\ud800"')
def test_what_is_read_is_the_one_spelling(text: str) -> None:
    try:
        value = canonical.decode(text.encode())
    except CredentialError:
        return
    assert canonical.encode(value) == text.encode()


@pytest.mark.parametrize(
    "value",
    [0.5, 1.0, float("nan"), 2**53, -(2**53), "e\u0301", "\ud800", {"e\u0301": 1}, {1: 2}, b"x",
     {"a": {1, 2}}, object],
)  # fmt: skip
def test_what_has_no_spelling_is_not_written(value: Any) -> None:
    for shown in (value, [value], {"k": value}):
        with pytest.raises(ValueError):
            canonical.encode(shown)


def test_what_is_nested_too_deeply_is_not_written() -> None:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(ValueError):
        canonical.encode(value)
    with pytest.raises(CredentialError):
        writing.caveat(value)


# Caveats ----------------------------------------------------------------------------------------


@many
@given(restrictions)
def test_a_caveat_has_one_spelling(value: list[Any]) -> None:
    data = writing.caveat(value)
    assert canonical.decode(data) == value
    assert writing.caveat(canonical.decode(data)) == data
    with pytest.raises(CredentialError):
        caveats.parse(data + b" ")
    with pytest.raises(CredentialError):
        caveats.parse(json.dumps(value).encode())


_pieces = st.lists(st.sampled_from([
    "[", "]", "{", "}", ",", ":", '"', '"a"', '"b"', '"\\u0061"', '"\\ud800"', '"\u00e9"',
    '"e\u0301"', "0", "-0", "01", "7", "1.0", "1e2", "true", "null", " ", "\n", "\t", '"a b"',
    '{"a":1,"b":2}', '{"b":1,"a":2}', '{"a":1,"a":2}', '"\\/"', '"\\n"', "\x7f", '["exp",1]',
    '["link","0"]', "",
]), max_size=6).map("".join)  # fmt: skip


@settings(max_examples=1500 * SCALE)
@given(st.lists(_pieces, max_size=4))
@example(['["a"],["b"', '"c"]'])
@example(['["a" ]', "[-0]"])
@example(['"\\u0061"', '"\\ud83d\\ude00"'])
@example(["-0"])
@example(["01"])
@example(["1 ", '"\\ud800"'])
def test_texts_read_together_are_read_as_each_alone(texts: list[str]) -> None:
    """Values and refusals: no part may lean on its neighbour, and no length make up for another."""
    parts = [text.encode("utf-8", "surrogatepass") for text in texts]
    try:
        alone = [_slowly(part) for part in parts]
    except ValueError:
        with pytest.raises(CredentialError):
            canonical.decode_all(parts)
    else:
        assert repr(canonical.decode_all(parts)) == repr(alone)


def _slowly(data: bytes) -> Any:
    """Canonical JSON by the standard library's own reader and writer; ValueError for the rest."""

    def no_float(_: str) -> Any:
        raise ValueError("no floats")

    text = data.decode("utf-8")
    value = json.loads(text, parse_float=no_float, parse_constant=no_float)
    again = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if again != text or not unicodedata.is_normalized("NFC", text):
        raise ValueError("another spelling")
    return value


# The chain --------------------------------------------------------------------------------------


@some
@example([b'["req",'], [["exposure", []]])
@given(st.lists(_fields, max_size=4), st.lists(restrictions, min_size=1, max_size=3))
def test_narrowing_a_text_is_narrowing_its_token(raw: list[bytes], added: list[list[Any]]) -> None:
    """Splicing gives the bytes that writing the whole token again gives, wherever a group of four
    characters ends, and the same refusals."""
    for length in range(3):
        token = UnverifiedToken(b"i" * (200 + length), tuple(raw), b"t" * 32)
        text = world.text(token)
        if raw and raw[-1].startswith(b'["req",'):
            with pytest.raises(CallerError, match=r"token\.sealed"):
                holding.narrow(text, *added)
            with pytest.raises(CallerError, match=r"token\.sealed"):
                holding.attenuate(token, *added)
            continue
        assert holding.narrow(f" {text}\n", *added) == world.text(holding.attenuate(token, *added))


def test_a_text_that_cannot_be_narrowed() -> None:
    sealed = world.text(UnverifiedToken(b"i", (b'["req",{}]',), b"t" * 32))
    full = world.text(UnverifiedToken(b"i", (b"x",) * limits.CAVEATS, b"t" * 32))
    long = world.text(UnverifiedToken(b"i" * 5330, (), b"t" * 32))
    narrow = ["path", "in", ["/data"]]
    for text, restriction, code in (
        (sealed, narrow, "token.sealed"),
        (full, narrow, "token.too_large"),
        (long, narrow, "token.too_large"),
        (long, ["path", "in", [""]], "caveat.malformed"),
        (long, ["req", {}], "caveat.reserved"),
        ("nuc1_+", narrow, "token.encoding"),
        (f"{full}.{'A' * 86}", narrow, "token.has_proof"),
    ):
        with pytest.raises((CallerError, CredentialError)) as refused:
            holding.narrow(text, restriction)
        assert refused.value.code == code


@some
@given(st.binary(max_size=90), st.integers(0, 30), st.booleans())
def test_a_start_that_was_read_before_changes_nothing(raw: bytes, groups: int, proof: bool) -> None:
    token = UnverifiedToken(raw, (b'["exp",1]',), b"t" * 32)
    text = writing.write_credential(token, b"p" * 64 if proof else None)
    body = text[5:].partition(".")[0]
    known = body[: 4 * min(groups, len(body) // 4)]
    start = chain.Spelled("nuc1_" + known, chain.from_text(known))
    assert chain.read_credential(text, start) == chain.read_credential(text)


@some
@given(st.binary(max_size=400), st.lists(_fields, max_size=8), st.binary(min_size=32, max_size=32))
def test_a_token_goes_there_and_back(identifier: bytes, raw: list[bytes], tag: bytes) -> None:
    token = UnverifiedToken(identifier, tuple(raw), tag)
    assert chain.parse(writing.render(token)) == token
    assert chain.read_credential(world.text(token)).token == token
    assert holding.read_token(f" {world.text(token)}\n") == token


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 255, 256, 2047, 2048, 5000])
def test_lengths_around_the_edges_of_a_varint(size: int) -> None:
    token = UnverifiedToken(b"i", (b"x" * size,) if size < 3000 else (), b"t" * 32)
    longer = token._replace(identifier=b"i" * size)
    for one in (token, longer):
        assert chain.parse(writing.render(one)) == one


@many
@given(st.data())
def test_bytes_that_are_read_are_written_again(data: st.DataObject) -> None:
    """A token with an edit: whatever still parses has exactly these bytes."""
    raw = bytearray(writing.render(UnverifiedToken(b"i" * 130, (b"a", b"bc"), b"t" * 32)))
    at = data.draw(st.integers(0, len(raw) - 1))
    new = data.draw(st.binary(max_size=3))
    raw[at : at + data.draw(st.integers(0, 3))] = new
    try:
        token = chain.parse(bytes(raw))
    except CredentialError:
        return
    assert writing.render(token) == raw


@pytest.mark.parametrize("start", ["", "A", "AA", "AAA", "AAAA_", "AAAA-9"])
def test_no_last_character_has_unused_bits(start: str) -> None:
    """All that can stand there, by length: what would decode to the same bytes is refused."""
    accepted = {}
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=":
        try:
            accepted[start + last] = chain.from_text(start + last)
        except CredentialError:
            continue
    assert len(accepted) == {1: 0, 2: 4, 3: 16, 0: 64}[(len(start) + 1) % 4]
    assert len(set(accepted.values())) == len(accepted)
    for text, raw in accepted.items():
        assert chain.to_text(raw) == text


@some
@given(st.binary(max_size=60), st.data())
def test_base64url_has_one_spelling(raw: bytes, data: st.DataObject) -> None:
    text = chain.to_text(raw)
    assert chain.from_text(text) == raw
    alphabet = "ABCxyz059-_+/=\n \0\u00e9."
    at = data.draw(st.integers(0, len(text)))
    rest = text[at + data.draw(st.integers(0, 2)) :]
    other = text[:at] + data.draw(st.text(alphabet, max_size=3)) + rest
    try:
        read = chain.from_text(other)
    except CredentialError:
        return
    assert chain.to_text(read) == other


@pytest.mark.parametrize("padding", ["=", "==", "===", "====", "A=", "AA=", "AAA="])
def test_padding_is_refused_at_every_length(padding: str) -> None:
    for size in range(6):
        with pytest.raises(CredentialError):
            chain.from_text(chain.to_text(bytes(size)) + padding)


def test_a_credential_of_the_greatest_length_and_one_more() -> None:
    fits = world.text(UnverifiedToken(b"i" * 5325, (), b"t" * 32))
    assert len(fits) <= limits.CREDENTIAL_CHARS
    chain.read_credential(fits)
    with pytest.raises(CallerError, match="at most 7168 fit"):
        world.text(UnverifiedToken(b"i" * 5400, (), b"t" * 32))
    with pytest.raises(CallerError, match="at most 64"):
        writing.render(UnverifiedToken(b"i", (b"c",) * 65, b"t" * 32))
    with pytest.raises(CallerError, match="does not fit"):
        writing.render(UnverifiedToken(b"i" * 16384, (), b"t" * 32))


def test_a_stored_token_has_no_proof_and_no_request() -> None:
    bound = world.request(world.mint(), world.read())
    with pytest.raises(CallerError) as refused:
        holding.read_token(bound)
    assert refused.value.code == "token.has_proof"
    token = chain.read_credential(bound).token
    with pytest.raises(CallerError) as sealed:
        holding.attenuate(token, ["exp", 1])
    assert sealed.value.code == "token.sealed"
    with pytest.raises(CallerError) as sealed:
        world.hand(token)
    assert sealed.value.code == "token.sealed"


@pytest.mark.parametrize(
    "value",
    [["delegate", {}, ""], ["req", {}], ["exp", "x"], ["nothing"], [], {"a": 1}, "exp", 5, None,
     ["exp", float("nan")], ["tool", "in", ["\ud800"]]],
)  # fmt: skip
def test_nothing_is_appended_that_no_verifier_would_read(value: Any) -> None:
    with pytest.raises((CredentialError, CallerError)):
        holding.attenuate(world.mint(), value)


# Arguments --------------------------------------------------------------------------------------


@many
@given(_json)
def test_the_spelling_of_arguments_is_a_fixed_point(value: Any) -> None:
    """What `jcs` writes is read as a value with the same spelling, also by other readers."""
    try:
        spelled = jcs(value)
    except CallerError:
        assume(False)
        return
    again = arguments.parse(spelled)
    assert jcs(again) == spelled
    assert args_digest(again) == args_digest(value)
    assert jcs(json.loads(json.dumps(value))) == spelled


@many
@given(_json, st.booleans(), st.sampled_from([None, 1, 3]))
def test_white_space_and_escapes_change_no_digest(
    value: Any, ascii_only: bool, indent: Any
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    try:
        read = arguments.parse(text.encode("utf-8", "surrogatepass"))
    except CredentialError:
        with pytest.raises(CallerError):
            jcs(value)
        return
    assert args_digest(read) == args_digest(value)


def test_how_deep_and_how_long_arguments_may_be() -> None:
    depth = limits.JSON_DEPTH
    assert arguments.parse(b"[" * depth + b"]" * depth)
    for text in (b"[" * (depth + 1) + b"1" + b"]" * (depth + 1), b'{"a":' * 65 + b"1" + b"}" * 65):
        with pytest.raises(CredentialError, match="nested"):
            arguments.parse(text)
    assert arguments.parse(b'"' + b"x" * 98 + b'"', 100) == "x" * 98
    with pytest.raises(CredentialError, match="longer than 99 bytes"):
        arguments.parse(b'"' + b"x" * 98 + b'"', 99)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 2**53, -(2**53), 1e20, "\ud800", {"\udfff": 1}, {1: 2}, (1, 2),
     b"x", {"a": {1}}],
)  # fmt: skip
def test_a_holder_does_not_sign_what_is_no_json(value: Any) -> None:
    """A signature over a digest that nobody else computes would be refused later, far away."""
    for shown in (value, {"k": [value]}):
        with pytest.raises(CallerError) as refused:
            holding.request(
                world.mint(), world.secret("agent"), tool="t", args=shown, time=1,
                nonce="00" * 16, instance="i",
            )  # fmt: skip
        assert refused.value.code == "json.refused"

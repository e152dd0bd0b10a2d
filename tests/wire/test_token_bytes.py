"""Every single byte of a token counts: nothing stands in it that could stand there otherwise."""

from __future__ import annotations

import pytest

from nucleus_tokens import chain, writing
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CredentialError


def test_a_field_of_any_length_may_hold_zeros() -> None:
    """What ends a field is its length, and no zero that stands where a shorter one would end."""
    for size in range(700):
        one = UnverifiedToken(b"i", (b"\0" * size, b"c"), b"t" * 32)
        assert chain.parse(writing.render(one)) == one
        longer = UnverifiedToken(b"\0" * size, (b"c",), b"\0" * 32)
        assert chain.parse(writing.render(longer)) == longer


def test_every_byte_put_in_place_of_another_is_refused_or_another_token() -> None:
    raw = writing.render(UnverifiedToken(b"i", (b"c", b"d" * 130), b"t" * 32))
    read = 0
    for at in range(len(raw)):
        for value in range(256):
            changed = raw[:at] + bytes([value]) + raw[at + 1 :]
            try:
                token = chain.parse(changed)
            except CredentialError:
                continue
            read += 1
            assert writing.render(token) == changed
    assert read > 256 * 160


def test_every_part_of_a_token_alone_is_refused() -> None:
    raw = writing.render(UnverifiedToken(b"i" * 130, (b"c", b"d" * 130), b"t" * 32))
    for end in range(len(raw)):
        with pytest.raises(CredentialError, match=r"\[token\.malformed\]"):
            chain.parse(raw[:end])
    with pytest.raises(CredentialError, match=r"\[token\.malformed\]"):
        chain.parse(raw + b"t")


@pytest.mark.parametrize("size", [16255, 16256, 16300, 16383])
def test_the_greatest_length_that_two_bytes_can_say(size: int) -> None:
    one = UnverifiedToken(b"i" * size, (), b"t" * 32)
    assert chain.parse(writing.render(one)) == one


@pytest.mark.parametrize("high", [0, 128, 129, 255])
def test_a_length_of_more_bytes_or_of_more_than_it_needs_is_refused(high: int) -> None:
    body = b"i" * (high << 7)
    raw = chain.HEAD + bytes([2, 128, high]) + body + b"\0" + chain.TAIL + b"t" * 32
    with pytest.raises(CredentialError, match=r"\[token\.malformed\]"):
        chain.parse(raw)


@pytest.mark.parametrize("size", [0, 1, 63, 65, 128])
def test_a_proof_is_of_64_bytes(size: int) -> None:
    token = UnverifiedToken(b"i", (), b"t" * 32)
    text = chain.PREFIX + chain.to_text(writing.render(token))
    with pytest.raises(CredentialError, match=r"\[token\.malformed\]"):
        chain.read_credential(f"{text}.{chain.to_text(b'p' * size)}")
    assert chain.read_credential(f"{text}.{chain.to_text(b'p' * 64)}").proof == b"p" * 64

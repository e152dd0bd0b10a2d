"""A signature is 64 bytes under a key of 32: where it ends and its message begins is not the
sender's to say."""

import pytest

from nucleus_tokens import crypto

SECRET = b"\x07" * 32
PUBLIC = crypto.public_of(SECRET)
MESSAGE = b"a message of some length"
SIGNATURE = crypto.sign(SECRET, MESSAGE)


def test_a_signature_of_this_message_under_this_key() -> None:
    assert crypto.verify(PUBLIC, MESSAGE, SIGNATURE) is True
    assert crypto.verify(PUBLIC, MESSAGE + b" ", SIGNATURE) is False
    assert crypto.verify(crypto.public_of(b"\x08" * 32), MESSAGE, SIGNATURE) is False


@pytest.mark.parametrize("end", [0, 1, 63, 65, 64 + len(MESSAGE)])
def test_the_same_bytes_divided_elsewhere(end: int) -> None:
    whole = SIGNATURE + MESSAGE
    assert crypto.verify(PUBLIC, whole[end:], whole[:end]) is False


@pytest.mark.parametrize("public", [b"", PUBLIC[:31], PUBLIC + b"\0"])
def test_a_key_of_another_length(public: bytes) -> None:
    assert crypto.verify(public, MESSAGE, SIGNATURE) is False


def test_a_short_key_is_not_filled_up_by_what_lies_after_it() -> None:
    """libsodium reads 32 bytes wherever it is pointed to, and bytes in Python end with a zero."""
    secret = (214).to_bytes(32)
    public = crypto.public_of(secret)
    assert public.endswith(b"\0")
    assert crypto.verify(public[:31], MESSAGE, crypto.sign(secret, MESSAGE)) is False

"""What a tunnel says at its start decides whether it is one: other names, hidden names, no TLS."""

from __future__ import annotations

import ssl
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_proxy.egress import hello
from nucleus_tokens.errors import CredentialError
from tests.egress.laws import LAW


def greeting(name: str | None = "site.test", *, least: int = ssl.TLSVersion.TLSv1_2) -> bytes:
    """What OpenSSL really sends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion(least)
    out = ssl.MemoryBIO()
    pipe = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        pipe.do_handshake()
    return out.read()


def vector(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size, "big") + data


def sni(*names: bytes, kind: int = 0) -> bytes:
    return vector(2, b"".join(bytes([kind]) + vector(2, name) for name in names))


def built(
    *extensions: tuple[int, bytes],
    suites: bytes = b"\x13\x01",
    session: bytes = b"",
    methods: bytes = b"\0",
    tail: bytes = b"",
) -> bytes:
    body = b"\x03\x03" + b"r" * 32 + vector(1, session) + vector(2, suites) + vector(1, methods)
    parts = b"".join(struct.pack("!H", kind) + vector(2, data) for kind, data in extensions)
    return b"\x01" + vector(3, body + vector(2, parts) + tail)


def records(message: bytes, size: int = 2**14) -> bytes:
    pieces = [message[i : i + size] for i in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + vector(2, piece) for piece in pieces)


@pytest.mark.parametrize("least", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_real_greeting_is_read(least: int) -> None:
    found = hello.message(greeting(least=least))
    assert found is not None
    assert hello.server_name(found) == "site.test"


def test_a_greeting_in_pieces_and_in_records_is_read() -> None:
    data = greeting()
    for end in range(len(data)):
        assert hello.message(data[:end]) is None
    message = hello.message(data)
    assert message is not None
    for size in (len(message) // 8 + 1, len(message) // 2, len(message) - 1):
        assert hello.message(records(message, size)) == message
    assert hello.server_name(built((0, sni(b"SITE.test")))) == "site.test"


def test_no_name_is_no_tunnel() -> None:
    found = hello.message(greeting(None))
    assert found is not None
    with pytest.raises(CredentialError, match="names no server"):
        hello.server_name(found)


@pytest.mark.parametrize("kind", [0xFE0D, 0xFE08, 0xFE0A])
def test_a_hidden_name_is_no_tunnel(kind: int) -> None:
    """Also where it only pretends (GREASE): nobody can tell."""
    with pytest.raises(CredentialError, match="hides a name"):
        hello.server_name(built((0, sni(b"site.test")), (kind, b"\0" * 40)))


@pytest.mark.parametrize(
    "message",
    [
        built((0, sni(b"site.test")), (0, sni(b"evil.test"))),
        built((0, sni(b"site.test", b"evil.test"))),
        built((0, sni(b"site.test") + b"x")),
        built((0, sni(b""))),
        built((0, sni(b"site.test", kind=1))),
        built((0, b"")),
        built((0, sni(b"s\xc3\xafte.test"))),
        built((0, sni(b"site.test")), tail=b"\0"),
        built((0, sni(b"site.test")), methods=b"\1\0"),
        built((0, sni(b"site.test")), methods=b""),
        built((0, sni(b"site.test")), suites=b""),
        built((0, sni(b"site.test")), suites=b"\x13"),
        built((0, sni(b"site.test")), session=b"s" * 33),
        built((0, sni(b"site.test")), (5, b"x"), (5, b"y")),
        b"\x02" + built((0, sni(b"site.test")))[1:],
        built((0, sni(b"site.test"))) + b"\0",
        b"\x01\0\0\x01\x03",
        b"",
    ],
)
def test_a_greeting_with_two_readings_is_refused(message: bytes) -> None:
    with pytest.raises(CredentialError):
        hello.server_name(message)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-OpenSSH_9\r\n", b"\x80\x2e\x01\x00\x02",
        b"\x15\x03\x01",
        b"\x17\x03\x03\x00\x01x", b"\x16\x02\x00\x00\x05", b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x40\x01", b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", b"\0", b"P", b"\x16\x05",
    ],
)  # fmt: skip
def test_what_is_no_tls_is_refused_as_soon_as_it_shows(data: bytes) -> None:
    with pytest.raises(CredentialError, match="does not begin like TLS"):
        hello.message(data)


def test_two_messages_at_once_are_refused() -> None:
    message = hello.message(greeting())
    assert message is not None
    with pytest.raises(CredentialError):
        hello.message(records(message + b"\x01"))


def test_it_waits_for_no_more_than_its_bounds() -> None:
    message = hello.message(greeting())
    assert message is not None
    with pytest.raises(CredentialError):
        hello.message(records(message, 1))
    with pytest.raises(CredentialError):
        hello.message(records(b"\x01" + hello.MOST_BYTES.to_bytes(3, "big")))


@LAW
@given(st.binary(max_size=400), st.integers(0, 600))
def test_any_bytes_get_an_answer(noise: bytes, at: int) -> None:
    data = greeting()
    for bad in (noise, data[:at] + noise + data[at + len(noise) :]):
        try:
            found = hello.message(bad)
            if found is not None:
                hello.server_name(found)
        except CredentialError:
            pass

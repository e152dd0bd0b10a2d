"""One address, many spellings: only one of them is read, and only one thing is meant by it."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_proxy.egress import url
from nucleus_tokens.errors import CredentialError
from nucleus_verifier import resources
from tests.egress.laws import LAW

ODD = [
    # userinfo, in whatever place it hides
    "http://user@host.test/", "http://user:pass@host.test/", "http://host.test@evil.test/",
    "http://host.test:80@evil.test/", "http://@host.test/", "http://host.test%40evil.test/",
    # numbers that are addresses to somebody
    "http://2130706433/", "http://0x7f000001/", "http://017700000001/", "http://127.1/",
    "http://0x7f.1/", "http://0177.0.0.1/", "http://127.0.0.01/", "http://127.0.0.1./",
    "http://1.1.1.0x1/", "http://256.1.1.1/", "http://1.2.3/", "http://1.2.3.4.5/",
    # IPv6 in other spellings, zones, mapped forms written out
    "http://[::ffff:127.0.0.1]/", "http://[0:0:0:0:0:0:0:1]/", "http://[::1%25lo]/",
    "http://[::1%lo]/", "http://[::FFFF:7F00:1x]/", "http://[v1.x]/", "http://::1/", "http://[::1/",
    "http://[1.2.3.4]/",
    # other letters
    "http://ⓗost.test/", "http://host。test/", "http://hоst.test/", "http://host.test/ü",
    # separators and blanks
    "http:\\\\host.test\\", "http://host.test\\@evil.test/", "http:/host.test/", "http:host.test",
    "http:///host.test/", "//host.test/", " http://host.test/", "http://host.test/ ",
    "http://host.test/\t", "http://host.test/\r\nX: y", "http://ho\nst.test/", "http://host .test/",
    "http://host.test\0/", "http://host.test/%00", "http://host.test/%0d%0aX",
    # hosts that are not names
    "http://host..test/", "http://.host.test/", "http://-host.test/", "http://host-.test/",
    "http://" + "a" * 64 + ".test/", "http:///", "http://", "http://./",
    # ports
    "http://host.test:0/", "http://host.test:65536/", "http://host.test:080/", "http://host.test:/",
    "http://host.test:8a/", "http://host.test:-1/", "http://host.test:99999999/",
    # other schemes
    "ftp://host.test/", "file:///etc/passwd", "gopher://host.test/", "javascript:alert(1)",
    "data:text/plain,x", "unix:/run/x", "http+unix://x/", "httpss://host.test/", "",
    # paths that lead elsewhere
    "http://host.test/a/../b", "http://host.test/a/%2e%2e/b", "http://host.test/a/%2E./b",
    "http://host.test/..%2fb", "http://host.test/a/..%5cb", "http://host.test/%252e%252e/b",
    "http://host.test/.", "http://host.test/a/..;/b", "http://host.test/%zz", "http://host.test/%4",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_an_odd_spelling_is_refused(text: str) -> None:
    with pytest.raises(CredentialError, match="cannot be used"):
        url.parse(text)


@pytest.mark.parametrize("value", [None, 7, b"http://host.test/", ["http://host.test/"], {}])
def test_what_is_no_text_is_no_url(value: object) -> None:
    with pytest.raises(CredentialError):
        url.parse(value)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.com:443/A", "https://example.com/A"),
        ("http://example.com:80?q=/?x", "http://example.com/?q=/?x"),
        ("http://example.com:8080/a//b/;c=1#frag/?", "http://example.com:8080/a//b/;c=1"),
        ("http://[2606:2800::1]:8080/", "http://[2606:2800::1]:8080/"),
        ("http://1.2.3.4/...", "http://1.2.3.4/..."),
        ("https://xn--bcher-kva.test/%20?a=%0A", "https://xn--bcher-kva.test/%20?a=%0A"),
    ],
)
def test_a_good_url_has_one_spelling(text: str, canonical: str) -> None:
    assert url.parse(text).url == canonical
    assert url.parse(canonical).url == canonical


def test_it_ends_for_long_inputs() -> None:
    long = ("http://a" * 20_000, "http://h.test/" + "%2e" * 30_000, "http://h.test/" + "a/" * 4000)
    for text in long:
        try:
            url.parse(text)
        except CredentialError:
            pass


STARTS = ["", "http://", "https://h.test", "http://1."]
ALPHABET = string.ascii_letters + string.digits + ":/?#[]@!$&'()*+,;=-._~%\\ \t\n|^`{}<>\"é0x"


@LAW
@given(st.text(ALPHABET, max_size=40), st.sampled_from(STARTS))
def test_the_kernel_and_the_wire_read_one_host(rest: str, start: str) -> None:
    """What the binding judged is what is dialled, for every text that is read at all."""
    try:
        target = url.parse(start + rest)
    except CredentialError:
        return
    assert resources.url_host(start + rest) == target.authority
    assert url.parse(target.url) == target
    assert "@" not in target.authority


@pytest.mark.parametrize(
    "text", ["host.test", "host.test:", ":443", "host.test:0443", "a@b.test:443", "host.test:443/",
             "host.test:99999", "[::1]", "0x7f.1:443", "host.test :443", "", None],
)  # fmt: skip
def test_a_connect_names_a_host_and_a_port(text: object) -> None:
    with pytest.raises(CredentialError):
        url.host_and_port(text)

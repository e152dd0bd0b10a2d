"""Attacks on the way in through a provider, a fake one: nobody comes in whom the file does not
list, by no answer that was not made for this browser, and no cookie of somebody else's is kept."""

from __future__ import annotations

import base64
import hmac
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from nucleus.console.oidc import OpenId, Provider, read
from nucleus_tokens.errors import CallerError, WorldError
from tests.cli.command import PROGRAM
from tests.console.browser import driver, window
from tests.console.provider import CLIENT, Claims, FakeProvider, provider
from tests.console.stage import Page, Stage

BACK = "http://127.0.0.1:1/enter"
SECRET = "the secret of one browser"


@pytest.fixture(scope="module")
def served() -> Iterator[FakeProvider]:
    with provider() as made:
        yield made


@pytest.fixture
def fake(served: FakeProvider) -> FakeProvider:
    served.back, served.subject, served.secret = BACK, "alice-at-work", ""
    served.document, served.tampers, served.signs = {}, dict, None
    return served


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def sent_back(where: str) -> dict[str, str]:
    """What the provider sends a browser back with."""
    try:
        build_opener(_Stay).open(where, timeout=30)
    except OSError as error:
        location = error.headers["Location"]  # type: ignore[attr-defined]  # a redirect
        return {k: v[0] for k, v in parse_qs(urlsplit(location).query).items()}
    raise AssertionError("it sent nobody back")


def way(fake: FakeProvider, now: Callable[[], float] = time.time, **changed: Any) -> OpenId:
    subjects = frozenset(("alice-at-work",))
    given = {"issuer": fake.issuer, "client": CLIENT, "subjects": subjects, **changed}
    return OpenId(Provider(**given), BACK, lambda: int(now()))


def test_a_subject_of_the_file_comes_in_once(fake: FakeProvider) -> None:
    fake.secret = "shared"
    login = way(fake, secret="shared")
    form = sent_back(login.away(SECRET))
    assert login.enter(form, SECRET) == "alice-at-work"
    assert login.enter(form, SECRET) is None, "a code is good once"


def test_an_answer_for_another_browser_lets_nobody_in(fake: FakeProvider) -> None:
    login = way(fake)
    form = sent_back(login.away(SECRET))
    other = sent_back(login.away("another browser's"))
    for given, secret in (
        (form, "another browser's"),
        (form, ""),
        ({**form, "state": other["state"]}, SECRET),
        ({**form, "state": ""}, SECRET),
        ({**form, "iss": "https://evil.example"}, SECRET),
        ({k: v for k, v in form.items() if k != "code"}, SECRET),
        ({**form, "code": other["code"]}, SECRET),  # PKCE: it was made for another verifier
    ):
        assert login.enter(given, secret) is None, given
    assert login.enter(form, SECRET) == "alice-at-work"
    assert way(fake).enter(sent_back(login.away(SECRET)), SECRET) is None, "another console's"


@pytest.mark.parametrize(
    "tampers",
    [
        {"sub": "mallory"},
        {"sub": "Alice-at-work"},
        {"aud": "another client"},
        {"aud": [CLIENT, "another client"]},
        {"aud": [CLIENT, "another client"], "azp": "another client"},
        {"iss": "https://evil.example"},
        {"nonce": "00" * 32},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"iat": 4_000_000_000},
        {"iat": "soon"},
    ],
    ids=str,
)
def test_a_token_for_something_else_lets_nobody_in(
    fake: FakeProvider, tampers: dict[str, Any]
) -> None:
    def changed(claims: Claims) -> Claims:
        return {k: v for k, v in {**claims, **tampers}.items() if v is not None}

    fake.tampers = changed
    login = way(fake)
    assert login.enter(sent_back(login.away(SECRET)), SECRET) is None


def with_a_shared_secret(claims: Claims, public: bytes) -> str:
    """The public key taken for the secret of an HMAC; by hand, since the library does not."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    header = json.dumps({"alg": "HS256", "kid": "k1", "typ": "JWT"}).encode()
    said = f"{part(header)}.{part(json.dumps(claims).encode())}"
    return f"{said}.{part(hmac.new(public, said.encode(), 'sha256').digest())}"


def test_only_the_providers_key_signs(fake: FakeProvider) -> None:
    other = generate_private_key(65537, 2048)
    public = fake.key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    named = {"kid": "k1"}
    for signs in (
        lambda c: jwt.encode(c, other, "RS256", headers=named),
        lambda c: jwt.encode(c, "", "none", headers=named),
        lambda c: with_a_shared_secret(c, public),
        lambda c: jwt.encode(c, fake.key, "RS256", headers={"kid": "k2"}),
        lambda c: jwt.encode(c, fake.key, "RS256"),
        lambda _: "no.token.at-all",
        lambda _: "",
    ):
        fake.signs = signs
        login = way(fake)
        assert login.enter(sent_back(login.away(SECRET)), SECRET) is None
    fake.signs = None
    assert way(fake, lambda: time.time() + 400).enter({}, SECRET) is None
    late = way(fake, lambda: time.time() + 400)
    assert late.enter(sent_back(late.away(SECRET)), SECRET) is None, "our clock says when"


def test_the_provider_is_the_one_that_was_written_down(fake: FakeProvider, tmp_path: Path) -> None:
    for document in (
        {"issuer": "https://evil.example"},
        {"authorization_endpoint": "http://evil.example/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": None},
    ):
        fake.document = document
        with pytest.raises(WorldError, match=r"login\.provider"):
            way(fake).away(SECRET)
    fake.document = {}
    login = way(fake)
    form = sent_back(login.away(SECRET))
    fake.document = {"token_endpoint": "http://evil.example/token"}
    with pytest.raises(WorldError, match=r"login\.provider"):
        login.enter(form, SECRET)
    path = tmp_path / "login.toml"
    good = 'version = 1\nissuer = "https://id.example.org"\nclient = "c"\nsubjects = ["a"]\n'
    path.write_text(good)
    assert read(path) == Provider("https://id.example.org", "c", frozenset(("a",)))
    for bad in (
        good.replace("https", "http"),
        good.replace('["a"]', "[]"),
        good + "more = 1\n",
        good.replace("version = 1\n", ""),
        "\x00",
    ):
        path.write_text(bad)
        with pytest.raises(CallerError, match=r"login\.file"):
            read(path)


def test_a_person_comes_in_through_the_provider(
    stage: Stage, fake: FakeProvider, tmp_path: Path
) -> None:
    """The command, a browser, and the fake provider."""
    desk = stage.served.desk
    said = {"version": 1, "issuer": fake.issuer, "client": CLIENT, "subjects": ["alice-at-work"]}
    file = tmp_path / "login.toml"
    file.write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in said.items()))
    words = ("--port", 0, "--login", file, "--passphrase-file", desk.pass_file)
    process = subprocess.Popen(
        [*PROGRAM, *desk.argv("console", *words)], stderr=subprocess.PIPE, env=desk.environ()
    )
    try:
        assert process.stderr is not None
        found = re.search(rb"(http://127\.0\.0\.1:\d+)/enter\n", process.stderr.readline())
        assert found
        address = found[1].decode()
        fake.back = f"{address}/enter"
        with driver() as port, window(port) as browser:
            browser.go(f"{address}/")
            assert "Come in by the address" in browser.text()
            browser.go(f"{address}/enter")
            browser.click("a")
            browser.until(lambda: "code=" in browser.url, "the way back")
            browser.shoot("login")
            browser.click("button")
            browser.until(lambda: "Leave (alice-at-work)" in browser.text(), "the page")
            fake.subject = "mallory"
            browser.go(f"{address}/enter")
            browser.click("a")
            browser.until(lambda: "code=" in browser.url, "the way back")
            browser.click("button")
            browser.until(lambda: "lets nobody in" in browser.text(), "the refusal")
    finally:
        process.terminate()
        _, rest = process.communicate(timeout=60)
    assert b"Traceback" not in rest, rest.decode()


def test_a_cookie_that_was_put_there_is_not_taken_over(stage: Stage) -> None:
    """Session fixation, and a visit that goes on after its browser came in anew."""
    stage.link()
    fixed = Page(stage.address, cookie="nucleus-console=" + "ab" * 32)
    entered = fixed.ask("POST", "/enter", {"once": stage.once})
    given = entered.headers["set-cookie"].partition(";")[0]
    assert entered.status == 303
    assert given != fixed.cookie
    assert fixed.ask("GET", "/").status == 401, "what was put there is worth nothing"
    mine = Page(stage.address, cookie=given)
    assert mine.ask("GET", "/").status == 200
    stage.link()
    again = mine.ask("POST", "/enter", {"once": stage.once})
    assert again.status == 303
    assert mine.ask("GET", "/").status == 401, "the visit before has ended"

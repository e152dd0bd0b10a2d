"""Real names, real certificates, real addresses: fetches in a network namespace of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import internet

SITES = {"example.com": internet.PUBLIC, "other.example.com": "93.184.215.15"}
NAMES = {
    # A rebinding server: a public address to whoever checks, loopback to whoever asks again.
    "rebind.example.com": [[internet.PUBLIC], ["127.0.0.1"]],
    "inside.example.com": [["127.0.0.1"]],
    "mixed.example.com": [[internet.PUBLIC, "127.0.0.1"]],
    "metadata.example.com": [["169.254.169.254"]],
    "wrong.example.com": [[internet.PUBLIC]],
}
PAGES = {
    "example.com": {
        "/": {"body": "the page"},
        "/away": {"status": 302, "headers": {"Location": "http://127.0.0.1/secret"}},
    },
}
PROGRAM = "import runpy, sys; runpy.run_module('tests.egress.fetch_inside', run_name='__main__')"


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[internet.Internet]:
    folder = tmp_path_factory.mktemp("internet")
    with internet.stage(folder, SITES, pages=PAGES, names=NAMES) as made:
        yield made


def fetch(net: internet.Internet, *urls: str, roots: Path | None = None) -> list[dict[str, Any]]:
    done = net.run(PROGRAM, str(roots or net.roots), *urls)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_example_com_over_tls_and_without(net: internet.Internet) -> None:
    secure, plain, other = fetch(
        net, "https://example.com", "http://example.com/", "https://other.example.com/x"
    )
    assert secure == plain == {"status": 200, "body": "the page", "redirect": None}
    assert other["body"] == "other.example.com"
    asked = net.requests()
    assert {each["address"] for each in asked} == set(SITES.values())
    assert asked[0]["tls"] == "TLSv1.3"


def test_a_rebinding_name_leads_to_the_address_that_was_judged(net: internet.Internet) -> None:
    before = len(net.requests())
    first, second = fetch(net, "http://rebind.example.com/", "http://rebind.example.com/")
    assert first["body"] == "rebind.example.com"
    assert second["code"] == "net.address"
    assert {each["address"] for each in net.requests()[before:]} == {internet.PUBLIC}


def test_names_that_lead_inside(net: internet.Internet) -> None:
    urls = [f"https://{name}.example.com/" for name in ("inside", "mixed", "metadata")]
    assert {got["code"] for got in fetch(net, *urls)} == {"net.address"}


def test_a_certificate_must_be_for_the_name_and_from_a_root(
    net: internet.Internet, tmp_path: Path
) -> None:
    (wrong,) = fetch(net, "https://wrong.example.com/")
    assert wrong["code"] == "net.certificate"
    stranger, _, _ = internet.make_authority(tmp_path, ["example.com"])
    (untrusted,) = fetch(net, "https://example.com/", roots=stranger)
    assert untrusted["code"] == "net.certificate"


def test_the_environment_changes_nothing(
    net: internet.Internet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stranger, _, _ = internet.make_authority(tmp_path, ["example.com"])
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", str(net.roots))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    (good,) = fetch(net, "https://example.com/")
    assert good["status"] == 200
    (bad,) = fetch(net, "https://example.com/", roots=stranger)
    assert bad["code"] == "net.certificate"
    assert not (tmp_path / "keys").exists()


def test_a_redirect_inside_and_a_name_nobody_knows(net: internet.Internet) -> None:
    away, unknown = fetch(net, "https://example.com/away", "https://none.example.com/")
    assert away["redirect"] == "http://127.0.0.1/secret"
    assert unknown["code"] == "net.resolve"

"""Attacks on the person at the console: another site, what an agent writes, a link that leaked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from nucleus import PolicyDenied
from tests.console.browser import driver, window
from tests.console.stage import Page, Stage

XSS = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


@pytest.fixture
def asked(stage: Stage, folder: Path) -> Iterator[dict[str, str]]:
    """The form of one request that waits; whatever the test does, it is denied in the end."""
    call = stage.asks("read", stage.session.fs.read, folder / "x")
    (request,) = stage.waiting()
    page = stage.page()
    form = page.question(request["id"])
    yield form
    page.ask("POST", "/answer", {**form, "do": "deny"})
    with pytest.raises(PolicyDenied):
        call.result(60)


def test_a_form_of_another_site_does_nothing(stage: Stage, asked: dict[str, str]) -> None:
    page = stage.page()
    mine = page.question(asked["id"])
    approve = {**mine, "do": "once"}
    for changed in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": None},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},  # a name that was made to lead here
        {"Host": None},
        {"Cookie": ""},
        {"Cookie": "nucleus-console=" + "00" * 32},
    ):
        refused = page.ask("POST", "/answer", approve, **changed)
        assert refused.status in (400, 401, 403, 421), changed
    for csrf in ("", "00" * 32, asked["csrf"]):  # the last is another visit's
        assert page.ask("POST", "/answer", {**approve, "csrf": csrf}).status == 403
    for path in ("/revoke", "/end", "/leave"):
        assert page.ask("POST", path, {}).status == 403
    assert page.ask("GET", "/answer?do=once").status == 405
    assert page.ask("GET", "/parts", Sec_Fetch_Site="cross-site").status == 403
    assert page.ask("GET", "/events", Sec_Fetch_Site="cross-site").status == 403
    (row,) = stage.waiting()
    assert row["id"] == asked["id"], "it still waits"


def test_what_was_shown_is_what_is_signed(stage: Stage, asked: dict[str, str]) -> None:
    page = stage.page()
    mine = page.question(asked["id"])
    for changed in (
        {"mark": "00" * 16},
        {"id": "00" * 8},
        {"do": "offer:9"},
        {"do": "offer:0"},
        {"do": "offer:1", "count": "1001", "minutes": "5"},
        {"do": "offer:1", "count": "-1", "minutes": "5"},
        {"do": "offer:1", "count": "1", "minutes": "9999"},
        {"do": "offer:1", "count": "1", "minutes": "1", "narrow": "/x", "kind": "tool"},
        {"do": "approve"},
        {"do": ""},
    ):
        assert page.ask("POST", "/answer", {**mine, "do": "once", **changed}).status == 409, changed
    (row,) = stage.waiting()
    assert row["id"] == asked["id"]


def test_every_answer_says_what_a_browser_must_not_do(stage: Stage) -> None:
    page = stage.page()
    stranger = Page(stage.address)
    for answer in (
        page.ask("GET", "/"),
        page.ask("GET", "/nothing"),
        page.ask("GET", "/console.js"),
        page.ask("POST", "/answer"),
        stranger.ask("GET", "/"),
        stranger.ask("GET", "/enter"),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    text = page.ask("GET", "/").text
    assert not re.search(r"\son[a-z]+=|<style|style=|<script(?! src)", text)
    assert stranger.ask("GET", "/").status == 401
    assert stranger.ask("GET", "/parts").status == 401
    assert stranger.ask("GET", "/events").status == 401


def test_a_link_works_once_and_not_for_long(stage: Stage) -> None:
    stage.link()
    once = stage.once
    # Whoever looks at a link without entering (a preview, a scanner) spends nothing.
    assert Page(stage.address).ask("GET", f"/enter?once={once}").status == 200
    first = Page(stage.address)
    entered = first.enter(once)
    assert entered.status == 303
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert Page(stage.address).enter(once).status == 403
    assert Page(stage.address).enter("").status == 403
    old = stage.once
    stage.link()
    assert Page(stage.address).enter(old).status == 403
    csrf = first.forms()[0]["csrf"]
    assert first.ask("POST", "/leave", {"csrf": csrf}).status == 200
    assert first.ask("GET", "/").status == 401, "the cookie is worth nothing any more"


def test_what_an_agent_writes_is_never_markup(stage: Stage, folder: Path) -> None:
    """In a path, a content, the diff and the name of a sub-agent; in a real browser."""
    s = stage.session
    (folder / "x").write_text(XSS)
    calls: list[Future[Any]] = [
        stage.asks("write", s.fs.write, folder / "x", f"\u202e{XSS}\x1b[2J"),
        stage.asks("read", s.fs.read, folder / '"><svg onload=alert(1)>'),
    ]
    with stage.served.session("codegen") as other:
        below = other.delegate("<b>boss</b>", ["tool", "in", ["fs_glob"]])
        below.fs.glob("*")
        below.close()
        rows = stage.waiting(2)
        with driver() as port, window(port) as browser:
            browser.go(stage.link())
            browser.click("button")
            browser.until(lambda: "onerror" in browser.text("#approvals"), "the question")
            browser.until(lambda: "<b>boss</b>" in browser.text("#tokens"), "the name as text")
            made = "return document.querySelectorAll('main img, main script, main svg').length"
            assert browser.run(made) == 0
            assert "owned" not in browser.run("return document.title")
            text = browser.text()
            assert "\u202e" not in text
            assert "\\u202e" in text
    page = stage.page()
    for row in rows:
        page.ask("POST", "/answer", {**page.question(row["id"]), "do": "deny"})
    for call in calls:
        assert call.exception(60) is not None


class _Evil(BaseHTTPRequestHandler):
    """Another site: it frames the console, and sends a form to it."""

    page = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_: object) -> None:
        return


def test_another_site_neither_frames_nor_posts(stage: Stage, asked: dict[str, str]) -> None:
    """A real browser that is in, on a page of somebody else's: clickjacking and a forged form."""
    fields = "".join(f'<input name="{k}" value="{v}">' for k, v in asked.items())
    target = f"http://{stage.address}"
    _Evil.page = (
        f'<iframe id="f" src="{target}/"></iframe>'
        f'<form method="post" action="{target}/answer">{fields}<input name="do" value="once">'
        "<button>win</button></form>"
    ).encode()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Evil)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        with driver() as port, window(port) as browser:
            browser.go(stage.link())
            browser.click("button")
            browser.until(lambda: "Approve once" in browser.text(), "the page")
            browser.go(f"http://localhost:{server.server_port}/")
            # What is not allowed to be framed is another origin's error page: nothing to click.
            assert browser.run("return document.getElementById('f').contentDocument") is None
            browser.until(lambda: browser.ask("POST", "/frame", {"id": 0}) is None, "the frame")
            browser.until(lambda: "Approve" not in browser.text(), "nothing to click")
            browser.ask("POST", "/frame", {"id": None})
            browser.click("button")
            browser.until(lambda: "Not done" in browser.text(), "the refusal")
    finally:
        server.shutdown()
        server.server_close()
    (row,) = stage.waiting()
    assert row["id"] == asked["id"]

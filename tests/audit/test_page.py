"""The page, as a browser shows it: no file becomes a part of it, and a phone is enough."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from nucleus.audit import page
from nucleus.audit.findings import Severity
from tests.audit.bad import BAD
from tests.audit.stage import CREDENTIALS, audit, lay
from tests.cli.command import Desk
from tests.console.browser import driver, shots, window

EVIL = "\"><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"


def test_the_page_in_a_browser(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    for name in ("cursor", "claude-code-servers", "windsurf"):
        lay(root / name, BAD[name][0])
    evil = {"mcpServers": {EVIL: {"url": f"http://{EVIL}/"}}}
    lay(root, {".mcp.json": json.dumps(evil)})
    report = audit(root)
    made = tmp_path / "page.html"
    made.write_text(page.report(report, EVIL, Severity.HIGH), encoding="utf-8")
    text = made.read_text()
    assert not [each for each in CREDENTIALS.values() if each in text]
    for word in ("<script", "<img", "href=", "url(", "@import"):
        assert word not in text

    with driver() as port, window(port) as tab:
        tab.go(made.as_uri())
        assert tab.run("return document.title") == "nucleus audit"
        assert "Failed" in tab.text("h1 + p")
        pictures = tab.run("return document.querySelectorAll('svg').length")
        assert pictures == len(report.groups)
        assert tab.run("return document.querySelectorAll('svg .hot').length") > 3
        assert tab.run("return document.querySelectorAll('script,img').length") == 0
        tab.ask("POST", "/window/rect", {"width": 400, "height": 800})
        if (folder := shots()) is not None:
            (folder / "audit.png").write_bytes(base64.b64decode(tab.ask("GET", "/screenshot")))
        wide = tab.run("return document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, "nothing lies beside a phone's screen"


def test_a_token_as_a_page(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.init()
    token = desk.issue("agent", "--bearer", "--ttl", "1h", "--path", tmp_path)
    narrow = tmp_path / "narrow.token"
    desk.run(
        "token", "attenuate", token, "--calls", "20", "--tool", "<b>read</b>", "-o", narrow
    ).ok()
    shown = tmp_path / "token.html"
    desk.run("token", "inspect", narrow, "--html", shown).ok()
    text = shown.read_text()
    assert "authenticated here" in text
    assert "20 left of 20" in text
    assert "&lt;b&gt;read&lt;/b&gt;" in text
    assert "<b>read" not in text
    assert narrow.read_text().strip()[-40:] not in text

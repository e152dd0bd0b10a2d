"""A real browser without a screen, driven by the WebDriver protocol over loopback."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"
_PATIENCE: Final = 30.0  # seconds
_ARGS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--no-default-browser-check",
    # No name but this machine's is ever looked up.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)  # fmt: skip


@dataclass
class Browser:
    """One window."""

    connection: http.client.HTTPConnection
    session: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if method == "GET" else json.dumps(body or {})
        self.connection.request(
            method, f"/session/{self.session}{path}", data, {"Content-Type": "application/json"}
        )
        answer = json.loads(self.connection.getresponse().read())["value"]
        if isinstance(answer, dict) and "error" in answer:
            raise AssertionError(f"{answer['error']}: {answer['message']}")
        return answer

    def go(self, url: str) -> None:
        self.ask("POST", "/url", {"url": url})

    @property
    def url(self) -> str:
        return str(self.ask("GET", "/url"))

    def run(self, script: str, *args: Any) -> Any:
        """A script, as the page's own debugger would run it: no policy of the page stops it."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(args)})

    def text(self, selector: str = "body") -> str:
        return str(
            self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        )

    def click(self, selector: str) -> None:
        found = self.ask("POST", "/element", {"using": "css selector", "value": selector})
        self.ask("POST", f"/element/{found[_ELEMENT]}/click")

    def press(self, *keys: str) -> None:
        """Keys, one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "k", "actions": actions}]})

    def type(self, text: str) -> None:
        self.press(*text)

    def until(self, true: Callable[[], Any], what: str = "it") -> None:
        """Look until it is so."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            try:
                if true():
                    return
            except AssertionError:
                continue  # a page that goes while it is looked at
        raise AssertionError(f"{what} did not come to pass: {self.text()}")

    def shoot(self, name: str) -> None:
        """A picture, where somebody wants to look at it."""
        folder = shots()
        if folder is not None:
            picture = base64.b64decode(self.ask("GET", "/screenshot"))
            (folder / f"{name}.png").write_bytes(picture)

    def size(self, width: int, height: int) -> None:
        self.ask("POST", "/window/rect", {"width": width, "height": height})


@contextmanager
def driver() -> Iterator[int]:
    """A driver on a port of its own choosing."""
    program = shutil.which("chromedriver")
    assert program, "chromium-driver is missing: ./dev system"
    process = subprocess.Popen(
        [program, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        line = b""
        while b"on port" not in line or b"success" not in line:
            line = process.stdout.readline()
            assert line, "the driver ended"
        yield int(line.rsplit(b"on port", 1)[1].strip(b" .\n"))
    finally:
        process.terminate()
        process.communicate(timeout=60)


@contextmanager
def window(port: int, *, scripts: bool = True) -> Iterator[Browser]:
    """A window of a browser that knows nothing of another one; without `scripts` it runs none."""
    profile = tempfile.mkdtemp(prefix="browser-")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    options = {
        "args": [*_ARGS, f"--user-data-dir={profile}"],
        "binary": shutil.which("chromium"),
        "prefs": {} if scripts else {"profile.managed_default_content_settings.javascript": 2},
    }
    wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
    connection.request("POST", "/session", json.dumps(wanted))
    made = json.loads(connection.getresponse().read())["value"]
    assert "sessionId" in made, made
    browser = Browser(connection, made["sessionId"])
    try:
        yield browser
    finally:
        browser.ask("DELETE", "")
        connection.close()
        shutil.rmtree(profile, ignore_errors=True)


@contextmanager
def entered(link: str, *, scripts: bool = True) -> Iterator[Browser]:
    """A window of somebody who came in by this link."""
    with driver() as port, window(port, scripts=scripts) as made:
        made.size(1300, 1000)
        made.go(link)
        made.click("button")
        made.until(lambda: "Waiting for an answer" in made.text(), "the page")
        yield made


def shots() -> Path | None:
    """Where pictures are kept, if somebody wants to look at them."""
    folder = os.environ.get("NUCLEUS_SHOTS")
    return None if folder is None else Path(folder)

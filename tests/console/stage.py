"""A stage for the console: the real command as a process, sessions that ask, and a plain client."""

from __future__ import annotations

import html
import http.client
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from nucleus import Session, approve
from tests.cli.command import PROGRAM
from tests.sdk.stage import Served, home, serving

T = TypeVar("T")
_LINK = re.compile(rb"http://(127\.0\.0\.1:\d+)/enter\?once=([0-9a-f]+)")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str


@dataclass
class Page:
    """A client that keeps the cookie; it says what a browser on our page would say."""

    address: str
    cookie: str = ""

    def ask(
        self, method: str, path: str, form: dict[str, str] | None = None, **changed: str | None
    ) -> Answer:
        headers: dict[str, str | None] = {"Host": self.address, "Cookie": self.cookie}
        body = None
        if method == "POST":
            headers |= {
                "Origin": f"http://{self.address}",
                "Sec-Fetch-Site": "same-origin",
                "Content-Type": "application/x-www-form-urlencoded",
            }
            body = urlencode(form or {})
        headers |= {k.replace("_", "-"): v for k, v in changed.items()}
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                if value is not None:
                    connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(None if body is None else body.encode())
            answer = connection.getresponse()
            found = {k.lower(): v for k, v in answer.getheaders()}
            return Answer(answer.status, found, answer.read().decode())
        finally:
            connection.close()

    def enter(self, once: str) -> Answer:
        answer = self.ask("POST", "/enter", {"once": once})
        self.cookie = answer.headers.get("set-cookie", "").partition(";")[0]
        return answer

    def forms(self) -> list[dict[str, str]]:
        """The hidden fields of every form on the page."""
        text = self.ask("GET", "/").text
        made = []
        for form in re.findall(r"<form.*?</form>", text, re.DOTALL):
            hidden = r'<input type="hidden" name="([a-z]+)" value="([^"]*)">'
            made.append({k: html.unescape(v) for k, v in re.findall(hidden, form)})
        return made

    def question(self, request: str) -> dict[str, str]:
        """The form of one request."""
        (found,) = [form for form in self.forms() if form.get("id") == request]
        return found


@dataclass
class Stage:
    """A host, its console, and a session that must ask."""

    served: Served
    process: subprocess.Popen[bytes]
    address: str
    once: str
    session: Session
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))

    def link(self) -> str:
        """A new link."""
        self.process.send_signal(signal.SIGUSR1)
        self.address, self.once = _link(self.process)
        return f"http://{self.address}/enter?once={self.once}"

    def page(self) -> Page:
        """Somebody who is in."""
        self.link()
        made = Page(self.address)
        assert made.enter(self.once).status == 303
        return made

    def asks(self, what: str, call: Callable[..., T], *args: Any) -> Future[T]:
        return self.pool.submit(approve, what, call, *args)

    def waiting(self, count: int = 1) -> list[dict[str, Any]]:
        """So many requests that wait."""
        for _ in range(400):
            rows: list[dict[str, Any]] = self.served.desk.run("approvals", "list", "--json").json
            if len(rows) == count:
                return rows
        raise AssertionError("it did not come to pass")


def _link(process: subprocess.Popen[bytes]) -> tuple[str, str]:
    assert process.stderr is not None
    while line := process.stderr.readline():
        if found := _LINK.search(line):
            return found[1].decode(), found[2].decode()
    raise AssertionError("the console ended")


@contextmanager
def staged(root: Path, profile: str = "codegen", asks: str = "") -> Iterator[Stage]:
    """`asks` names the operations, as TOML, that the policy file wants an approval for."""
    desk = home(root)
    workspace = root / "workspace"
    workspace.mkdir()
    policy = desk.file("asking.toml", f"version = 1\nobligations = [{asks}]\n")
    with serving(desk, workspace, "--profile", profile, "--policy", policy) as served:
        argv = desk.argv("console", "--port", 0, "--passphrase-file", desk.pass_file)
        process = subprocess.Popen(
            [*PROGRAM, *argv], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=desk.environ()
        )
        try:
            address, once = _link(process)
            with served.session(profile) as s:
                made = Stage(served, process, address, once, s)
                try:
                    yield made
                finally:
                    for row in desk.run("approvals", "list", "--json").json:
                        desk.run("approvals", "deny", row["id"])
                    made.pool.shutdown(cancel_futures=True)
        finally:
            process.terminate()
            _, rest = process.communicate(timeout=60)
            assert b"Traceback" not in rest, rest.decode()

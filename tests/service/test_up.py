"""`nucleus up` as it runs: three services; whatever is killed, nothing revoked lives."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import PASSPHRASE, PROGRAM, Desk, Result
from tests.service.stage import SECONDS, environ

AGENT = "spiffe://local/agent"


class Up:
    """The command, and what one sees of it from outside."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.desk = Desk(root)
        self.folder = folder
        self.words = ("up", "--folder", folder, "--lease", "1s", "--passphrase-file")
        self.secret = self.desk.file("passphrase", PASSPHRASE + b"\n")
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, "--home", str(self.desk.home), *map(str, self.words), str(self.secret)],
            stderr=subprocess.PIPE,
            text=True,
            env=environ(),
        )
        assert self.process.stderr is not None
        said = []
        for line in self.process.stderr:
            said.append(line)
            if "all serve in" in line:
                return
        raise AssertionError("".join(said))

    def services(self) -> dict[str, int]:
        """Name to process id: our children of now."""
        assert self.process is not None
        pid = self.process.pid
        found = {}
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if b"serve" in words:
                found[words[words.index(b"serve") - 1].decode()] = int(child)
        return found

    def end(self, number: int) -> int:
        assert self.process is not None
        assert self.process.stderr is not None
        self.process.send_signal(number)
        code = self.process.wait(SECONDS)
        self.process.stderr.close()
        return code

    def call(self, token: Path) -> tuple[int, Any]:
        """One request, as a gateway tells of it."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(SECONDS)
            sock.connect(str(self.folder / "gateway.sock"))
            headers = {
                "Authorization": f"Bearer {token.read_text().strip()}",
                "X-Forwarded-Method": "GET",
                "X-Forwarded-Host": "files.example.org",
                "X-Forwarded-Uri": "/files/srv/a.txt",
                "X-Original-Peer": AGENT,
            }
            lines = [f"{name}: {value}" for name, value in headers.items()]
            text = "\r\n".join(("GET / HTTP/1.1", "Host: x", *lines, "Connection: close", "", ""))
            sock.sendall(text.encode())
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            body = answer.read()
            return answer.status, json.loads(body) if body else None


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether it runs: what nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with tempfile.TemporaryDirectory(prefix="up-") as short:
        made = Up(tmp_path, Path(short))
        weak = ("--dangerously-weak-keys-for-tests", "--passphrase-file", made.secret)
        made.desk.run("--home", made.desk.home, "init", *weak).ok()
        made.start()
        try:
            yield made
        finally:
            assert made.process is not None
            if made.process.poll() is None:
                assert made.end(signal.SIGTERM) == 0


def test_one_machine_from_nothing_to_revoked(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = Desk(tmp_path)
    where = ("--issuer", f"unix:{up.folder}/issuer.sock")

    def run(*words: object) -> Result:
        monkeypatch.setenv("SPIFFE_ENDPOINT_SOCKET", f"unix://{up.folder}/identity/agent.sock")
        return agents.run("--home", tmp_path / "agent", *words)

    def issued(name: str) -> Path:
        token = tmp_path / name
        run(
            "token", "issue", *where, "--profile", "read-only", "--audience", "local",
            "--sub", AGENT, "-o", token,
        ).ok()  # fmt: skip
        return token

    first, second = issued("first.token"), issued("second.token")
    assert up.call(first)[0] == 200
    run("token", "revoke", *where, first).ok()
    assert up.call(first)[1]["code"] == "token.revoked"
    assert up.call(second)[0] == 200

    for name in ("issuer", "verifier", "identity"):
        before = up.services()
        os.kill(before[name], signal.SIGKILL)
        until(lambda: up.services().get(name, before[name]) != before[name], f"{name} again")  # noqa: B023
        until(lambda: serves(up, second), f"after {name}")
        assert up.call(first)[1]["code"] == "token.revoked"
        assert {k: v for k, v in up.services().items() if k != name} == {
            k: v for k, v in before.items() if k != name
        }, "the others went on"

    services = up.services()
    up.end(signal.SIGKILL)
    until(lambda: not any(map(alive, services.values())), "they outlive the one who started them")
    up.start()
    until(lambda: serves(up, second), "after all of them")
    assert up.call(first)[1]["code"] == "token.revoked"
    assert serves(up, issued("third.token"))


def serves(up: Up, token: Path) -> bool:
    try:
        return up.call(token)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_what_cannot_serve_is_said_and_leaves_nobody(up: Up) -> None:
    second = up.desk.run("--home", up.desk.home, *up.words, up.secret)
    said = subprocess.run(
        [*PROGRAM, "--home", str(up.desk.home), *map(str, up.words), str(up.secret)],
        capture_output=True, text=True, env=environ(), timeout=SECONDS, check=False,
    )  # fmt: skip
    for each in (second.err, said.stderr):
        assert "up.ended" in each
    assert (second.code, said.returncode) == (2, 2)
    assert set(up.services()) == {"identity", "issuer", "verifier"}
    bad = up.desk.file("wrong", b"not the passphrase\n")
    assert "keys." in up.desk.run("--home", up.desk.home, *up.words, bad).ok(2).err
    long = up.desk.run(
        "--home", up.desk.home, "up", "--folder", f"/tmp/{'x' * 100}",
        "--passphrase-file", up.secret,
    )  # fmt: skip
    assert "up.folder" in long.ok(2).err

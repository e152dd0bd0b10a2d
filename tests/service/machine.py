"""One machine with `nucleus up`: the command, and what one sees of it from outside."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cli.command import PASSPHRASE, PROGRAM, Desk
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


def alive(pid: int) -> bool:
    """Whether it runs: what nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def machine(root: Path) -> Iterator[Up]:
    with tempfile.TemporaryDirectory(prefix="up-") as short:
        made = Up(root, Path(short))
        weak = ("--dangerously-weak-keys-for-tests", "--passphrase-file", made.secret)
        made.desk.run("--home", made.desk.home, "init", *weak).ok()
        made.start()
        try:
            yield made
        finally:
            assert made.process is not None
            if made.process.poll() is None:
                assert made.end(signal.SIGTERM) == 0

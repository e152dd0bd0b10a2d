"""A fake forge: a real git server over HTTP (git's own http-backend) and the one call for pull
requests that GitHub, Gitea and Forgejo share. Only for tests; on the loopback.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HEADER = "Authorization: token of-the-proxy"


class FakeForge:
    """Serves the repositories below a directory at `url`; over TLS as `localhost` with a
    certificate and its key."""

    def __init__(self, repositories: Path, tls: tuple[Path, Path] | None = None) -> None:
        self.repositories = repositories
        self.pulls: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str | None]] = []
        handler = type("Handler", (_Handler,), {"forge": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        if tls is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*tls)
            # Each handshake in its connection's own thread: one that fails is one client's.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
            self.url = f"https://localhost:{self._server.server_port}"

    def repository(self, name: str) -> Path:
        place = self.repositories / f"{name}.git"
        subprocess.run(["git", "init", "-q", "--bare", str(place)], check=True)
        subprocess.run(["git", "-C", str(place), "config", "http.receivepack", "true"], check=True)
        return place

    @contextmanager
    def serving(self) -> Iterator[FakeForge]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    forge: FakeForge

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        return

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        body = self._body()
        self.forge.requests.append((path, self.headers.get("Authorization")))
        if path.startswith("/api/"):
            self._pull(path, body)
            return
        env = {
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROJECT_ROOT": str(self.forge.repositories),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
            "PATH": os.environ["PATH"],
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=env, capture_output=True, check=True
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _pull(self, path: str, body: bytes) -> None:
        known = self.headers.get("Authorization") == HEADER.partition(": ")[2]
        asked = {**json.loads(body), "path": path}
        content = b"{}"
        if known:
            self.forge.pulls.append(asked)
            number = len(self.forge.pulls)
            made = {"html_url": f"{self.forge.url}/pulls/{number}", "number": number}
            content = json.dumps(made).encode()
        self.send_response(201 if known else 401)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

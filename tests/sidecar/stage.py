"""A home, the real `nucleus verifier serve` on it, a tool behind it, and real gateways between."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from nucleus.home import Home
from nucleus_issuer.mint import Audience, Signer
from nucleus_tokens import writing
from nucleus_tokens.chain import UnverifiedToken
from tests.cli.command import PROGRAM, ROOMS
from tests.support import world

SECONDS: Final = 30.0
HOST: Final = "tool.example.org"
INSTANCE: Final = "verifier:test"
NAMES: Final = ("envoy", "envoy-http", "nginx", "caddy")
CONVENTION: Final = {
    "envoy": "envoy-grpc", "envoy-http": "envoy-http", "nginx": "nginx", "caddy": "forward-auth",
}  # fmt: skip
_CONFIG: Final = """
version = 1
instance = "verifier:test"
health = "unix:{folder}/health.sock"

{listeners}

[[routes]]
tool = "notes.read"
host = "tool.example.org"
method = "GET"
path = "/notes/{{name}}"
operation = "read_files"
selectors = {{ "/path/name" = "id" }}

[[routes]]
tool = "admin.keys"
host = "tool.example.org"
method = "GET"
path = "/notes/keys"
operation = "manage_pods"

[[routes]]
tool = "files.read"
host = "tool.example.org"
method = "GET"
path = "/files/{{path...}}"
operation = "read_files"
selectors = {{ "/path/path" = "path" }}

[[routes]]
tool = "notes.search"
host = "tool.example.org"
method = "GET"
path = "/search"
operation = "grep_search"
selectors = {{ "/query/q" = "text" }}

[[routes]]
tool = "notes.write"
host = "tool.example.org"
method = "POST"
path = "/notes"
operation = "write_files"
body = "json"
selectors = {{ "/body/name" = "id" }}
payload = ["/body/text"]

[[routes]]
tool = "blobs.put"
host = "tool.example.org"
method = "PUT"
path = "/blobs/{{name}}"
operation = "write_files"
body = "opaque"
selectors = {{ "/path/name" = "id" }}
payload = ["/body"]

[[routes]]
tool = "ping"
host = "tool.example.org"
method = "POST"
path = "/ping"
operation = "read_files"

[[routes]]
tool = "echo.call"
host = "tool.example.org"
method = "POST"
path = "/example.Echo/Call"
operation = "read_files"
body = "opaque"
payload = ["/body"]
"""


class Tool:
    """The tool behind the gateways: says what reached it, and remembers."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        tool = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else every answer on a kept connection waits 40 ms

            def _any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if self.headers.get("Transfer-Encoding"):
                    self.close_connection = True
                headers = [[k.lower(), v] for k, v in self.headers.items()]
                said = {"method": self.command, "path": self.path, "headers": headers,
                        "body": body.decode("latin-1")}  # fmt: skip
                tool.seen.append(said)
                data = json.dumps(said).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = _any

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass
class Sidecar:
    """The process, and everything it said."""

    folder: Path
    home: Home
    signer: Signer
    audience: Audience
    words: tuple[str, ...]
    process: subprocess.Popen[str] | None = None
    log: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()  # where it runs

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *self.prefix, *PROGRAM,
                "--home", str(self.home.state.parent), "verifier", "serve", *self.words,
            ],
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": ROOMS, **self.env},
        )  # fmt: skip
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if " serves" in line:
                break
        else:
            raise AssertionError("".join(self.log))
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()

    def _read(self, stream: Any) -> None:
        with stream:
            for line in stream:
                self.log.append(line)

    def memory(self) -> int:
        """Bytes of it that lie in memory."""
        assert self.process is not None
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def kill(self, number: int = signal.SIGKILL) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        self.process = None
        return code

    def ready(self) -> tuple[int, dict[str, Any]]:
        """What /readyz says."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(SECONDS)
            sock.connect(str(self.folder / "health.sock"))
            sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: health\r\nConnection: close\r\n\r\n")
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            return answer.status, json.loads(answer.read())

    def events(self, **about: str) -> list[dict[str, Any]]:
        """What the log says, of those that say this of themselves. A thread reads it: what was just
        answered may not be there yet."""
        found = [json.loads(line) for line in list(self.log) if line.startswith("{")]
        return [each for each in found if about.items() <= each.items()]

    # Tokens -----------------------------------------------------------------------------------

    def mint(self, *ceil: list[Any], name: str = "tid", **rest: Any) -> UnverifiedToken:
        now = int(time.time())
        given: dict[str, Any] = {"iat": now - 5, "exp": now + 3600, "holder": world.BEARER} | rest
        return world.mint(
            *ceil, tid=world.hex16(name), signer=self.signer, audience=self.audience, **given
        )

    def bearer(self, *ceil: list[Any], name: str = "tid", **rest: Any) -> str:
        return writing.write_credential(self.mint(*ceil, name=name, **rest))

    def signed(self, tool: str, args: Any, *ceil: list[Any], **rest: Any) -> str:
        """A token of a holder with a key, bound to one call."""
        from nucleus_tokens import holding

        instance = rest.pop("instance", INSTANCE)
        token = self.mint(*ceil, holder=rest.pop("holder", world.AGENT), **rest)
        return holding.request(
            token, world.secret("agent"), tool=tool, args=args, time=int(time.time()),
            nonce=os.urandom(16).hex(), instance=instance,
        )  # fmt: skip


def make_home(root: Path) -> tuple[Home, Signer, Audience]:
    home = Home.find(root / "home", {})
    home.create(
        issuer="issuer:test", audience="tool.example", approver="person", key_id="k1",
        policy=b"version = 1\n", issuer_passphrase=lambda _: b"x" * 20,
        approver_passphrase=lambda _: b"y" * 20, strength="dangerously_fast_for_tests",
    )  # fmt: skip
    ring = home.keyring()
    signer = ring.issuer("k1", lambda _: b"x" * 20).signer
    return home, signer, ring.bundle().audience_named("tool.example")


@contextmanager
def sidecar(
    root: Path,
    listeners: str | None = None,
    *words: str,
    made_home: tuple[Home, Signer, Audience] | None = None,
    prefix: tuple[str, ...] = (),
    instance: str = INSTANCE,
    **env: str,
) -> Iterator[Sidecar]:
    """The process; `listeners` is TOML, by default one for each gateway."""
    home, signer, audience = make_home(root) if made_home is None else made_home
    # A short path: that of a socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="gate-") as short:
        folder = Path(short)
        if listeners is None:
            listeners = "\n".join(
                f'[listeners.{name}]\nconvention = "{CONVENTION[name]}"\n'
                f'address = "unix:{folder}/{name}.sock"'
                for name in NAMES
            )
        listeners += f'\n[listeners.own]\nconvention = "check"\naddress = "unix:{folder}/own.sock"'
        config = folder / "sidecar.toml"
        listeners = listeners.replace("{folder}", str(folder))
        text = _CONFIG.format(folder=folder, listeners=listeners)
        config.write_text(text.replace(INSTANCE, instance, 1))
        made = Sidecar(folder, home, signer, audience, ("--config", str(config), *words), env=env)
        made.prefix = prefix
        made.start()
        try:
            yield made
        finally:
            if made.process is not None:
                assert made.kill(signal.SIGTERM) == 0, "".join(made.log[-20:])
            assert not any("Traceback" in line for line in made.log), "".join(made.log)
            assert not any("nuc1_" in line for line in made.log), "a credential is in the log"

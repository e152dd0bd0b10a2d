"""An issuer as it runs: the real commands as processes, real identities, real mutual TLS."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any

from nucleus.cli import main
from nucleus_issuer.keyring import KeyRing
from nucleus_issuer.store import Store, wall_clock
from nucleus_verifier.ports import PendingRequest
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.rpc.client import IssuerClient
from nucleus_verifier.rpc.mtls import Dialled, Workload, parse_id
from tests.cli.command import PASSPHRASE, PROGRAM, ROOMS
from tests.identity.host import Host, host
from tests.support import world

SECONDS = 30.0
ISSUER = parse_id("spiffe://example.org/issuer")
NAMES = ("issuer", "agent", "other", "tool", "ops", "stranger")
# One socket for each identity: who reaches it is it.
REGISTRY = "".join(
    f'[[workload]]\nid = "spiffe://example.org/{name}"\nsocket = "{name}.sock"\n' for name in NAMES
)
POLICY = """
[[grant]]
id = "spiffe://example.org/agent"
profiles = ["read-only", "codegen"]
audiences = ["tool.example"]
exchange = ["else.example"]
ttl_seconds = 3600
depth = 2
caveats = ['["path","in",["/srv/**"]]']

[[grant]]
id = "spiffe://example.org/other"
profiles = ["read-only"]
audiences = ["tool.example"]
ttl_seconds = 60

[[audience]]
name = "tool.example"
id = "spiffe://example.org/tool"

[[audience]]
name = "else.example"
id = "spiffe://example.org/tool"

[[operator]]
id = "spiffe://example.org/ops"
may = ["list", "revoke", "approve"]
"""


def environ(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": ROOMS, **more}


class Stage:
    """One home, its identities, and an issuer that can be killed and started again."""

    def __init__(self, identity: Host, *words: str, name: str = "service.sock") -> None:
        self.identity = identity
        self.words = words
        self.name = name
        self.listen = ""  # elsewhere than at the unix socket `name`
        self.prefix: tuple[str, ...] = ()  # where it runs
        self.process: subprocess.Popen[str] | None = None
        self.log: list[str] = []
        self.heard = threading.Condition()
        self.reader: threading.Thread | None = None

    @property
    def home(self) -> Path:
        return self.identity.home

    @property
    def pass_file(self) -> Path:
        return self.home / "issuer.pass"

    @property
    def address(self) -> str:
        return self.listen or f"unix:{self.identity.folder / self.name}"

    def socket(self, name: str) -> str:
        return f"unix://{self.identity.folder / (name + '.sock')}"

    def start(self, name: str = "issuer") -> None:
        """Start it, and wait until it says that it serves."""
        self.process = subprocess.Popen(
            [
                *self.prefix, *PROGRAM,
                "--home", str(self.home), "issuer", "serve", "--listen", self.address,
                "--passphrase-file", str(self.pass_file), *self.words,
            ],
            stderr=subprocess.PIPE,
            text=True,
            env=environ(SPIFFE_ENDPOINT_SOCKET=self.socket(name)),
        )  # fmt: skip
        said = len(self.log)
        self.reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self.reader.start()
        self.until_said("serves at", said)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self.heard:
                    self.log.append(line)
                    self.heard.notify_all()
        with self.heard:
            self.log.append("(ended)")
            self.heard.notify_all()

    def until_said(self, words: str, after: int = 0) -> str:
        """The log's first line with these words, from line `after` on."""

        def found() -> str | None:
            return next((line for line in self.log[after:] if words in line), None)

        with self.heard:
            assert self.heard.wait_for(lambda: found() or "(ended)" in self.log[after:], SECONDS), (
                f"never said {words!r}: {''.join(self.log[-20:])}"
            )
        line = found()
        assert line is not None, f"ended: {''.join(self.log[-20:])}"
        return line

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self._ended()

    def stop(self) -> None:
        """SIGTERM: an orderly end."""
        assert self.process is not None
        ended = self.process.poll()
        # By us, or not at all: what ends by itself is no service.
        assert ended in (None, 0, -signal.SIGKILL), f"{ended}: {''.join(self.log[-20:])}"
        if ended is None:
            self.process.send_signal(signal.SIGTERM)
        self._ended()
        assert "Traceback" not in "".join(self.log), "".join(self.log[-60:])

    def _ended(self) -> None:
        assert self.process is not None
        assert self.reader is not None
        self.process.wait(SECONDS)
        self.reader.join(SECONDS)

    def ring(self) -> KeyRing:
        return KeyRing(self.home / "data" / "keys")

    def store(self) -> Store:
        return Store.open(self.home / "state" / "state.sqlite")

    @staticmethod
    def now() -> int:
        return wall_clock()

    def register(self) -> None:
        """The audiences' keys, by whoever they belong to."""

        async def work() -> None:
            async with self.client("tool") as tool:
                await tool.register_audience("tool.example", "k1", world.AUDIENCE.public)
                await tool.register_audience("else.example", "k1", world.ELSEWHERE.public)

        asyncio.run(work())

    @asynccontextmanager
    async def client(self, name: str) -> AsyncIterator[IssuerClient]:
        """Whoever reaches the identity socket `name`."""
        workload = await asyncio.to_thread(Workload.open, self.socket(name))
        dialled = Dialled(workload, self.address, ISSUER)
        try:
            yield IssuerClient(dialled.channel)
        finally:
            await dialled.close()
            workload.close()


@contextmanager
def running(root: Path, *words: str, policy: str = POLICY, start: bool = True) -> Iterator[Stage]:
    """A stage whose issuer serves. It is ended by SIGTERM and must end cleanly."""
    with host(root, REGISTRY) as identity:
        stage = Stage(identity, *words)
        stage.pass_file.touch(0o600)
        stage.pass_file.write_bytes(PASSPHRASE + b"\n")
        made = main(
            [
                "--home", str(stage.home), "init", "--approver", "person",
                "--passphrase-file", str(stage.pass_file), "--dangerously-weak-keys-for-tests",
            ]
        )  # fmt: skip
        assert made == 0
        (stage.home / "config" / "issuance.toml").write_text(policy)
        if start:
            stage.start()
        try:
            yield stage
        finally:
            if stage.process is not None:
                stage.stop()


def order(key: str, **changes: Any) -> pb.IssueRequest:
    base: dict[str, Any] = {
        "idempotency_key": key,
        "audience": "tool.example",
        "profile": "read-only",
    }
    return pb.IssueRequest(**{**base, **changes})


async def revoked(client: IssuerClient, **what: Any) -> pb.RevokeEvent.Recorded:
    """Revoke, and wait until it is effective."""
    events = [event async for event in client.revoke(pb.RevokeRequest(**what))]
    assert [event.WhichOneof("event") for event in events] == ["recorded", "effective"]
    return events[0].recorded


class OneRequest:
    """A desk's store that holds one request: how an approver signs what another host keeps."""

    def __init__(self, request: PendingRequest) -> None:
        self._request = request
        self.approval: bytes | None = None

    def requests(self, *, pending_only: bool = True) -> list[PendingRequest]:
        return [self._request]

    def status(self, request_id: str) -> PendingRequest:
        return self._request

    def settle(self, request_id: str, *, approval: bytes | None, reason: str = "") -> None:
        self.approval = approval

"""An issuer as it runs: the real commands as processes, real identities, real mutual TLS."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nucleus.cli import main
from nucleus_issuer.keyring import KeyRing
from nucleus_issuer.store import Store
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.rpc.client import IssuerClient
from nucleus_verifier.rpc.mtls import Dialled, Workload, parse_id
from tests.cli.command import PASSPHRASE, PROGRAM, ROOMS
from tests.identity.host import Host, host

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


@dataclass
class Stage:
    """One home, its identities, and an issuer that can be killed and started again."""

    identity: Host
    words: list[str] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None
    log: list[str] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.identity.home

    @property
    def pass_file(self) -> Path:
        return self.home / "issuer.pass"

    @property
    def address(self) -> str:
        return f"unix:{self.identity.folder / 'service.sock'}"

    def socket(self, name: str) -> str:
        return f"unix://{self.identity.folder / (name + '.sock')}"

    def start(self, name: str = "issuer") -> None:
        """Start it, and wait until it says that it serves."""
        self.process = subprocess.Popen(
            [
                *PROGRAM, "--home", str(self.home), "issuer", "serve", "--listen", self.address,
                "--passphrase-file", str(self.pass_file), *self.words,
            ],
            stderr=subprocess.PIPE,
            text=True,
            env=environ(SPIFFE_ENDPOINT_SOCKET=self.socket(name)),
        )  # fmt: skip
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if "serves at" in line:
                return
        raise AssertionError(f"the issuer ended: {''.join(self.log[-20:])}")

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self._ended()

    def stop(self) -> None:
        """SIGTERM: an orderly end."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self._ended()
        assert "Traceback" not in "".join(self.log), "".join(self.log[-60:])

    def _ended(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        self.log += self.process.stderr.readlines()
        self.process.wait(SECONDS)
        self.process.stderr.close()

    def ring(self) -> KeyRing:
        return KeyRing(self.home / "data" / "keys")

    def store(self) -> Store:
        return Store.open(self.home / "state" / "state.sqlite")

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
        stage = Stage(identity, list(words))
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

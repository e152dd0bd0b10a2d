"""The test's side of a host that is killed: its folder, its lives, its clients, and the laws."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Self

from nucleus_issuer.store import Store
from nucleus_tokens import holding
from nucleus_tokens.chain import UnverifiedToken
from nucleus_verifier import gather, record, trace
from nucleus_verifier.ports import PendingRequest, Snapshot
from tests.kills import host
from tests.proxy.stage import PATIENCE, approval
from tests.support import world

KILLED = -signal.SIGKILL


class Lives:
    """The process whose forks are the lives."""

    def __init__(self) -> None:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", host.__name__], env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._in, self._out = _piped(self._process)
        self._pid = 0

    def begin(self, **given: Any) -> None:
        """Start a life and wait until it takes connections."""
        if self._pid:  # a test failed while it lived
            os.kill(self._pid, signal.SIGKILL)
            self.ended()
        self._in.write(json.dumps({"point": "", **given}) + "\n")
        self._in.flush()
        said, _, pid = self._out.readline().strip().partition(" ")
        assert said == "ready", said
        self._pid = int(pid)

    def ended(self) -> int:
        """Wait for its end: its exit code, or minus the signal that ended it."""
        if not select.select([self._out], [], [], PATIENCE / 4)[0]:
            os.kill(self._pid, signal.SIGTERM)  # it goes on: it was to be killed and was not
        said, _, code = self._out.readline().strip().partition(" ")
        assert said == "ended", said
        self._pid = 0
        return int(code)

    def end(self) -> None:
        os.kill(self._pid, signal.SIGTERM)
        assert self.ended() == -signal.SIGTERM

    def close(self) -> None:
        if self._pid:  # a test failed while it lived
            os.kill(self._pid, signal.SIGKILL)
        self._process.communicate(timeout=PATIENCE)


def _piped(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


class Place:
    """What of a host outlives it."""

    def __init__(self, folder: Path, policy: str, *ceil: list[Any], **rest: Any) -> None:
        self.folder = folder
        folder.chmod(0o700)
        (folder / "policy.toml").write_text(policy)
        now = host.clock()
        self.token: UnverifiedToken = world.mint(*ceil, iat=now - 60, exp=now + 3600, **rest)
        self.prefix = world.opened(self.token).prefix
        self.tree = f"tree:{self.prefix.rids[0]}"
        self.store = Store.open(folder / "state.sqlite", create=True)  # a person's, say
        self.store.open_cell(self.tree, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    def signed(self, tool: str, args: Any, nonce: str) -> str:
        return holding.request(
            self.token, world.secret("agent"), tool=tool, args=args,
            time=host.clock(), nonce=world.hex16(nonce), instance=world.INSTANCE,
        )  # fmt: skip

    def records(self, kind: str) -> list[dict[str, Any]]:
        entries, broken = trace.read([line for _, line in self.store.trace_lines()])
        assert broken is None
        return [{**e.record, "seq": e.seq} for e in entries if e.record["type"] == kind]

    def allowed(self) -> list[dict[str, Any]]:
        return [r for r in self.records("decision") if r["decision"]["verdict"] == "allow"]

    def spent(self, unit: str) -> int:
        """What the token's one budget of this unit stands at."""
        (counter,) = [c.id for c in self.prefix.authority.counters if c.unit == unit]
        return self._read().spent[counter]

    def seen(self) -> int:
        """What both cells have seen."""
        found = self._read()
        return found.wall.bits | found.tree.bits

    def _read(self) -> Snapshot:
        return self.store.read(gather.wanted(world.opened(self.token), world.WALL))

    def verified(self) -> None:
        """The trace is whole, and each decision in it is computed again from its reveal."""
        lines = (self.folder / "reveals.jsonl").read_bytes().splitlines()
        reveals = {record.reveal_digest(r): r for r in map(json.loads, lines)}
        for entry in self.records("decision"):
            reveal = reveals[entry["call"]["digest"]]
            assert record.recompute(entry, reveal, world.KEYS) == entry["decision"]

    def waiting(self, over: Callable[[], bool]) -> PendingRequest | None:
        """The request that comes to the desk, or None where `over` came before one did."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            ended, found = over(), self.store.requests()
            if found:
                return found[0]
            if ended:
                return None
            time.sleep(0.005)
        raise AssertionError("neither a request nor an end")

    def approve(self, request: PendingRequest) -> None:
        self.store.settle(request.id, approval=approval(request, host.clock()))


class Client:
    """Lines to a life; it ends when that does."""

    def __init__(self, folder: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(str(folder / "s"))
        self._lines = self._socket.makefile("rb")
        self._lines.readline()  # who the verifier is
        self._id = 0

    def send(self, tool: str, args: Any, credential: str, *, waits: bool) -> None:
        self._id += 1
        meta = {"nucleus/credential": credential, "nucleus/wait": waits}
        params = {"name": tool, "arguments": args, "_meta": meta}
        frame = {"jsonrpc": "2.0", "id": self._id, "method": "tools/call", "params": params}
        self._socket.sendall(json.dumps(frame).encode() + b"\n")

    def answer(self) -> str | None:
        """`ok`, the code of a refusal, or None where the life ended first."""
        try:
            line = self._lines.readline()
        except ConnectionError:
            return None
        if not line:
            return None
        result = json.loads(line)["result"]
        refusal = result["_meta"].get("nucleus/refusal")
        return "ok" if refusal is None else str(refusal["code"])

    def silent(self) -> bool:
        """Whether nothing came, not even the end."""
        return not select.select([self._socket], [], [], 0)[0]

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

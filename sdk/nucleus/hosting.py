"""Law: a session's proxy holds one token and can mint none; it ends with whoever started it.

One process per session. It gets its token and the holder's key on standard input, the client's
connection as a descriptor, and opens the home's state. The issuer's and the approver's keys are
sealed on the disk and never opened here. The end of standard input is the end of the session.

    python -m nucleus.hosting    (started by `nucleus.serving`, never by hand)
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nucleus import composing, explaining, running, shapes
from nucleus.home import Home
from nucleus.proxying import Proxy
from nucleus_issuer.store import Store
from nucleus_proxy import policy as policies
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.methods import HELLO
from nucleus_proxy.native import Tools
from nucleus_proxy.sessions import Held, SessionServer
from nucleus_proxy.wire import FRAME_BYTES, INVALID_PARAMS, WORLD_FAILED, notification
from nucleus_tokens import arguments, names
from nucleus_tokens.errors import CallerError, CredentialError, NucleusError
from nucleus_verifier import gather
from nucleus_verifier.authenticate import VerifiedCredential, authenticate
from nucleus_verifier.decision import Deny
from nucleus_verifier.facts import Keys

_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Start:
    """What a session's proxy is started with."""

    home: Home
    connection: int
    token: str
    private: bytes
    profile: str
    workspace: Path
    policy: Path
    run: str
    roots: Path
    ask_seconds: int

    def encode(self) -> bytes:
        """One line for standard input."""
        value = {
            "ask_seconds": self.ask_seconds,
            "connection": self.connection,
            "home": [str(self.home.config), str(self.home.data), str(self.home.state)],
            "policy": str(self.policy),
            "private": self.private.hex(),
            "profile": self.profile,
            "roots": str(self.roots),
            "run": self.run,
            "token": self.token,
            "workspace": str(self.workspace),
        }
        return json.dumps(value).encode("ascii") + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Start:
        value = json.loads(line)
        config, data, state = map(Path, value["home"])
        return cls(
            home=Home(config, data, state),
            connection=value["connection"],
            token=value["token"],
            private=bytes.fromhex(value["private"]),
            profile=value["profile"],
            workspace=Path(value["workspace"]),
            policy=Path(value["policy"]),
            run=value["run"],
            roots=Path(value["roots"]),
            ask_seconds=value["ask_seconds"],
        )


class SessionHost:
    """What a session may ask about itself."""

    def __init__(
        self, store: Store, keys: Keys, mediator: Mediator, start: Start, after: int
    ) -> None:
        """`after` is the last record of the trace before the session."""
        self._store = store
        self._keys = keys
        self._mediator = mediator
        self._start = start
        self._read_to = after
        self._lines: dict[str, list[str]] = {}
        self._decisions: dict[int, str] = {}

    def about(self, text: str) -> dict[str, Any]:
        prefix = self._opened(text).prefix
        return {
            "cell": self._mediator.wall,
            "expires": prefix.authority.exp,
            "profile": self._start.profile,
            "rid": prefix.rids[-1],
            "tid": prefix.opened.header.tid,
            "workspace": str(self._start.workspace),
        }

    def narrowed(self, text: str) -> dict[str, Any]:
        about = self.about(text)
        # A sub-agent's session has no place of its own in the list.
        if not self._opened(text).prefix.hops:
            running.update(self._start.home, about)
        return about

    def seen(self, text: str) -> list[str]:
        found = self._store.read(gather.wanted(self._opened(text), self._mediator.wall))
        return list(names.exposure_names(found.wall.bits | found.tree.bits))

    def explain(self, text: str, build: Callable[[], BoundCall]) -> dict[str, Any]:
        credential = self._opened(text)
        found = self._mediator.consider(credential, build)
        return explaining.answer(found.decision, credential, found.bound, found.facts).as_json()

    def trace(self, tid: str, after: int, most: int) -> list[str]:
        while batch := self._store.trace_lines(self._read_to, most):
            for seq, line in batch:
                self._sort(seq, line)
                self._read_to = seq
        return self._lines.get(tid, [])[after : after + most]

    def _sort(self, seq: int, line: bytes) -> None:
        """Whose a record is. One that is nobody's is for the host alone."""
        entry = shapes.table(arguments.parse(line)) or {}
        owner = _tree(shapes.table(entry.get("record")) or {}, self._decisions)
        if owner:
            self._decisions[seq] = owner
            self._lines.setdefault(owner, []).append(line.decode("utf-8"))

    def _opened(self, text: str) -> VerifiedCredential:
        found = authenticate(text, self._keys)
        if isinstance(found, Deny):
            raise CredentialError(found.code, "The verifier would refuse this token.")
        return found


def _tree(record: dict[str, Any], decisions: dict[int, str]) -> str:
    """The token id that a record is about."""
    match record.get("type"):
        case "decision":
            return shapes.text((shapes.table(record.get("token")) or {}).get("tid")) or ""
        case "outcome" | "charge" | "seen":
            decision = record.get("decision")
            return decisions.get(decision, "") if type(decision) is int else ""
        case "list" | "session" | "revocation" | "taken_back":
            return shapes.text(record.get("tid")) or ""
        case _:
            return ""


async def serve(start: Start, pipe: int) -> None:
    """Serve one session until its client ends, or whoever holds the other end of `pipe`."""
    place = start.home
    rules = composing.at(policies.load(start.policy), start.workspace)
    with place.store() as store, place.reveals() as reveals, place.labels() as labels:
        proxy = Proxy(
            place, store, reveals, labels, rules,
            log=_log, ask_seconds=start.ask_seconds, roots=start.roots,
        )  # fmt: skip
        mediator = proxy.mediator(proxy.policy, run=start.run)
        host = SessionHost(
            store, place.verifier_keys(), mediator, start, after=store.trace_head()[0]
        )
        mediator.open()
        about = host.about(start.token)
        store.append({"at": place.clock(), "type": "session", **about})
        with running.listed(place, about):
            try:
                async with proxy.watching():
                    work = asyncio.ensure_future(_client(start, mediator, proxy.tools, host))
                    over = asyncio.ensure_future(_ended(pipe))
                    await asyncio.wait({work, over}, return_when=asyncio.FIRST_COMPLETED)
                    for task in (work, over):
                        task.cancel()
                    await asyncio.gather(work, over, return_exceptions=True)
            finally:
                place.checkpoint(store)


async def _ended(pipe: int) -> None:
    """Until the other end of a pipe is closed."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(pipe, ready.set)
    try:
        while True:
            await ready.wait()
            ready.clear()
            if not os.read(pipe, 4096):
                return
    finally:
        loop.remove_reader(pipe)


async def _client(start: Start, mediator: Mediator, ours: Tools, host: SessionHost) -> None:
    connection = socket.socket(fileno=start.connection)
    reader, writer = await asyncio.open_unix_connection(sock=connection, limit=FRAME_BYTES + 1)
    hello = {"audience": mediator.audience, "instance": mediator.instance}
    writer.write(notification(HELLO, hello) + b"\n")
    server = SessionServer(
        connection=connection,
        reader=reader,
        writer=writer,
        mediator=mediator,
        tools=ours,
        held=Held(start.token, start.private),
        host=host,
        cwd=str(start.workspace),
        draw=start.home.random,
        log=_log,
    )
    await server.run()


def _log(sentence: str) -> None:
    from nucleus.cli.console import note, safe

    note(f"nucleus: {safe(sentence)}")


def say_no(connection: socket.socket, error: NucleusError) -> None:
    """The answer to a client that gets no session: to its first request, which opens one."""
    data = {"code": error.code, "hint": error.hint}
    content = {"code": WORLD_FAILED, "message": error.message, "data": data}
    if isinstance(error, CallerError | CredentialError):
        content["code"] = INVALID_PARAMS
    answer = {"jsonrpc": "2.0", "id": 1, "error": content}
    try:
        connection.settimeout(_SECONDS)
        connection.sendall(json.dumps(answer).encode("ascii") + b"\n")
    except OSError:
        pass  # it has gone already


def main() -> int:
    """Read what to start with, and serve."""
    start = Start.decode(sys.stdin.buffer.readline())
    connection = socket.socket(fileno=os.dup(start.connection))
    try:
        asyncio.run(serve(start, sys.stdin.fileno()))
    except NucleusError as error:
        _log(str(error))
        say_no(connection, error)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

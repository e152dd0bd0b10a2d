"""Law: the process that mints runs no effect, and the one that runs effects cannot mint.

`nucleus session serve`: a person says which profiles a session may have, and where; the issuer's
key is open in this process alone. Whoever connects gets a token for one of them, which goes to a
proxy process of the session's own together with the connection. Of what a client sends, this
process looks at one bounded line, which it leaves where it is.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nucleus import minting, shapes
from nucleus.home import Home
from nucleus.hosting import Start, say_no
from nucleus_issuer.issuing import Issuer, Minted
from nucleus_issuer.profiles import Profile
from nucleus_proxy import starting
from nucleus_tokens.errors import CallerError, NucleusError

MOST_SESSIONS: Final = 64
_OPEN: Final = "nucleus/open"
_LINE_BYTES: Final = 4096
_LINE_SECONDS: Final = 10.0
_GRACE_SECONDS: Final = 5.0

Log = Callable[[str], None]
# Called with each token and its cell before its session starts: approvals given ahead.
Opened = Callable[[Minted, str], None]


@dataclass(frozen=True, slots=True)
class Offer:
    """What the person who started this offers to whoever may connect."""

    profiles: tuple[Profile, ...]
    workspace: Path  # resolved; a session's is this one or below it
    policy: Path
    run: str  # one cell for all sessions: what one has seen, the next one has seen
    roots: Path  # PEM file of those whose certificates are believed
    prompt: str = ""  # the user's words, for what they vouch for
    ask_seconds: int = 600


class Sessions:
    """Takes connections, and starts a proxy for each."""

    def __init__(
        self, place: Home, issuer: Issuer, offer: Offer, *, log: Log, opened: Opened | None = None
    ) -> None:
        self._place = place
        self._issuer = issuer
        self._offer = offer
        self._log = log
        self._opened = opened
        self._running: set[asyncio.Task[None]] = set()

    async def listen(self, listening: socket.socket) -> None:
        """Take connections until cancelled; then every session ends."""
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        try:
            while True:
                connection, _ = await loop.sock_accept(listening)
                if len(self._running) >= MOST_SESSIONS:
                    self._log(f"refused a connection: {MOST_SESSIONS} sessions run")
                    connection.close()
                    continue
                task = loop.create_task(self.start(connection))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def start(self, connection: socket.socket) -> None:
        """Serve one connection to its end; it is closed in any case."""
        with connection:
            try:
                check_peer(connection)
                wanted = await asyncio.to_thread(first_line, connection)
                start = await asyncio.to_thread(self._mint, connection, wanted)
            except NucleusError as error:
                self._log(f"refused a session: {error}")
                await asyncio.to_thread(say_no, connection, error)
                return
            process = await starting.started(
                asyncio.create_subprocess_exec(
                    sys.executable, "-m", "nucleus.hosting",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.DEVNULL,
                    pass_fds=(connection.fileno(),),
                    env=environment(),
                )
            )  # fmt: skip
        await _until_it_ends(process, start.encode())

    def _mint(self, connection: socket.socket, wanted: dict[str, Any]) -> Start:
        offer, place = self._offer, self._place
        profile = chosen(offer, shapes.text(wanted.get("profile")) or "")
        workspace = within(offer, shapes.text(wanted.get("workspace")) or str(offer.workspace))
        minted, private = minting.mint(
            place,
            self._issuer,
            profile,
            workspace,
            memo=f"session of run {offer.run}",
            prompt=offer.prompt,
        )
        if self._opened is not None:
            self._opened(minted, f"run:{offer.run}")
        self._log(f"session {minted.tid} with profile {profile.name} in {workspace}")
        return Start(
            home=place,
            connection=connection.fileno(),
            token=minted.text,
            private=private,
            profile=profile.name,
            workspace=workspace,
            policy=offer.policy,
            run=offer.run,
            roots=offer.roots,
            ask_seconds=offer.ask_seconds,
        )


async def _until_it_ends(process: asyncio.subprocess.Process, given: bytes) -> None:
    if process.stdin is None:
        raise CallerError("session.pipes", "A session's proxy needs a pipe.")
    try:
        process.stdin.write(given)
        await process.stdin.drain()
        # The pipe stays open for as long as we run: its end tells the proxy that we are gone.
        await process.wait()
    except ConnectionError:
        await process.wait()
    except asyncio.CancelledError:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
        raise


def chosen(offer: Offer, name: str) -> Profile:
    """The profile that was asked for, if it is offered; without a name the only one."""
    found = [each for each in offer.profiles if name in ("", each.name)]
    if len(found) == 1:
        return found[0]
    offered = ", ".join(each.name for each in offer.profiles)
    raise CallerError(
        "session.profile",
        f"The profile {name or '(none was named)'} is not offered here.",
        hint=f"Offered: {offered}. Another one: nucleus session serve --profile NAME.",
    )


def within(offer: Offer, given: str) -> Path:
    """The workspace that was asked for, if it is the offered one or below it."""
    path = Path(os.path.realpath(given))
    if path.is_relative_to(offer.workspace) and path.is_dir():
        return path
    raise CallerError(
        "session.workspace",
        f"{path} is not a directory inside the workspace offered here.",
        hint=f"Offered: {offer.workspace}.",
    )


def check_peer(connection: socket.socket) -> None:
    """Only this user's processes. Raises CallerError `session.peer`."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", data)
    if uid != os.geteuid():
        raise CallerError("session.peer", f"A process of another user ({uid}) asked.")


def first_line(connection: socket.socket) -> dict[str, Any]:
    """What the client's first line asks for; the line stays for the session's proxy to read. A
    client that asks for nothing gets what is offered. Raises CallerError `session.line`."""
    connection.settimeout(_LINE_SECONDS)
    until = time.monotonic() + _LINE_SECONDS
    data = b""
    try:
        while b"\n" not in data and len(data) < _LINE_BYTES and time.monotonic() < until:
            seen = connection.recv(_LINE_BYTES, socket.MSG_PEEK)
            if not seen:
                break
            if len(seen) == len(data):
                time.sleep(0.01)  # what is there was seen; more is on its way
            data = seen
        line, newline, _ = data.partition(b"\n")
        value = shapes.table(json.loads(line)) if newline else None
    except (OSError, ValueError, RecursionError) as error:
        raise CallerError("session.line", "The client said nothing that can be read.") from error
    finally:
        connection.setblocking(True)
    if value is None:
        raise CallerError("session.line", "The client said nothing that can be read.")
    return (shapes.table(value.get("params")) or {}) if value.get("method") == _OPEN else {}


def environment() -> dict[str, str]:
    """What a session's proxy gets of our environment."""
    kept = ("PATH", "LANG", "HOME", "PYTHONPATH", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ}


def bound(path: Path) -> socket.socket:
    """A socket that only this user can connect to. Raises CallerError `serve.*` or WorldError."""
    from nucleus_proxy.serve import prepare

    prepare(path)
    made = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        made.bind(str(path))
        made.listen(16)
    except OSError as error:
        from nucleus_tokens.errors import WorldError

        made.close()
        raise WorldError("serve.socket", f"The socket {path} cannot be made: {error}.") from error
    finally:
        os.umask(before)
    return made

"""Law: a session is its token's alone; whoever brings another one is told that there is none.

A session is one relay: one client of the old era, from its `initialize` to its DELETE; or, in the
new era, where there are none, all requests of one token. One that nobody uses ends.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Final

from nucleus_proxy.http.streams import Streams
from nucleus_proxy.wire import FRAME_BYTES
from nucleus_tokens.crypto import sha256
from nucleus_tokens.errors import NucleusError, WorldError

MOST_SESSIONS: Final = 256
MOST_OF_ONE: Final = 8  # token: nobody crowds out the others
IDLE_SECONDS: Final = 900.0
_END_SECONDS: Final = 10.0
_ID_BYTES: Final = 32
_DOMAIN: Final = b"nucleus/http-session/1\0"

# Runs a relay over these streams, for whoever brought this token, to its end.
Serve = Callable[[asyncio.StreamReader, Streams, str], Awaitable[None]]


class Session:
    """One relay and who may use it."""

    def __init__(self, name: str, owner: bytes, streams: Streams) -> None:
        self.name = name
        self.owner = owner
        self.streams = streams
        self.reader = asyncio.StreamReader(limit=FRAME_BYTES + 1)
        self.users = 0
        self.task: asyncio.Task[None] | None = None
        self.idle: asyncio.TimerHandle | None = None

    def read(self, line: bytes) -> None:
        """Give the relay a line. Raises WorldError `http.ended`."""
        if self.streams.closed.is_set():
            raise WorldError("http.ended", "This session has ended.")
        self.reader.feed_data(line)

    def end(self) -> None:
        """Nothing more comes from its client; what runs is ended as on any other road."""
        if not self.reader.at_eof() and self.reader.exception() is None:
            self.reader.feed_eof()


class Sessions:
    """All sessions of one endpoint."""

    def __init__(
        self,
        serve: Serve,
        *,
        draw: Callable[[int], bytes],
        log: Callable[[str], None],
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._serve = serve
        self._draw = draw
        self._log = log
        self._idle_seconds = idle_seconds
        self._all: dict[str, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._all)

    def found(self, name: str, token: str) -> Session | None:
        """The session of this name, if it is this token's."""
        session = self._all.get(name)
        if session is None or not hmac.compare_digest(session.owner, _owner(token)):
            return None
        return session

    def opened(self, token: str) -> Session:
        """A new one. Raises WorldError `http.full`."""
        return self._new(self._draw(_ID_BYTES).hex(), token, shared=False)

    def shared(self, token: str) -> Session:
        """That of all requests of the new era with this token. Raises WorldError `http.full`."""
        # No client can name it: a name that is drawn holds no colon.
        name = f"token:{_owner(token).hex()}"
        return self._all.get(name) or self._new(name, token, shared=True)

    def _new(self, name: str, token: str, *, shared: bool) -> Session:
        owner = _owner(token)
        self._make_room(owner)
        session = Session(name, owner, Streams(self._log, renamed=shared))
        self._all[name] = session
        session.task = asyncio.create_task(self._run(session, token))
        self._tasks.add(session.task)
        session.task.add_done_callback(self._tasks.discard)
        self.using(session)
        self.left(session)
        return session

    def _make_room(self, owner: bytes) -> None:
        """Before a further session of this owner, who loses one of his own first."""
        mine = [s for s in self._all.values() if s.owner == owner]
        if len(mine) < MOST_OF_ONE and len(self._all) < MOST_SESSIONS:
            return
        crowd = mine if len(mine) >= MOST_OF_ONE else list(self._all.values())
        unused = next((s for s in crowd if not s.users), None)
        if unused is None:
            raise WorldError(
                "http.full", f"All {len(crowd)} sessions are at work.", hint="Come again later."
            )
        self.end(unused)

    async def _run(self, session: Session, token: str) -> None:
        try:
            await self._serve(session.reader, session.streams, token)
        except NucleusError as error:
            self._log(f"a session ended: {error}")
        finally:
            session.streams.close()
            if self._all.get(session.name) is session:
                del self._all[session.name]

    def end(self, session: Session) -> None:
        """Nobody uses it any more. Its name is free at once."""
        if self._all.get(session.name) is session:
            del self._all[session.name]
        if session.idle is not None:
            session.idle.cancel()
        session.end()

    def using(self, session: Session) -> None:
        """Somebody uses it."""
        session.users += 1
        if session.idle is not None:
            session.idle.cancel()
            session.idle = None
        # The one that was used last is the last to make room.
        if self._all.pop(session.name, None) is not None:
            self._all[session.name] = session

    def left(self, session: Session) -> None:
        """Whoever used it no longer does."""
        session.users -= 1
        if not session.users and session.name in self._all:
            loop = asyncio.get_running_loop()
            session.idle = loop.call_later(self._idle_seconds, self.end, session)

    async def close(self) -> None:
        """End all."""
        for session in list(self._all.values()):
            self.end(session)
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=_END_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _owner(token: str) -> bytes:
    return sha256(_DOMAIN + token.encode())

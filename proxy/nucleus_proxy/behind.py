"""Law: a call reaches a server that was started for what its token admits, or none.

The servers behind one client: the first, which the client talks to, and one more for each other
path authority that calls of this client bring. They are few; the oldest that is idle makes room.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from nucleus_proxy.celled import Starter
from nucleus_proxy.link import ServerLink
from nucleus_proxy.pinning import Origin
from nucleus_proxy.running import Running
from nucleus_proxy.wire import Frame, Key
from nucleus_tokens.authority import Authority
from nucleus_tokens.errors import CallerError, WorldError

MOST_SERVERS: Final = 4  # behind one client
BEGIN_SECONDS: Final = 30.0


class Behind:
    """One server that runs. `users` are calls that are about to be, or are, under way at it;
    `forsaken` are those that their client gave up and that it has not answered."""

    def __init__(
        self, process: Running, link: ServerLink, stack: AsyncExitStack, first: bool
    ) -> None:
        self.process = process
        self.link = link
        self.first = first
        self.users = 0
        self.forsaken = 0
        self.cut = False
        self._spoiled = False
        self.reading: asyncio.Task[None] | None = None
        self._stack = stack

    @property
    def over(self) -> bool:
        """Whether no call can go there any more. Of the first that is for its client to see,
        unless we cut it: then another one takes its place."""
        ended = self.reading is not None and self.reading.done()
        return self.cut or (ended and not self.first)

    def spoil(self, mine: int) -> None:
        """A call there may not go on. It would, whatever the server is told; so the server ends
        once nobody else has a call there. `mine` of its users are the caller."""
        self._spoiled = True
        if self.users == mine:
            self._end()

    def left(self) -> None:
        """A call there is over."""
        self.users -= 1
        if self._spoiled and not self.users:
            self._end()

    def _end(self) -> None:
        self.cut = True
        self.process.kill()

    async def close(self, grace: float) -> None:
        """End it, and wait until nothing of it is left."""
        try:
            await self.process.stop(grace)
            if self.reading is not None:
                await asyncio.wait({self.reading}, timeout=grace)
                self.reading.cancel()
                await asyncio.wait({self.reading})
        finally:
            self.link.close()
            await self._stack.aclose()


class Servers:
    """The servers of one client. `read` is what listens to one until it ends."""

    def __init__(
        self,
        starter: Starter,
        read: Callable[[Behind], Coroutine[Any, Any, None]],
        prefix: str,
        grace: float,
    ) -> None:
        """`prefix` starts the ids of our own questions."""
        self._starter = starter
        self._read = read
        self._prefix = prefix
        self._grace = grace
        self._running: dict[Hashable, Behind] = {}
        self._lock = asyncio.Lock()
        self._greeting: tuple[dict[str, Any] | None, Frame | None] = (None, None)
        self._first: Behind | None = None
        self.over = asyncio.Event()

    @property
    def first(self) -> Behind | None:
        """The one that the client talks to, if it runs."""
        return None if self._first is None or self._first.cut else self._first

    def cwd(self, authority: Authority | None, tool: str) -> str:
        """Where relative paths of a call start."""
        return self._starter.cwd(authority, tool)

    def origin(self, tool: str) -> tuple[Origin, str]:
        """Whose a tool is, and what its server calls it."""
        return self._starter.origin(tool)

    def greeted(self, params: dict[str, Any]) -> None:
        """How the client introduced itself; every further server hears the same."""
        self._greeting = (params, self._greeting[1])

    def confirmed(self, frame: Frame) -> None:
        """The client's word that it is ready."""
        self._greeting = (self._greeting[0], frame)

    def holding(self, key: Key) -> Behind | None:
        """The server that has not answered this request of the client."""
        return next((found for found in self._running.values() if key in found.link), None)

    def is_ours(self, key: Key) -> bool:
        """Whether an id lies in the space of our own questions."""
        return type(key[1]) is str and key[1].startswith(self._prefix)

    @asynccontextmanager
    async def using(self, authority: Authority | None) -> AsyncIterator[Behind]:
        """The server for this authority, started if there is none; it is not ended for another's
        sake meanwhile. Raises CallerError `server.*`, `cell.*`, WorldError: none came to be."""
        async with self._lock:
            found = await self._found(self._starter.key(authority), authority)
            found.users += 1
        try:
            yield found
        finally:
            found.left()

    async def _found(self, key: Hashable, authority: Authority | None) -> Behind:
        found = self._running.pop(key, None)
        if found is not None and found.over:
            await found.close(0 if found.cut else self._grace)
            found = None
        if found is None:
            await self._make_room()
            found = await self._started(authority)
        self._running[key] = found  # the latest is the last
        return found

    async def _make_room(self) -> None:
        if len(self._running) < MOST_SERVERS:
            return
        idle = [k for k, s in self._running.items() if not s.first and not s.users]
        if not idle:
            raise CallerError(
                "server.busy",
                f"A call with another path authority needs a server of its own, and all "
                f"{MOST_SERVERS} of this connection are at work.",
                hint="Come again when a call has ended, or open another connection.",
            )
        await self._running.pop(idle[0]).close(self._grace)

    async def _started(self, authority: Authority | None) -> Behind:
        stack = AsyncExitStack()
        try:
            process = await stack.enter_async_context(self._starter.started(authority))
        except BaseException:
            await stack.aclose()
            raise
        made = Behind(process, ServerLink(process.writer, self._prefix), stack, self.first is None)
        made.reading = asyncio.create_task(self._read(made))
        if made.first:
            self._first = made
            made.reading.add_done_callback(lambda _: None if made.cut else self.over.set())
        try:
            await self._introduced(made)
        except BaseException:
            await made.close(self._grace)
            raise
        return made

    async def _introduced(self, made: Behind) -> None:
        """Tell a further server what the client told the first."""
        params, ready = self._greeting
        if params is None:
            return  # nobody said hello yet, or in the new era
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                answer = await made.link.ask("initialize", params)
                if ready is not None:
                    await made.link.pass_on(ready)
        except TimeoutError:
            answer = None
        if answer is None:
            raise WorldError("server.start", "A further server did not answer its greeting.")

    async def bury(self, server: Behind) -> None:
        """Wait until nothing is left of one that was cut, and let what it left be looked at."""
        async with self._lock:
            for key, found in list(self._running.items()):
                if found is server:
                    await self._running.pop(key).close(0)

    async def close(self) -> None:
        """End all of them."""
        async with self._lock:
            while self._running:
                await self._running.popitem()[1].close(self._grace)

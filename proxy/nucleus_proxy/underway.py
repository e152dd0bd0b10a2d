"""Law: a call at a server is decided again for as long as the server may be at work on it.

That is until the server answers it or ends, also where the client no longer waits: giving a call up
does not stop it. One that may not go on is cut; the trace says so.
"""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum
from typing import Any, Final

from nucleus_proxy import wire
from nucleus_proxy.answers import UNRECORDED, Granted, Refusal
from nucleus_proxy.behind import Behind, Servers
from nucleus_proxy.effects.forward import forward
from nucleus_proxy.link import goes_on
from nucleus_proxy.live import Live, check
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.toolcall import ToolCall
from nucleus_proxy.wire import Frame, Key
from nucleus_tokens.errors import NucleusError

# What a server may leave unanswered of what was given up. One that leaves more ends when idle.
MOST_FORSAKEN: Final = 16
_TELL_SECONDS: Final = 0.2


class Silence(Enum):
    """No answer, and why."""

    GONE = "the server ended"
    FORSAKEN = "the client no longer waits"


class UnderWay:
    """The calls of one client that run."""

    def __init__(self, *, servers: Servers, live: Live, mediator: Mediator) -> None:
        self._servers = servers
        self._live = live
        self._mediator = mediator
        self._running: dict[Key, tuple[str | int | None, Behind, Granted]] = {}
        self._going: dict[Key, Behind] = {}  # answered with a question, and not over

    def knows_progress(self, token: Any, server: Behind) -> bool:
        """Whether a call that runs at this server asked to hear of progress under this token."""
        return token is not None and any(
            type(known) is type(token) and known == token and at is server
            for known, at, _ in self._running.values()
        )

    def at(self, server: Behind) -> list[Granted]:
        """The calls that run at this server."""
        return [granted for _, at, granted in self._running.values() if at is server]

    async def run(
        self, frame: Frame, made: ToolCall, granted: Granted
    ) -> Frame | Refusal | Silence:
        """What its server answers, or why it was cut: that is on record then. Raises what
        `Servers.using` and `forward` raise, and CallerError `live.full`."""
        async with self._servers.using(granted.authority) as server:
            got = await self._at(server, frame, made, granted)
        if isinstance(got, Frame) and goes_on(got):
            self._going[frame.key] = server
        if got is Silence.FORSAKEN:
            await self._forsaken(server, frame, granted)
        if server.cut:
            await self._servers.bury(server)
        return got

    async def _at(
        self, server: Behind, frame: Frame, made: ToolCall, granted: Granted
    ) -> Frame | Refusal | Silence:
        cut: list[Refusal] = []
        ours, sending = asyncio.current_task(), True

        def end(refusal: Refusal) -> None:
            cut.append(refusal)
            if sending and ours is not None:
                ours.cancel()  # it may wait for a server that does not read
            server.link.answered(frame.key, None)
            server.spoil(1)

        self._running[frame.key] = (made.progress_token, server, granted)
        wall, still = self._mediator.wall, check(granted.permit, granted.standing)
        try:
            with self._live.held(still, end, at_once=False):
                answer = server.link.expect(frame.key, call=True)
                try:
                    await forward(
                        granted.permit, granted.call, wall, made.frame, server.link.writer
                    )
                except ConnectionError:
                    server.link.answered(frame.key, None)
                except asyncio.CancelledError:
                    if not cut or ours is None or ours.uncancel():
                        raise  # somebody else cancels us
                sending = False
                got = await answer
        finally:
            self._running.pop(frame.key, None)
        if cut:
            return await self._cut(server, frame, granted, cut[0])
        if got is None:
            given_up = server.link.was_given_up(frame.key)
            return Silence.FORSAKEN if given_up else Silence.GONE
        return got

    async def goes_on(self, frame: Frame, granted: Granted) -> None:
        """Watch a call whose answer was a question of its server, which is at work on it until it
        has heard the client's. Its outcome is on record."""
        server = self._going.pop(frame.key, None)
        if server is None:
            return
        if await self._to_its_end(server, frame, granted) is not None:
            await _told(server, frame)
        if server.cut:
            await self._servers.bury(server)

    async def _forsaken(self, server: Behind, frame: Frame, granted: Granted) -> None:
        """Watch what its client gave up."""
        server.forsaken += 1
        try:
            if server.forsaken > MOST_FORSAKEN:
                server.spoil(0)
            refusal = await self._to_its_end(server, frame, granted)
        finally:
            server.forsaken -= 1
        if refusal is not None:
            await self._cut(server, frame, granted, refusal)

    async def _to_its_end(self, server: Behind, frame: Frame, granted: Granted) -> Refusal | None:
        """Watch it until its server answers or ends; why it was cut, if it was."""
        cut: list[Refusal] = []
        over = server.link.late(frame.key)

        def end(refusal: Refusal) -> None:
            cut.append(refusal)
            server.link.answered(frame.key, None)
            server.spoil(0)

        try:
            with self._live.held(check(granted.permit, granted.standing), end, at_once=False):
                await over
        except NucleusError:
            server.spoil(0)  # nobody would watch it
        finally:
            server.link.over(frame.key)
        return cut[0] if cut else None

    async def _cut(
        self, server: Behind, frame: Frame, granted: Granted, refusal: Refusal
    ) -> Refusal:
        """Say so on record, and to a server that goes on for others."""
        try:
            await self._mediator.outcome(
                granted, ok=False, result=refusal.bytes(), cut=refusal.code
            )
        except NucleusError:
            refusal = UNRECORDED
        await _told(server, frame)
        return refusal


async def _told(server: Behind, frame: Frame) -> None:
    """Take a request back at a server that goes on for others."""
    if not server.cut:
        about = {"requestId": frame.id, "reason": "It is no longer allowed."}
        told = wire.notification("notifications/cancelled", about)
        with contextlib.suppress(TimeoutError):  # it may not read
            async with asyncio.timeout(_TELL_SECONDS):
                await server.link.pass_on(wire.parse(told))

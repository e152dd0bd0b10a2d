"""Law: a session to be awaited is the same session: same descriptor, same proxy, same answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from nucleus import active, channel
from nucleus.aio.toolsets import Agent, Cmd, Fs, Git, Net
from nucleus.asks import Ask
from nucleus.channel import About, Channel, Explained
from nucleus.link import Answer
from nucleus_tokens.errors import CallerError

T = TypeVar("T")
Caveat = list[Any]


class AsyncSession:
    """One agent's work under one token, which only the proxy holds. See `nucleus.Session`."""

    def __init__(
        self,
        profile: str = "",
        *,
        workspace: str | os.PathLike[str] = ".",
        socket: str | os.PathLike[str] | None = None,
    ) -> None:
        """As `nucleus.Session`."""
        self._profile = profile.strip().lower().replace("_", "-")
        self._workspace = Path(os.path.abspath(workspace))
        self._at = None if socket is None else Path(socket)
        self._channel: Channel | None = None
        self.fs = Fs(self.run)
        self.net = Net(self.run)
        self.git = Git(self.run)
        self.cmd = Cmd(self.run)
        self.agent = Agent(self.run)
        self.trace = AsyncTrace(self)

    @classmethod
    def _of(cls, made: Channel) -> Self:
        session = cls(made.about.profile, workspace=made.about.workspace or ".")
        session._channel = made
        return session

    async def open(self) -> Self:
        """Start the session without making it the active one."""
        if self._channel is None:
            self._channel = await asyncio.to_thread(
                Channel.open, self._profile, self._workspace, self._at, os.environ
            )
        return self

    async def close(self) -> None:
        """End the session. What runs is cut, and counts as having run."""
        if self._channel is not None:
            await asyncio.to_thread(self._channel.link.close)

    async def __aenter__(self) -> Self:
        await self.open()
        active.enter(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        active.leave(self)
        await self.close()

    @property
    def about(self) -> About:
        """Token id, revocation id, cell, profile, workspace, expiry."""
        return self._open().about

    def detach(self) -> int:
        """Give the session's descriptor up; see `nucleus.Session.detach`."""
        return self._open().link.detach()

    async def run(self, asked: Ask[T], /) -> T:
        """Make one call. The tools do it through this."""
        return channel.value(asked, await self._answer(*self._open().send(asked)))

    async def explain(self, call: Callable[..., Any], /, *args: Any, **named: Any) -> Explained:
        """What would become of `call(*args)`: `await s.explain(net.fetch, url)`."""
        asked = channel.asked_about(call, args, named)
        return channel.explained(await self.request("nucleus/explain", channel.explain(asked)))

    async def exposure(self) -> frozenset[str]:
        """What the session has seen. It grows."""
        found = (await self.request("nucleus/exposure", {})).get("exposure")
        return frozenset(map(str, found or ()))

    async def attenuate(self, *caveats: Caveat) -> About:
        """Narrow this session for good; see `nucleus.Session.attenuate`."""
        answer = await self.request("nucleus/attenuate", {"caveats": list(caveats)})
        return self._open().narrowed(answer)

    async def delegate(
        self, to: str, *caveats: Caveat, purpose: str = "", depth: int = 0
    ) -> AsyncSession:
        """A session for a sub-agent. **Approvals do not carry over**; see
        `nucleus.Session.delegate`."""
        params = {"to": to, "caveats": list(caveats), "purpose": purpose, "depth": depth}
        return AsyncSession._of(channel.handed(await self.request("nucleus/delegate", params)))

    async def request(self, method: str, params: dict[str, Any]) -> Answer:
        """Ask the proxy about the session itself."""
        return await self._answer(*self._open().request(method, params))

    async def _answer(self, number: int, future: Future[Answer]) -> Answer:
        try:
            return await asyncio.wrap_future(future)
        except BaseException:
            # Whoever is cancelled while a call waits does not want it to run afterwards.
            self._open().link.cancel(number)
            raise

    def _open(self) -> Channel:
        if self._channel is None:
            raise CallerError(
                "session.closed",
                "The session is not open.",
                hint="Use it in an `async with` block.",
            )
        return self._channel


class AsyncTrace:
    """The records of this session in the host's trace."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lines(self) -> Sequence[str]:
        """See `nucleus.session.Trace.lines`."""
        made: list[str] = []
        while True:
            answer = await self._session.request("nucleus/trace", {"from": len(made)})
            more = [str(line) for line in answer.get("lines") or ()]
            made += more
            if not more:
                return made

    async def export_jsonl(self) -> str:
        """All records of the session as JSON lines."""
        return "".join(line + "\n" for line in await self.lines())


async def run_here(asked: Ask[T], /) -> T:
    """Make the call in the innermost session. Raises CallerError `session.none`."""
    if active.asking():
        raise active.Asked(asked)
    found = active.innermost()
    if not isinstance(found, AsyncSession):
        raise CallerError(
            "session.other_kind",
            "The active session is not one to be awaited.",
            hint="Import the tools from nucleus.tools.",
        )
    return await found.run(asked)

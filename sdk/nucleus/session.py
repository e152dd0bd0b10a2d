"""Law: a session starts with what its profile grants, and from then on it can only be narrowed.

    with Session(profile="safe_pr_fixer") as s:
        readme = fs.read("README.md")

The proxy is another process: it holds the token, decides, does the effects and
keeps the trace. This side has one private descriptor. What that guarantees, and what not, is in
docs/sdk.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from nucleus import active, channel
from nucleus.asks import Ask
from nucleus.channel import About, Channel, Explained
from nucleus.link import Answer
from nucleus.toolsets import Agent, Cmd, Fs, Git, Net
from nucleus_tokens.errors import CallerError

T = TypeVar("T")
Caveat = list[Any]


class Session:
    """One agent's work under one token, which only the proxy holds."""

    def __init__(
        self,
        profile: str = "",
        *,
        workspace: str | os.PathLike[str] = ".",
        socket: str | os.PathLike[str] | None = None,
    ) -> None:
        """`profile` is one that the person who started the proxy offers; with `_` or `-`. Left
        out, it is the only one offered, or that of the session this process was handed.
        `workspace` is where relative paths start, and the widest the token covers. `socket` is
        where the proxy listens. Nothing is opened before the session is entered."""
        self._profile = profile.strip().lower().replace("_", "-")
        self._workspace = Path(os.path.abspath(workspace))
        self._at = None if socket is None else Path(socket)
        self._channel: Channel | None = None
        self.fs = Fs(self.run)
        self.net = Net(self.run)
        self.git = Git(self.run)
        self.cmd = Cmd(self.run)
        self.agent = Agent(self.run)
        self.trace = Trace(self)

    @classmethod
    def _of(cls, made: Channel) -> Self:
        session = cls(made.about.profile, workspace=made.about.workspace or ".")
        session._channel = made
        return session

    # Its life -----------------------------------------------------------------------------------

    def open(self) -> Self:
        """Start the session without making it the active one. Raises WorldError
        `session.no_proxy`, CallerError `session.*` for what the person does not offer."""
        if self._channel is None:
            self._channel = Channel.open(self._profile, self._workspace, self._at, os.environ)
        return self

    def close(self) -> None:
        """End the session. What runs is cut, and counts as having run."""
        if self._channel is not None:
            self._channel.link.close()

    def __enter__(self) -> Self:
        self.open()
        active.enter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        active.leave(self)
        self.close()

    @property
    def about(self) -> About:
        """Token id, revocation id, cell, profile, workspace, expiry. Raises CallerError
        `session.closed` before it is opened."""
        return self._open().about

    def detach(self) -> int:
        """Give the session's descriptor up, for a process that shall have it: started with the
        descriptor and NUCLEUS_SESSION_FD naming it, its `Session()` is this one. For what
        `delegate` made; raises CallerError `session.used` once it was used here. Close the
        descriptor when the process has it."""
        return self._open().link.detach()

    # Calls --------------------------------------------------------------------------------------

    def run(self, asked: Ask[T], /) -> T:
        """Make one call. The tools do it through this."""
        number, future = self._open().send(asked)
        with self._not_left_behind(number):
            return channel.value(asked, future.result())

    def explain(self, call: Callable[..., Any], /, *args: Any, **named: Any) -> Explained:
        """What would become of `call(*args)`, which step and restriction decides, and what would
        be enough: `s.explain(net.fetch, url)`. Nothing is sent to the world, and nothing spent."""
        asked = channel.asked_about(call, args, named)
        return channel.explained(self.request("nucleus/explain", channel.explain(asked)))

    @property
    def exposure(self) -> frozenset[str]:
        """What the session has seen: private_data, untrusted_content, exfil_vector. It grows."""
        found = self.request("nucleus/exposure", {}).get("exposure")
        return frozenset(map(str, found or ()))

    # Narrowing ----------------------------------------------------------------------------------

    def attenuate(self, *caveats: Caveat) -> About:
        """Narrow this session for good, by caveats as docs/spec/token.md lists them:
        `s.attenuate(["tool", "in", ["fs_read"]], ["budget", "calls", 20])`. Nothing widens it
        again. Approvals that were given to the wider session do not carry over. Raises
        CredentialError `caveat.*`."""
        answer = self.request("nucleus/attenuate", {"caveats": list(caveats)})
        return self._open().narrowed(answer)

    def delegate(self, to: str, *caveats: Caveat, purpose: str = "", depth: int = 0) -> Session:
        """A session for the sub-agent `to`, narrowed by `caveats`, with a key of its own that the
        proxy keeps. It may hand on `depth` times. **Approvals do not carry over**: what was
        approved for this session is asked again there. What the sub-agent sees, this session has
        seen. Revoking this session's token ends it."""
        params = {"to": to, "caveats": list(caveats), "purpose": purpose, "depth": depth}
        return Session._of(channel.handed(self.request("nucleus/delegate", params)))

    # --------------------------------------------------------------------------------------------

    def request(self, method: str, params: dict[str, Any]) -> Answer:
        """Ask the proxy about the session itself."""
        number, future = self._open().request(method, params)
        with self._not_left_behind(number):
            return future.result()

    def _open(self) -> Channel:
        if self._channel is None:
            raise CallerError(
                "session.closed", "The session is not open.", hint="Use it in a `with` block."
            )
        return self._channel

    @contextmanager
    def _not_left_behind(self, number: int) -> Generator[None]:
        """Whoever interrupts a call that waits does not want it to run afterwards."""
        try:
            yield
        except BaseException:
            self._open().link.cancel(number)
            raise


class Trace:
    """The records of this session in the host's trace. The host has the whole chain."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lines(self) -> Sequence[str]:
        """One JSON object a line: `seq`, `prev`, `hash`, `record`. Arguments stand in it as salted
        digests. Each line has its own hash; that none is missing, `nucleus trace verify` says."""
        made: list[str] = []
        while True:
            answer = self._session.request("nucleus/trace", {"from": len(made)})
            more = [str(line) for line in answer.get("lines") or ()]
            made += more
            if not more:
                return made

    def export_jsonl(self) -> str:
        """All records of the session as JSON lines."""
        return "".join(line + "\n" for line in self.lines())

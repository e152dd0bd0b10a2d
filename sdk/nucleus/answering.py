"""Law: at the terminal of whoever started a run, a person is shown what is asked and must name it.

The question is put on the controlling terminal, which the agent does not have, and only the first
letters of the request's own id approve it, or calls like it: what was typed before, or for the
agent, approves nothing. Anything else says no. The approver's passphrase is asked for once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TYPE_CHECKING, Final

from nucleus_tokens.errors import CallerError, NucleusError

if TYPE_CHECKING:
    from nucleus.approver import Approve
    from nucleus.home import Home
    from nucleus_issuer.desk import ApprovalDesk
    from nucleus_issuer.keys import Key
    from nucleus_issuer.store import Store
    from nucleus_verifier.ports import PendingRequest
    from nucleus_vmhost.terminal import Terminal

CODE: Final = 4  # letters of the id
_POLL: Final = 0.2
_TTY: Final = "/dev/tty"


class Answers:
    """Whoever sits at the terminal."""

    def __init__(
        self,
        home: Home,
        terminal: Terminal,
        *,
        shown: Callable[[PendingRequest, int], Sequence[str]],
        read: Callable[[str, PendingRequest], Approve],
        said: Callable[[Approve], str],
        passphrase: Callable[[str], bytes],
        tell: Callable[[str], None],
    ) -> None:
        """`shown` draws a request, safe for a terminal; `read` is for what a person typed after
        their yes, and raises CallerError; `said` is an approval in words; `tell` says one sentence
        where there is no terminal to ask on."""
        self._home = home
        self._terminal = terminal
        self._shown = shown
        self._read = read
        self._said = said
        self._passphrase = passphrase
        self._tell = tell
        self._key: Key | None = None
        self._over = False

    @contextlib.asynccontextmanager
    async def listening(self, store: Store, tid: str) -> AsyncGenerator[None]:
        """Ask about what the tokens of one tree wait for, until the block ends."""
        task = asyncio.create_task(self._ask_all(store, tid))
        try:
            yield
        finally:
            self._over = True
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _ask_all(self, store: Store, tid: str) -> None:
        met: set[str] = set()
        while True:
            for request in await asyncio.to_thread(store.requests):
                if request.tid == tid and request.id not in met:
                    met.add(request.id)
                    # In a thread, to its end: a question that was put is taken away by its answer.
                    await asyncio.shield(asyncio.to_thread(self._ask, store, request))
            await asyncio.sleep(_POLL)

    def _ask(self, store: Store, request: PendingRequest) -> None:
        try:
            tty = os.open(_TTY, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            self._tell(f"{request.id} waits; answer with: nucleus approvals approve {request.id}")
            return
        try:
            with self._terminal.held():
                said = self._put(tty, store, request)
                os.write(tty, f"{said}\n".encode())
        finally:
            os.close(tty)

    def _put(self, tty: int, store: Store, request: PendingRequest) -> str:
        code = request.id[:CODE]
        text = "\n".join(("", *self._shown(request, self._home.clock()), ""))
        desk = self._home.desk(store)
        while True:
            os.write(tty, f"{text}\n{_choice(code)}".encode(errors="backslashreplace"))
            answer = self._line(tty, request)
            if answer is None:
                return "\nIt is not waited for any longer."
            yes, _, more = answer.partition(" ")
            if yes != code:
                return self._settle(desk, request, None)
            try:
                given = self._read(more, request)
            except CallerError as error:
                text = error.message
            else:
                return self._settle(desk, request, given)

    def _settle(self, desk: ApprovalDesk, request: PendingRequest, given: Approve | None) -> str:
        try:
            if given is None:
                desk.deny(request.id, "denied at the terminal")
                return "Denied."
            if self._key is None:
                self._key = self._home.approver(None, self._passphrase)
            desk.approve(
                request.id, self._key,
                pattern=list(given.pattern) or None, count=given.count, ttl=given.seconds,
            )  # fmt: skip
        except NucleusError as error:
            return f"Not approved: {error}. It can still be answered: nucleus approvals list"
        return f"Approved by {self._key.id}: {self._said(given)}."

    def _line(self, tty: int, request: PendingRequest) -> str | None:
        """One line; None when the agent has ended, or the request has run out."""
        while not self._over and self._home.clock() < request.expires:
            if select.select([tty], [], [], _POLL)[0]:
                return os.read(tty, 1024).decode(errors="replace").strip()
        return None


def _choice(code: str) -> str:
    return (
        f"Type {code} to approve this one call, `{code} count=N for=TIME` for calls like it, "
        "anything else to deny it: "
    )

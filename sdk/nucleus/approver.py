"""Law: a person answers in a process of their own, with a key that only they can open.

What waits at the desk is shown to an `Answerer`: a prompt at the terminal, or a function of the
approver's. It runs where the approver's key was opened with its passphrase. Code in the agent's
interpreter has neither, and no request of its carries an answer: it can only wait.

    with approver(passphrase=ask_me) as desk:
        desk.run(lambda request: Approve() if request.tool == "net_fetch" else Deny("no"))
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nucleus import shapes
from nucleus.home import Home
from nucleus_issuer.keys import Key, Passphrase
from nucleus_issuer.store import Store
from nucleus_tokens.errors import CallerError
from nucleus_tokens.names import OPERATIONS
from nucleus_verifier.ports import PendingRequest

POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Approve:
    """Yes: to this one call; or, with a `pattern` in caveat language, to `count` calls like it."""

    pattern: tuple[list[Any], ...] = ()
    count: int = 1
    seconds: int = 600


@dataclass(frozen=True, slots=True)
class Deny:
    """No, and why; the call is told."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One call that waits, as it was recorded."""

    id: str
    who: tuple[str, ...]
    tool: str
    operation: str
    arguments: str  # JSON text, perhaps cut
    owed: tuple[tuple[str, str], ...]
    touches: Mapping[str, list[str] | None]  # resources by kind; None: not known
    exposure: tuple[str, ...]
    cell: str
    expires: int


# None: not answered here; the call goes on waiting for somebody else.
Answer = Approve | Deny | None
Answerer = Callable[[Question], Answer]


class Answering:
    """One approver at one desk."""

    def __init__(self, place: Home, store: Store, key: Key, *, cell: str | None = None) -> None:
        """With a `cell`, only calls of that session are shown."""
        self._store = store
        self._desk = place.desk(store)
        self._key = key
        self._cell = cell
        self._shown: set[str] = set()
        self._over = threading.Event()

    def run(self, answerer: Answerer) -> None:
        """Show everything that waits, each once, until `stop`. Raises WorldError."""
        while not self._over.is_set():
            self.once(answerer)
            self._over.wait(POLL_SECONDS)

    def stop(self) -> None:
        """End `run`; may be called from another thread."""
        self._over.set()

    def once(self, answerer: Answerer) -> int:
        """Show what waits now and was not shown before; how many were answered."""
        answered = 0
        for request in self._store.requests():
            if request.id in self._shown or self._cell not in (None, request.cell):
                continue
            self._shown.add(request.id)
            answered += self._settle(request, answerer(question(request)))
        return answered

    def _settle(self, request: PendingRequest, answer: Answer) -> bool:
        try:
            match answer:
                case Approve():
                    self._desk.approve(
                        request.id,
                        self._key,
                        pattern=list(answer.pattern) or None,
                        count=answer.count,
                        ttl=answer.seconds,
                    )
                case Deny():
                    self._desk.deny(request.id, answer.reason)
                case None:
                    return False
        except CallerError as error:
            if error.code != "desk.closed":  # it was answered elsewhere, or nobody waits any more
                raise
            return False
        return True


@contextmanager
def approver(
    *, passphrase: Passphrase, name: str | None = None, home: Path | None = None
) -> Generator[Answering]:
    """The desk of this host, with an approver's key open. Raises CallerError `home.*`, WorldError
    `keys.*`."""
    import os

    place = Home.find(home, os.environ)
    with place.store() as store:
        yield Answering(place, store, place.approver(name, passphrase))


def question(request: PendingRequest) -> Question:
    """A request in words."""
    shown = shapes.table(json.loads(request.shown)) or {}
    return Question(
        id=request.id,
        who=tuple(map(str, shapes.items(shown.get("chain")) or ())),
        tool=request.tool,
        operation=OPERATIONS[request.operation],
        arguments=shapes.text(shown.get("args")) or "",
        owed=request.obligations,
        touches=touched(shown),
        exposure=tuple(map(str, shapes.items(shown.get("exposure")) or ())),
        cell=request.cell,
        expires=request.expires,
    )


def touched(shown: Mapping[str, Any]) -> dict[str, list[str] | None]:
    """The resources of a call as it was recorded, by kind."""
    found = shapes.table(shown.get("resources")) or {}
    return {
        kind: None if values is None else list(map(str, shapes.items(values) or ()))
        for kind, values in found.items()
    }

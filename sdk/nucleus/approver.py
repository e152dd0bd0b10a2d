"""Law: a person answers in a process of their own, with a key that only they can open.

The one road from what waits to its answer, whoever asks (a program of the SDK, an MCP client, an
agent behind a wall, a gateway) and whoever is shown it (a terminal, the console, a function of the
approver's). It runs where the approver's key was opened with its passphrase. Code in the agent's
interpreter has neither, and no request of its carries an answer: it can only wait.

    with approver(passphrase=ask_me) as desk:
        desk.run(lambda request: Approve() if request.tool == "net_fetch" else Deny("no"))
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from nucleus.asked import Question, mark, question
from nucleus.halting import stop, task
from nucleus.home import Home
from nucleus.standing import Rule, Standing, made
from nucleus_issuer.desk import DeskStore
from nucleus_issuer.keys import Key, Passphrase
from nucleus_issuer.store import Store
from nucleus_issuer.store_approvals import Standing as Approved
from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_verifier.ports import PendingRequest

__all__ = [
    "Answer",
    "Answerer",
    "Answering",
    "Approve",
    "Deny",
    "Question",
    "approver",
    "question",
    "with_alike",
]

POLL_SECONDS: Final = 0.2
LASTS: Final = 600  # seconds that an approval may wait to be used


@dataclass(frozen=True, slots=True)
class Approve:
    """Yes: to this one call; or, with a `pattern` in caveat language, to `count` calls like it.

    `alike` says it to each of the question's `alike` too, one by one. `always` writes a rule as
    well: what satisfies the pattern (or is this very call) is not asked about again.
    """

    pattern: tuple[list[Any], ...] = ()
    count: int = 1
    seconds: int = LASTS
    alike: bool = False
    always: bool = False


@dataclass(frozen=True, slots=True)
class Deny:
    """No, and why; the call is told. `alike` and `always` as in `Approve`. `stop` ends the task as
    well: the token that it began with is revoked, with all that descends from it, and whatever
    else it asks is denied (`halting`)."""

    reason: str = ""
    alike: bool = False
    always: bool = False
    stop: bool = False


def _unheard(_: Question, __: str) -> None:
    return None


# None: not answered here; the call goes on waiting for somebody else.
Answer = Approve | Deny | None
Answerer = Callable[[Question], Answer]
Told = Callable[[Question, str], None]


class Answering:
    """One approver at one desk."""

    def __init__(
        self,
        place: Home,
        store: Store,
        key: Key | Callable[[], Key],
        *,
        cell: str | None = None,
        tid: str | None = None,
        told: Told | None = None,
    ) -> None:
        """With a `cell` or a `tid`, only calls of that session or of that tree are shown. A `key`
        that is a function is called when the first approval is signed. `told` hears in one
        sentence what became of an answer."""
        self._place = place
        self._store = store
        self._desk = place.desk(store)
        self._open = key if callable(key) else lambda: key
        self._key: Key | None = key if isinstance(key, Key) else None
        self._cell = cell
        self._tid = tid
        self._told: Told = told or _unheard
        self._shown: set[str] = set()
        self._over = threading.Event()
        self.standing = standing(place)

    def run(self, answerer: Answerer) -> None:
        """Show everything that waits, each once, until `stop`. Raises WorldError."""
        while not self._over.is_set():
            self.once(answerer)
            self._over.wait(POLL_SECONDS)

    def stop(self) -> None:
        """End `run`; may be called from another thread."""
        self._over.set()

    @asynccontextmanager
    async def beside(self, answerer: Answerer) -> AsyncGenerator[None]:
        """Answer in a thread until the block ends; a question that stands then is taken away."""
        import asyncio

        task = asyncio.ensure_future(asyncio.to_thread(self.run, answerer))
        try:
            yield
        finally:
            self.stop()
            await asyncio.shield(task)

    # What waits ---------------------------------------------------------------------------------

    def questions(self) -> list[Question]:
        """All that waits here, the oldest first, each with those alike that came with it."""
        found = [self._question(each) for each in self._store.requests() if self._ours(each)]
        return [with_alike(each, found) for each in found]

    def once(self, answerer: Answerer) -> int:
        """Show what waits now and was not shown before; how many were answered."""
        answered = 0
        every = [each for each in self.questions() if each.id not in self._shown]
        for each in every:
            if each.id in self._shown:
                continue  # answered with another one
            asked = with_alike(each, [e for e in every if e.id not in self._shown])
            self._shown.add(asked.id)
            if self.by_rule(asked):
                answered += 1
            elif self._key is None or self._key.id not in asked.voices:
                answered += self.settle(asked, answerer(asked))
        return answered

    def by_rule(self, asked: Question) -> bool:
        """Answer it as a standing rule says, if there is one."""
        rule = self.standing.answer(asked, self._place.clock())
        if rule is None or not self._may_follow(rule.answer, rule.approver):
            return False
        if rule.answer == "deny":
            return self.settle(asked, Deny(rule.reason or "denied once and for all")) > 0
        return self.settle(asked, Approve()) > 0

    def follow_rules(self) -> None:
        """Answer all that a standing rule answers. Raises NucleusError."""
        for asked in self.questions():
            self.by_rule(asked)

    def _may_follow(self, answer: str, approver: str) -> bool:
        """Anybody may say no; yes is said by whoever said it then."""
        return answer == "deny" or (self._key is not None and self._key.id == approver)

    # Answers ------------------------------------------------------------------------------------

    def settle(self, asked: Question, answer: Answer) -> int:
        """Answer a question as it was shown, and with it those alike if that is said; to how many
        of them it came. Raises CallerError for an answer that cannot be."""
        if answer is None:
            return 0
        every = (asked, *asked.alike) if answer.alike else (asked,)
        done = 0
        for each in every:
            self._shown.add(each.id)
            done += self._one(each, answer)
        if done and answer.always:
            kept(self._place, self.key(), asked, answer)
        return done

    def _one(self, asked: Question, answer: Approve | Deny) -> bool:
        try:
            if mark(self._store.status(asked.id)) != asked.mark:
                raise CallerError("desk.other", "This is not what was shown: look again.")
            if isinstance(answer, Deny):
                return self._denied(asked, answer)
            key = self.key()
            if key.id in asked.voices:
                raise CallerError("approval.voice", "Another approver must answer as well.")
            self._desk.approve(
                asked.id,
                key,
                pattern=list(answer.pattern) or None,
                count=answer.count,
                ttl=answer.seconds,
            )
        except NucleusError as error:
            # It was answered elsewhere, nobody waits any more, or no key could be opened.
            self._told(asked, f"Not approved: {error}. It can still be answered: nucleus approvals")
            if error.code in ("desk.closed", "keys.passphrase"):
                return False
            raise
        missing = asked.needed - len(asked.voices) - 1
        more = f" {missing} more must approve it." if missing > 0 else ""
        self._told(asked, f"Approved by {key.id}.{more}")
        return True

    def _denied(self, asked: Question, answer: Deny) -> bool:
        if not answer.stop:
            self._desk.deny(asked.id, answer.reason)
            self._told(asked, "Denied.")
            return True
        by = self._key.id if self._key is not None else "the desk"
        more = stop(self._place, self._store, asked, by=by, reason=answer.reason)
        also = f", and {more} more that it asked" if more else ""
        self._told(asked, f"Denied{also}; its token is revoked.")
        return True

    def key(self) -> Key:
        """The approver's key, opened when it is first needed."""
        if self._key is None:
            self._key = self._open()
        return self._key

    # --------------------------------------------------------------------------------------------

    def _ours(self, request: PendingRequest) -> bool:
        return self._cell in (None, request.cell) and self._tid in (None, request.tid)

    def _question(self, request: PendingRequest) -> Question:
        def waits() -> bool:
            return not self._over.is_set() and self._store.status(request.id).status == "pending"

        return question(
            request,
            voices=voices(self._store, request),
            task=task(self._store, request),
            waits=waits,
        )


class Heard(DeskStore, Protocol):
    """A desk that knows who has approved what."""

    def in_force(self, rid: str | None = None) -> list[Approved]: ...


def voices(store: Heard, request: PendingRequest) -> tuple[str, ...]:
    """Who has approved this very call already, where policy wants several."""
    given = [each.approval for each in store.in_force(request.rid)]
    same = [g for g in given if (g.cell, g.digest) == (request.cell, request.call_digest)]
    return tuple(sorted({each.approver for each in same}))


def with_alike(asked: Question, every: Sequence[Question]) -> Question:
    """The question with those of `every` that differ from it in their arguments only."""
    from dataclasses import replace

    alike = tuple(e for e in every if e.id != asked.id and e.kind == asked.kind)
    return replace(asked, alike=alike) if alike != asked.alike else asked


def kept(place: Home, key: Key, asked: Question, answer: Approve | Deny) -> Rule:
    """Sign and keep the rule that this answer is to be given again. Without a pattern it is about
    this very call. Raises CallerError `answers.pattern` where no pattern can say what it is."""
    pattern = answer.pattern if isinstance(answer, Approve) else ()
    if not pattern:
        if not asked.offers:
            raise CallerError("answers.pattern", "No rule can say what this call is.")
        pattern = asked.offers[0].pattern
    now = place.clock()
    rule = made(
        asked,
        key,
        "deny" if isinstance(answer, Deny) else "approve",
        pattern,
        id_=place.random(8).hex(),
        now=now,
        reason=answer.reason if isinstance(answer, Deny) else "",
    )
    standing(place).add(rule, now)
    return rule


def standing(place: Home) -> Standing:
    """The rules of this home."""
    bundle = place.keyring().bundle()
    return Standing(place.config, {a.id: a.key for a in bundle.approvers})


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

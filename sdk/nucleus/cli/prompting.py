"""Law: a question at the terminal shows exactly what would happen, and silence is no.

It is read from the terminal that controls this process and written to it: standard input may be
anybody's, and the agent behind a wall has another one. What comes from an agent cannot move the
cursor or look like our own text. Only the first letters of the request's own id approve: what was
typed before, or for the agent, approves nothing. Anything else says no.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from nucleus.approver import Answer, Approve, Deny, Question
from nucleus.offers import COUNT, SECONDS

CODE: Final = 4  # letters of the id
_POLL: Final = 0.2
_TTY: Final = "/dev/tty"
_LINE: Final = 1024
_LINES: Final = 60  # of a diff: more would scroll the rest away


class AtTerminal:
    """Whoever sits at the terminal."""

    def __init__(
        self,
        *,
        tell: Callable[[str], None] | None = None,
        held: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], int],
    ) -> None:
        """`tell` says one sentence where there is no terminal to ask on; `held` keeps others from
        the terminal while a question stands there."""
        self._tell: Callable[[str], None] = tell or _unheard
        self._held = held
        self._clock = clock

    def __call__(self, asked: Question) -> Answer:
        """Ask; None where there is no terminal, so that somebody else can answer."""
        try:
            tty = os.open(_TTY, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            self._tell(f"{asked.id} waits; answer with: nucleus approvals approve {asked.id}")
            return None
        try:
            with self._held():
                text = "\n".join(["", *lines(asked, self._clock()), "", *choices(asked), ""])
                os.write(tty, text.encode(errors="backslashreplace"))
                code = asked.id[:CODE]
                prompt = f"Type {code} to approve this one call, anything else to deny it: "
                os.write(tty, prompt.encode())
                said = self._line(tty, asked)
                if said is None:
                    os.write(tty, b"\nIt is not waited for any longer.\n")
                return None if said is None else read(asked, said)
        finally:
            os.close(tty)

    def said(self, _: Question, sentence: str) -> None:
        """What became of an answer."""
        try:
            tty = os.open(_TTY, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            with self._held():
                os.write(tty, f"{sentence}\n".encode(errors="backslashreplace"))
        finally:
            os.close(tty)

    def _line(self, tty: int, asked: Question) -> str | None:
        """One line; None when nobody waits for it any more."""
        while self._clock() < asked.expires and asked.waits():
            if select.select([tty], [], [], _POLL)[0]:
                return os.read(tty, _LINE).decode(errors="replace").strip()
        return None


def _unheard(_: str) -> None:
    return None


def read(asked: Question, said: str) -> Answer:
    """What a line means."""
    word, _, rest = said.partition(" ")
    rest = rest.strip()
    if word == asked.id[:CODE]:
        if not rest:
            return Approve()
        if rest == "all" and asked.alike:
            return Approve(alike=True)
        if rest == "ever" and asked.offers:
            return Approve(always=True)
        if rest.isascii() and rest.isdigit() and 0 < int(rest) <= len(asked.offers):
            return Approve(asked.offers[int(rest) - 1].pattern, COUNT, SECONDS)
    if word == "stop":
        return Deny(rest or "stopped at the terminal", stop=bool(asked.task))
    if word == "never" and asked.offers:
        return Deny(rest or "denied at the terminal", always=True)
    return Deny((rest if word == "no" else "") or "denied at the terminal")


def choices(asked: Question) -> list[str]:
    """What else can be answered, and exactly what it lets through."""
    from nucleus.cli.console import safe, span
    from nucleus.showing import STOPS

    code = asked.id[:CODE]
    made: list[str] = []
    for number, offer in enumerate(asked.offers, 1):
        made.append(f"  {code} {number}    up to {COUNT} {safe(offer.words)}, for {span(SECONDS)}")
        made.append(f"            exactly {_exactly(offer.exactly)}")
    if asked.alike:
        made.append(f"  {code} all  this and {len(asked.alike)} alike, each once:")
        made += [f"            {_exactly(each.arguments)}" for each in asked.alike]
    if asked.offers:
        made.append(f"  {code} ever this call, and never ask about the very same one again")
        made.append("  no WHY    deny, and say why;  never WHY: and never ask again")
    if asked.stoppable:
        made.append(f"  stop WHY  {STOPS}")
    return made


def _exactly(text: str) -> str:
    """What is plain ASCII already, such as JSON with its own escapes, as it stands."""
    from nucleus.cli.console import safe

    return text if text.isascii() and text.isprintable() else safe(text)


def lines(asked: Question, now: int, state: str = "") -> list[str]:
    """A question for a person: what in words, and each row of it."""
    from nucleus.cli.console import safe, span
    from nucleus.showing import Row, rows

    def told(row: Row) -> list[str]:
        pieces = [_exactly(p.text) if p.look == "code" else safe(p.text) for p in row.pieces]
        said = pieces if row.name == "diff" else ["".join(pieces)]
        return [f"  {row.name:<8}{line}" for line in said]

    left = f"{span(max(0, asked.expires - now))} left"
    made = [f"{asked.id}  {safe(asked.words)}  ({state or left})"]
    for row in rows(asked, diff_lines=_LINES):
        made += told(row)
    return made

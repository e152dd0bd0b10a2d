"""Law: one function puts text from outside on the screen, and there it is made safe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.style import Style
from rich.table import Table
from rich.text import Text

from nucleus.asked import Question
from nucleus.cli.console import safe, span
from nucleus.offers import Offer
from nucleus.showing import STOPS, Look, Piece, Row, rows

SOFT: Final = Style(dim=True)
LABEL: Final = Style(color="cyan")
WARN: Final = Style(color="yellow", bold=True)
_LOOKS: Final[Mapping[Look, Style]] = {
    "added": Style(color="green"),
    "code": Style(),
    "place": Style(color="cyan", dim=True),
    "plain": Style(),
    "removed": Style(color="red"),
    "soft": SOFT,
    "strong": Style(bold=True),
    "warn": WARN,
}
# A leg of the exposure, the worse the more it shows.
_LEGS: Final[Mapping[str, Style]] = {
    "exfil_vector": Style(color="red", bold=True),
    "private_data": Style(color="blue", bold=True),
    "untrusted_content": Style(color="yellow", bold=True),
}


def line(question: Question, now: int, state: str = "") -> Text:
    """One question in the list: what, who, and how long it still waits. With a `state` it waits no
    more."""
    left = state or f"{span(max(0, question.expires - now))} left"
    made = Text(overflow="fold")
    made.append(safe(question.words), Style(bold=not state, dim=bool(state)))
    made.append("\n")
    made.append(" → ".join(map(safe, question.who)) or "not known", SOFT)
    if question.alike and not state:
        made.append(f"  +{len(question.alike)} alike", LABEL)
    if question.needed > 1 and not state:
        made.append(f"  {len(question.voices)} of {question.needed} said yes", LABEL)
    made.append(f"  {left}", SOFT)
    return made


def details(question: Question, now: int, state: str = "") -> Table:
    """All of one question: its rows, and what can be answered."""
    made = Table.grid(padding=(0, 2, 0, 0), expand=True)
    made.add_column(style=LABEL, justify="right", no_wrap=True)
    made.add_column(ratio=1, overflow="fold")
    left = state or f"{span(max(0, question.expires - now))} left"
    title = Text(safe(question.words), Style(bold=True), overflow="fold")
    made.add_row("", title)
    made.add_row("", Text(f"{question.id}, {left}", SOFT))
    made.add_row("", "")
    for row in rows(question):
        made.add_row(row.name, drawn(row))
    if question.offers:
        made.add_row("", "")
    for number, each in enumerate(question.offers, 1):
        made.add_row(_key(str(number)), offered(each))
    if question.stoppable:
        made.add_row("", "")
        made.add_row(_key("s"), Text(STOPS, WARN, overflow="fold"))
    return made


def _key(name: str) -> Text:
    return Text(f" {name} ", Style(reverse=True, bold=True))


def stopped(question: Question) -> Text:
    """What a stop would end."""
    made = Text(f"It will {STOPS}.\n", overflow="fold")
    made.append(safe(question.words), Style(bold=True))
    whose = " → ".join(map(safe, question.who)) or "not known"
    made.append(f"\n{whose}, token {question.tid[:8]}…", SOFT)
    return made


def drawn(row: Row) -> Text:
    """One row."""
    made = Text(overflow="fold")
    for number, piece in enumerate(row.pieces):
        if number and row.name == "diff":
            made.append("\n")
        made.append(_text(piece), _LEGS[piece.text] if piece.text in _LEGS else _LOOKS.get(
            piece.look, Style()))  # fmt: skip
    return made


def offered(offer: Offer) -> Text:
    """What an offer lets through, in words and exactly."""
    made = Text(safe(offer.words), overflow="fold")
    made.append("\n")
    made.append(exactly(offer.exactly), SOFT)
    return made


def exactly(text: str) -> str:
    """What is plain ASCII already, such as JSON with its own escapes, as it stands."""
    return text if text.isascii() and text.isprintable() else safe(text)


def _text(piece: Piece) -> str:
    if piece.look == "leg":
        return safe(piece.text).replace("_", " ")
    return exactly(piece.text) if piece.look == "code" else safe(piece.text)

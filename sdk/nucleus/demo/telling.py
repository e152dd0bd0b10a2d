"""Law: the story is told as it happens, for people; nothing in it is a secret.

On a terminal with colours, elsewhere as plain text (rich decides, and respects NO_COLOR). What came
from outside, a tool's output above all, is made safe before it is shown.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from nucleus_issuer.desk import shown_safely

if TYPE_CHECKING:
    from rich.console import Console

Verdict = Literal["allowed", "denied", "asked", "refused"]
_COLOUR = {"allowed": "green", "denied": "red", "refused": "red", "asked": "yellow"}
_SHOWN_CHARS = 96
_WIDTH = 100


class Teller:
    """Tells to one console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = min(console.width, _WIDTH)

    def title(self, text: str) -> None:
        self._console.print(Text(text, style="bold"), width=self._width)

    def step(self, number: int, name: str) -> None:
        self._console.print()
        self._console.print(
            Text.assemble((f"{number:2}  ", "bold cyan"), (name, "bold")), width=self._width
        )

    def say(self, text: str) -> None:
        """What is about to happen, or what it means."""
        self._indented(Text(text), 4)

    def typed(self, words: str) -> None:
        """A command as a person would type it."""
        self._indented(Text.assemble(("$ ", "dim"), (words, "bold")), 4)

    def call(self, who: str, tool: str, verdict: Verdict, detail: str = "") -> None:
        """One call and what came of it."""
        line = Text.assemble(
            (who, "cyan"), " → ", (tool, "bold"), ": ", (verdict, f"bold {_COLOUR[verdict]}")
        )
        self._indented(line, 4)
        if detail:
            self._indented(Text(short(detail), style="dim"), 8)

    def because(self, code: str, sentence: str, hint: str) -> None:
        """Why not, as the caller was told."""
        self._indented(Text.assemble(("why:  ", "dim"), f"{sentence} [{code}]"), 8)
        if hint:
            self._indented(Text.assemble(("hint: ", "dim"), hint), 8)

    def quote(self, text: str) -> None:
        """What stood in a result."""
        self._indented(Text.assemble(("it says: ", "dim"), (shown_safely(text), "italic")), 8)

    def said(self, text: str) -> None:
        """A line that a command printed."""
        self._indented(Text(shown_safely(text), style="dim"), 8)

    def holds(self, text: str) -> None:
        """Something that was checked."""
        self._indented(Text.assemble(("✓ ", "bold green"), text), 4, hang=2)

    def failed(self, text: str) -> None:
        self._indented(Text.assemble(("✗ ", "bold red"), (shown_safely(text), "red")), 4, hang=2)

    def table(self, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """The summary."""
        made = Table(box=SIMPLE_HEAD, pad_edge=False)
        for name in titles:
            made.add_column(name, overflow="fold")
        for row in rows:
            made.add_row(*(Text(cell) for cell in row))
        self._console.print()
        self._console.print(made, width=self._width)

    @contextmanager
    def waiting(self, text: str) -> Generator[None]:
        """Something takes a while: shown while it does, where lines can be taken back."""
        if not self._console.is_terminal:
            self.say(f"{text} …")
            yield
            return
        with self._console.status(Text(f"{text} …")):
            yield

    def _indented(self, text: Text, columns: int, hang: int = 0) -> None:
        for number, line in enumerate(text.wrap(self._console, self._width - columns - hang)):
            line.rstrip()
            indent = " " * (columns + (hang if number else 0))
            self._console.print(Text.assemble(indent, line), soft_wrap=True)


def short(text: str) -> str:
    """The first line that says something, safe to show."""
    line = next((each.strip() for each in text.splitlines() if each.strip()), "")
    made = shown_safely(line)
    return made if len(made) <= _SHOWN_CHARS else made[: _SHOWN_CHARS - 1] + "…"

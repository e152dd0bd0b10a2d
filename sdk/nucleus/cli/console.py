"""Law: standard output carries the answer, standard error everything else; neither a secret.

With --json the answer is one JSON document in ASCII. For people it is text in which nothing that
came from outside can move the cursor. Colour is rich's affair, so NO_COLOR is respected.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from nucleus_tokens.errors import NucleusError

OK: Final = 0
DENIED: Final = 1
USAGE: Final = 2
ASK: Final = 3
INTERRUPTED: Final = 130
# Wide enough that no table is cut where a program or a file reads it.
_UNBOUNDED: Final = 10_000


def say(*lines: str) -> None:
    """Lines of the answer, as they are: pass what came from outside through `safe`."""
    for line in lines:
        sys.stdout.write(line + "\n")


def note(line: str) -> None:
    """A line beside the answer."""
    if not sys.stdout.closed:  # a relay has closed it, with its client
        sys.stdout.flush()
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def document(value: object) -> None:
    """The answer for a machine."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True) + "\n")


def answer(as_json: bool, value: object, *lines: str) -> None:
    """One answer in the form that was asked for."""
    if as_json:
        document(value)
    else:
        say(*lines)


def failure(error: NucleusError, as_json: bool) -> None:
    """One sentence, the code, and what to do next."""
    problem(error.code, error.message, error.hint, as_json)


def problem(code: str, message: str, hint: str, as_json: bool) -> None:
    """As `failure`, in parts."""
    sentence = " ".join(safe(message).split())
    note(f"nucleus: {sentence} [{code}]" + (f" {safe(hint)}" if hint else ""))
    if as_json:
        document({"error": {"code": code, "hint": hint, "message": message}})


def safe(text: str) -> str:
    """Text from outside, for a terminal."""
    from nucleus_issuer.desk import shown_safely

    return shown_safely(text)


def draw(what: RenderableType) -> None:
    """Something that rich draws."""
    _console().print(what)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> None:
    """A table of plain texts; each cell is made safe."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for name in titles:
        made.add_column(name, overflow="fold")
    for row in rows:
        made.add_row(*(Text(safe(cell)) for cell in row))
    draw(made)


def _console() -> Console:
    from rich.console import Console

    wide = None if sys.stdout.isatty() else _UNBOUNDED
    return Console(highlight=False, markup=False, emoji=False, width=wide, soft_wrap=False)


def when(at: int) -> str:
    """Unix seconds for people, in UTC."""
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return str(at)


def span(seconds: int) -> str:
    """A number of seconds for people."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            rest = seconds % size * 60 // size if size != 86400 else seconds % size * 24 // size
            small = {"d": "h", "h": "m", "m": "s"}[unit]
            return f"{seconds // size}{unit}" + (f" {rest}{small}" if rest else "")
    return f"{seconds}s"

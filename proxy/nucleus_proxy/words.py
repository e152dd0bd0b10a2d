"""Law: a value is named by trusted text when it stands there whole; what is nearly there is not.

The text is the user's prompt as it was given to the proxy. Every test is on whole tokens with an
exact boundary, on code points in Unicode normal form C, and letters are folded for ASCII alone: a
look-alike, an invisible character, a longer or a shorter value is another value. A value that could
be read in two ways has no match. Nothing here raises for any value (`evidence.py` says what follows
from a match).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, NamedTuple

MOST_CHARS: Final = 256 * 1024
_VALUE_CHARS: Final = 4096
_MARKS: Final = 8  # brackets and quotes in a row, and apostrophes in what is quoted
_QUOTES: Final = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»", "„": "“"}
_OPENERS: Final = frozenset("([{<*") | frozenset(_QUOTES)
_CLOSERS: Final = frozenset(")]}>*,;:.!?") | frozenset(_QUOTES.values())
_FOLD: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_NUMBER: Final = re.compile(
    r"[$€£¥]?((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,18})(?:\.[0-9]{1,9})?)[€£¥]?"
)
_DAY: Final = re.compile(r"(0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th)?")
_ISO: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_MONTH: Final = {name[:size]: n for n, name in enumerate(_MONTHS, 1) for size in (3, len(name))}
# Words before a text that say: what follows is the name of something that is not there yet.
_NEW: Final = frozenset(
    ("titled", "entitled", "named", "called", "name", "title", "subject", "name:", "title:")
)


class Place(NamedTuple):
    """Where a value stands whole in a text."""

    text: int
    start: int
    end: int


def folded(text: str) -> str:
    """Lower case for A to Z and nothing else: what Unicode folds together is kept apart."""
    return text.translate(_FOLD)


def plain(value: Any) -> str | None:
    """A text that is what it looks like to a program: one line, in normal form C, without control,
    format, surrogate or private characters and without blanks other than the space; else None."""
    if type(value) is not str or not 0 < len(value) <= _VALUE_CHARS:
        return None
    if value.isascii():
        return value if value.isprintable() and value == value.strip() else None
    for character in value:
        category = unicodedata.category(character)
        if category[0] == "C" or (category[0] == "Z" and character != " "):
            return None
    return value if unicodedata.is_normalized("NFC", value) and value == value.strip() else None


class Words:
    """One user's texts, in the order they were given."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self.texts = tuple(" ".join(unicodedata.normalize("NFC", t).split()) for t in texts)

    def __bool__(self) -> bool:
        return bool(self.texts)

    # Phrases ----------------------------------------------------------------------------------

    def places(self, value: str, *, exact: bool = False, sigils: str = "") -> list[Place]:
        """Every place where `value` stands whole. `exact` compares letters as they are; `sigils`
        may stand directly before it, as in `#general`."""
        # Without a repetition of blanks: the texts have none.
        wanted = " ".join(value.split(" "))
        if not wanted or "  " in wanted:
            return []
        found = []
        fold = not exact and wanted.isascii()
        for number, text in enumerate(self._folded if fold else self.texts):
            needle = folded(wanted) if fold else wanted
            at = text.find(needle)
            while at >= 0:
                end = at + len(needle)
                if _left(text, at, sigils) and _right(text, end):
                    found.append(Place(number, at, end))
                at = text.find(needle, at + 1)
        return found

    def quoted(self, place: Place) -> bool:
        """Whether the value there is all of what stands between two quotes."""
        text = self.texts[place.text]
        before = text[place.start - 1 : place.start]
        return before in _QUOTES and text[place.end : place.end + 1] == _QUOTES[before]

    def within_quotes(self, place: Place) -> bool:
        """Whether the value there is a part of something quoted, and not all of it."""
        return not self.quoted(place) and any(
            start <= place.start and place.end <= end for start, end in self._spans[place.text]
        )

    def names_new(self, place: Place) -> bool:
        """Whether the text gives this value as the name of something new ("titled X")."""
        before = self._folded[place.text][: place.start].rstrip("".join(_OPENERS) + " ")
        last = before.rpartition(" ")[2]
        return last in _NEW

    def before(self, place: Place) -> str:
        """The word before, in lower case."""
        return self._folded[place.text][: place.start].rstrip().rpartition(" ")[2]

    # Tokens -----------------------------------------------------------------------------------

    def tokens(self) -> Iterator[str]:
        """What stands between blanks, without brackets, quotes and the points of a sentence."""
        for text in self.texts:
            yield from filter(None, map(_bare, text.split(" ")))

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every token, in lower case."""
        return frozenset(folded(token) for token in self.tokens())

    @cached_property
    def numbers(self) -> frozenset[Decimal]:
        """Every number that is no part of a date, a time or a longer token."""
        found = set()
        for text in self.texts:
            words = ["", *map(_bare, text.split(" ")), ""]
            for n in range(1, len(words) - 1):
                match = _NUMBER.fullmatch(words[n])
                beside = (folded(words[n - 1]), folded(words[n + 1]))
                if match is not None and not any(word in _MONTH for word in beside):
                    found.add(Decimal(match[1].replace(",", "")))
        return frozenset(found)

    @cached_property
    def days(self) -> frozenset[str]:
        """Every full date, as `2026-05-15`."""
        return frozenset(t for t in self.tokens() if _ISO.fullmatch(t) and _is_day(t))

    @cached_property
    def month_days(self) -> frozenset[tuple[int, int]]:
        """Every (month, day) in words, "May 15th" or "15th of May"; a year beside it says nothing,
        because people leave it out."""
        found = set()
        for text in self.texts:
            words = [folded(_bare(word)) for word in text.split(" ")]
            words = [word for word in words if word != "of"]
            for first, second in pairwise(words):
                for month, day in ((first, second), (second, first)):
                    match = _DAY.fullmatch(day)
                    if month in _MONTH and match is not None:
                        found.add((_MONTH[month], int(match[1])))
        return frozenset(found)

    @cached_property
    def _folded(self) -> tuple[str, ...]:
        return tuple(map(folded, self.texts))

    @cached_property
    def _spans(self) -> tuple[list[tuple[int, int]], ...]:
        return tuple(list(_quoted_spans(text)) for text in self.texts)


def _left(text: str, at: int, sigils: str = "") -> bool:
    """A blank or nothing before, perhaps with opening brackets and quotes between."""
    if at and text[at - 1] in sigils:
        at -= 1
    last = at - _MARKS
    while at > last and at and text[at - 1] in _OPENERS:
        at -= 1
    return at == 0 or text[at - 1] == " "


def _right(text: str, at: int) -> bool:
    """A blank or nothing after, perhaps with closing marks between, or an English genitive."""
    if text[at : at + 2] in ("'s", "’s"):
        at += 2
    last = at + _MARKS
    while at < min(last, len(text)) and text[at] in _CLOSERS:
        at += 1
    return at == len(text) or text[at] == " "


def _bare(word: str) -> str:
    return word.lstrip("".join(_OPENERS)).rstrip("".join(_CLOSERS))


def _quoted_spans(text: str) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(text):
        closing = _QUOTES.get(text[at])
        if closing is not None and _left(text, at):
            most = at + _VALUE_CHARS
            end = text.find(closing, at + 1, most)
            for _ in range(_MARKS):
                if end < 0 or _right(text, end + 1):
                    break
                end = text.find(closing, end + 1, most)
            if end > 0 and _right(text, end + 1):
                yield at + 1, end
                at = end
        at += 1


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True

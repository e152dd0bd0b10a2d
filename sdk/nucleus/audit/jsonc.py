"""Law: JSON as editors read it, comments and trailing commas included; bounded, and never a crash.

The value comes from the standard parser. Where something stands is looked for only when somebody
asks: `spans` reads the text once more and says where each value begins and ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

MOST_DEPTH: Final = 64
_COMMENT: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_COMMA: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|,(?=\s*[}\]])')
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_SCALAR: Final = re.compile(r"[^\s,\]}{\[:\"]+")
_BLANK: Final = re.compile(r"\s*")
Key = str | int
Span = tuple[int, int]


@dataclass(frozen=True)
class Document:
    """One parsed file."""

    text: str
    value: Any
    doubled: tuple[str, ...] = field(default=())  # keys that stand twice in one object

    def line(self, *keys: Key) -> int:
        """The line where the value at these keys stands, or the nearest one around it."""
        for length in range(len(keys), -1, -1):
            span = self.spans.get(keys[:length])
            if span is not None:
                return self.text.count("\n", 0, span[0]) + 1
        return 1

    @cached_property
    def spans(self) -> dict[tuple[Key, ...], Span]:
        """Where each value begins and ends in the text."""
        return _spans(self.bare)

    @cached_property
    def bare(self) -> str:
        """The text with blanks for comments and trailing commas; every position stays."""
        return plain(self.text)


def plain(text: str) -> str:
    """Comments and trailing commas replaced by blanks of the same length."""

    def blank(found: re.Match[str]) -> str:
        piece = found[0]
        return piece if piece[0] == '"' else re.sub(r"[^\n]", " ", piece)

    return _COMMA.sub(blank, _COMMENT.sub(blank, text))


def parse(text: str) -> Document:
    """Raises ValueError with a sentence for people."""
    doubled: list[str] = []

    def made(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            names = [name for name, _ in pairs]
            doubled.extend(sorted({name for name in names if names.count(name) > 1}))
        return table

    text = text.removeprefix("\ufeff")
    for attempt in (str, plain):
        try:
            doubled.clear()
            value = json.loads(attempt(text), object_pairs_hook=made, parse_constant=_never)
        except (RecursionError, MemoryError):
            raise ValueError("it is nested too deeply") from None
        except ValueError as error:
            if attempt is plain:
                raise ValueError(f"it is not JSON: {_where(error)}") from None
        else:
            if _depth(value) > MOST_DEPTH:
                raise ValueError("it is nested too deeply")
            return Document(text, value, tuple(doubled))
    raise ValueError("it is not JSON")


def _never(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _where(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[:80].lower()} in line {error.lineno}"
    return str(error)[:80]


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level and depth <= MOST_DEPTH:
        depth += 1
        following: list[Any] = []
        for each in level:
            if type(each) is dict:
                following += each.values()
            elif type(each) is list:
                following += each
        level = following
    return depth


def _spans(text: str) -> dict[tuple[Key, ...], Span]:
    """Of a text that the standard parser has taken: only where things are is new here."""
    found: dict[tuple[Key, ...], Span] = {}

    def skip(at: int) -> int:
        blank = _BLANK.match(text, at)
        return blank.end() if blank else at

    def value(at: int, keys: tuple[Key, ...]) -> int:
        at = skip(at)
        start, first = at, text[at : at + 1]
        if first in ("{", "["):
            at = skip(at + 1)
            number = 0
            while at < len(text) and text[at] not in "}]":
                key: Key = number
                if first == "{":
                    name = _STRING.match(text, at)
                    if name is None:
                        break
                    key = str(json.loads(name[0]))
                    at = skip(skip(name.end()) + 1)
                at = skip(value(at, (*keys, key)))
                if text[at : at + 1] == ",":
                    at = skip(at + 1)
                number += 1
            at += 1
        else:
            scalar = (_STRING if first == '"' else _SCALAR).match(text, at)
            at = scalar.end() if scalar else at + 1
        found[keys] = (start, at)
        return at

    try:
        value(0, ())
    except (RecursionError, ValueError):
        pass  # places are a help; without them a finding is at the file's first line
    return found

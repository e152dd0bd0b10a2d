"""Law: what somebody else's program says is kept and shown without the credentials it was given.

Two ways to know one: it is a value that the program was given (plain, or as base64, hexadecimal or
percent-encoded), or it has the form of one. What is encoded otherwise is not seen.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from nucleus.audit import credentials
from nucleus.shapes import items, table

MARK: Final = "[credential]"
_LEAST: Final = 6  # characters: a shorter word would be found everywhere
_MOST: Final = 256  # credentials of one program


@dataclass(frozen=True, slots=True)
class Scrub:
    """Takes credentials out of text. `known` are those that the program was given."""

    known: tuple[str, ...] = field(default=(), repr=False)

    def text(self, text: str) -> str:
        """The text, with a mark for each credential in it."""
        for each in self.known:
            text = text.replace(each, MARK)
        return credentials.blotted(text, MARK)

    def holds(self, text: str) -> bool:
        """Whether a credential stands in the text."""
        return self.text(text) != text

    def value(self, value: Any) -> Any:
        """A value of JSON, its texts and keys scrubbed."""
        if type(value) is str:
            return self.text(value)
        listed = items(value)
        if listed is not None:
            return [self.value(each) for each in listed]
        named = table(value)
        if named is not None:
            return {self.text(key): self.value(each) for key, each in named.items()}
        return value


def of(env: Mapping[str, str], words: Sequence[str] = ()) -> Scrub:
    """What a program is given: its variables, and the words of its command line."""
    found: set[str] = set()
    for name, value in env.items():
        if credentials.is_one(name, value):
            found |= {value, *credentials.words_in(value)}
    for _, value in credentials.in_words(words):
        found |= {value, *credentials.words_in(value)}
    plain = sorted(each for each in found if len(each) >= _LEAST)[:_MOST]
    forms = {form for each in plain for form in _spellings(each)}
    return Scrub(tuple(sorted(forms, key=lambda form: (-len(form), form))))


def _spellings(word: str) -> set[str]:
    data = word.encode("utf-8", "surrogateescape")
    forms = {word, json.dumps(word)[1:-1], quote(data, safe=""), data.hex(), data.hex().upper()}
    for lead in range(3):
        # The letters of base64 that depend on the word alone, wherever it begins.
        coded = base64.b64encode(bytes(lead) + data)
        inner = coded[(lead * 8 + 5) // 6 : (lead + len(data)) * 8 // 6].decode()
        forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {form for form in forms if len(form) >= _LEAST}

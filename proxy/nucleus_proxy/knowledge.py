"""Law: what a session knows came from its user or from a result that policy says may be believed.

The proxy fills this, never the agent. It is kept per root token, so that a sub-agent's task text is
no trusted input. Facts are small tuples that can be written down and learned again in order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from nucleus_proxy.contacts import contacts
from nucleus_proxy.rules import ResultRule
from nucleus_proxy.words import Place, Words, folded, plain
from nucleus_tokens.authority import MISSING, lookup

Fact = tuple[Any, ...]

MOST_FACTS: Final = 4096
MOST_PRIVATE: Final = 256
_VALUES: Final = 64  # of one record's attributes
_PRIVATE_CHARS: Final = 5  # a shorter text is found everywhere
_NAME_CHARS: Final = 4  # of a record: a shorter one is a word


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that a result showed: an event, a file, a contact, a payment."""

    kind: str
    key: Any
    name: str
    strangers: bool
    attributes: tuple[tuple[str, str], ...]  # (kind of value, value)
    participants: tuple[tuple[str, str], ...]
    sole: bool  # the only one that a search by the user's own words returned


@dataclass(frozen=True, slots=True)
class Payment:
    """What somebody's bank says was paid, or is to be."""

    amount: Decimal
    parties: frozenset[str]  # accounts it is with, and the standing order it is
    about: str  # the user's own words for it; empty where somebody else wrote them

    def concerns(self, party: str) -> bool:
        """Whether it is with this account or order, or the user wrote this name of it."""
        if party in self.parties:
            return True
        named = len(party) >= _NAME_CHARS and not party.isdigit() and bool(self.about)
        return named and bool(Words((self.about,)).places(party))


@dataclass(slots=True)
class Known:
    """What one root token's session knows. `full`: more was shown than is kept, so that nothing
    can be called the only one of its kind any more."""

    words: Words = field(default_factory=Words)
    records: dict[tuple[str, str], Record] = field(default_factory=dict)
    created: set[tuple[str, str]] = field(default_factory=set)
    directory: set[str] = field(default_factory=set)
    own: set[tuple[str, str]] = field(default_factory=set)
    private: dict[str, tuple[str, ...]] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)
    payments: set[Payment] = field(default_factory=set)
    facts: int = 0
    full: bool = False
    _designated: dict[str, list[Record]] = field(default_factory=dict)

    def learn(self, facts: Iterable[Fact]) -> None:
        """Take in what `learned` found. Unknown facts are left out."""
        self._designated.clear()
        for fact in facts:
            self.facts += 1
            if self.facts > MOST_FACTS or len(self.private) > MOST_PRIVATE:
                self.full = True
                return
            match fact:
                case ("record", kind, key, name, strangers, attributes, participants, sole):
                    at = (kind, spelled(key))
                    before = self.records.get(at)
                    self.records[at] = Record(
                        kind, key, name, strangers,
                        tuple((k, v) for k, v in attributes),
                        tuple((k, v) for k, v in participants),
                        sole or (before is not None and before.sole and before.name == name),
                    )  # fmt: skip
                case ("created", kind, key):
                    self.created.add((kind, spelled(key)))
                case ("directory", name):
                    self.directory.add(name)
                case ("own", kind, value):
                    self.own.add((kind, value))
                case ("private", value, words):
                    self.private[value] = tuple(words)
                case ("links", url):
                    self.links.add(url)
                case ("payment", amount, parties, about):
                    self.payments.add(Payment(Decimal(amount), frozenset(parties), about))
                case _:
                    pass

    # What the user's words point at -----------------------------------------------------------

    def designated(self, kind: str) -> list[Record]:
        """The records of a kind that the prompt points at, each without doubt which one."""
        if self.full or not self.words:
            return []
        if kind not in self._designated:
            mine = [record for record in self.records.values() if record.kind == kind]
            names = Counter(folded(record.name) for record in mine if record.name)
            # Another record of the same name makes it ambiguous.
            alone = [record for record in mine if names[folded(record.name)] < 2]
            named = self._named(mine)
            self._designated[kind] = [
                record for record in alone if record.sole or self._names(record, named)
            ]
        return self._designated[kind]

    def _named(self, records: list[Record]) -> dict[str, list[Place]]:
        """Where the names of records stand in the prompt, without what is part of a longer one."""
        found = {
            name: self.words.places(name)
            for name in {record.name for record in records}
            if len(name) >= _NAME_CHARS and plain(name)
        }
        outer = set()
        reached = (-1, -1)  # (text, where the furthest place so far ends)
        every = {place for places in found.values() for place in places}
        for place in sorted(every, key=lambda p: (p.text, p.start, -p.end)):
            if (place.text, place.end) > reached:
                outer.add(place)
                reached = (place.text, place.end)
        return {name: [p for p in places if p in outer] for name, places in found.items()}

    def _names(self, record: Record, named: dict[str, list[Place]]) -> bool:
        name = record.name
        # A part of something quoted is not named.
        places = [p for p in named.get(name, ()) if not self.words.within_quotes(p)]
        if not places or any(map(self.words.names_new, places)):
            return False
        # What a stranger can make is pointed at by more than one word that he could guess.
        return (
            not record.strangers
            or " " in name
            or is_file_name(name)
            or any(map(self.words.quoted, places))
        )


def is_file_name(text: str) -> bool:
    """A name with an extension."""
    stem, dot, extension = text.rpartition(".")
    return bool(dot and stem) and extension.isalnum() and 0 < len(extension) <= 5


def spelled(key: Any) -> str:
    """One spelling of an id: 12 and "12" are written the same by whoever shows them."""
    if type(key) is int:
        return str(key)
    return key if type(key) is str else ""


# What a result teaches ------------------------------------------------------------------------


def learned(rules: Iterable[ResultRule], result: Any, *, by_users_words: bool) -> list[Fact]:
    """The facts of one result, by the rules of its tool. Total: what has another form than the
    rules say teaches nothing. `by_users_words`: every selector of the call was the user's own."""
    found: list[Fact] = []
    for rule in rules:
        part = lookup(result, rule.at) if rule.at else result
        if part is MISSING:
            continue
        items = part if type(part) is list else [part]
        for item in items[: MOST_FACTS + 1]:
            found += _item(rule, item, by_users_words and len(items) == 1)
    return found


def _item(rule: ResultRule, item: Any, sole: bool) -> list[Fact]:
    fits = all(lookup(item, at) == value for at, value in (rule.where or {}).items())
    if rule.yields == "payment":
        return _payment(rule, item, fits)
    if not fits:
        return []
    if rule.key and rule.yields != "record":
        item = lookup(item, rule.key)
    match rule.yields:
        case "record":
            key = lookup(item, rule.key)
            if not spelled(key):
                return []
            name = lookup(item, rule.name) if rule.name else ""
            return [
                (
                    "record", rule.kind, key, name if type(name) is str else "", rule.strangers,
                    _values(item, rule.attributes or {}), _values(item, rule.participants or {}),
                    sole,
                )
            ]  # fmt: skip
        case "created":
            return [("created", rule.kind, item)] if spelled(item) else []
        case "own":
            value = plain(item)
            return [] if value is None else [("own", rule.kind, value)]
        case "private":
            text = spelled(item)
            return [("private", text, list(rule.words))] if len(text) >= _PRIVATE_CHARS else []
        case "directory":
            value = plain(item)
            return [] if value is None else [("directory", value)]
        case "links":
            found = contacts(item) if type(item) is str else []
            return [("links", value) for kind, value in found if kind == "url" and plain(value)]
        case _:
            return []


def _payment(rule: ResultRule, item: Any, own: bool) -> list[Fact]:
    amount = lookup(item, rule.key)
    if type(amount) not in (int, float) or not math.isfinite(amount) or amount <= 0:
        return []
    parties = [spelled(lookup(item, at)) for at in rule.parties]
    about = plain(lookup(item, rule.name)) if rule.name and own else None
    return [("payment", repr(amount), [each for each in parties if each], about or "")]


def _values(item: Any, pointers: dict[str, str] | Any) -> list[list[str]]:
    found = []
    for pointer, kind in pointers.items():
        value = lookup(item, pointer)
        # Of a table its keys: a list of rights is one by whom they are given to.
        for each in (list(value) if type(value) in (list, dict) else [value])[:_VALUES]:
            if plain(each) is not None:
                found.append([kind, each])
    return found

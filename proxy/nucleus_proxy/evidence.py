"""Law: an argument is vouched for by the user's words or what they point at, and by nothing else.

Without a prompt nothing is vouched for but what the issuer's `ceil` fixes, which the kernel sees
for itself. The rules V, A, S and L of docs/spec/flow.md are here; how one value is matched is in
`matchers.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Any, Final

from nucleus_proxy.contacts import contacts
from nucleus_proxy.knowledge import Known, is_file_name
from nucleus_proxy.matchers import Case, matches
from nucleus_proxy.toolrules import ToolBinding
from nucleus_proxy.words import Words
from nucleus_tokens.authority import MISSING, lookup
from nucleus_tokens.sinks import reversible
from nucleus_verifier.choosing import SelectorRule
from nucleus_verifier.facts import Selector

# A longer text is not searched: it is asked about.
_SCANNED_CHARS: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Vouched:
    """What is vouched for, and what must be asked about besides the declared selectors."""

    pointers: frozenset[str] = frozenset()
    more: tuple[Selector, ...] = ()


def vouched(
    binding: ToolBinding,
    args: Any,
    selectors: tuple[Selector, ...],
    known: Known,
    *,
    also: Set[str] = frozenset(),
    cwd: str = "/",
    today: str = "",
) -> Vouched:
    """The pointers of `selectors` with positive evidence, and selectors that rules S and L add.

    `also` are the operator's opt-ins, `cwd` is where relative paths start, `today` is the date of
    the user's day (`2026-05-15`). Total.
    """
    more = tuple(_beyond(binding, args, known))
    if not known.words or not _in_scope(binding, known.words, also):
        return Vouched(more=more)
    found = set()
    for selector in selectors:
        rule = rule_of(binding, selector.pointer)
        if rule is None:
            continue
        value = lookup(args, selector.pointer)
        if value is MISSING or value is None or (rule.item and selector.value is None):
            continue
        if matches(Case(value, selector.value, rule, known, also, cwd, today, args)):
            found.add(selector.pointer)
    return Vouched(frozenset(found), more)


def rule_of(binding: ToolBinding, pointer: str) -> SelectorRule | None:
    """The rule that a selector was made by; the items of a list are selectors of their own."""
    for rule in binding.selectors:
        if pointer == rule.pointer:
            return rule
        if not pointer.startswith(rule.pointer):
            continue
        inside = pointer[len(rule.pointer) :].split("/")
        if rule.item and inside[-1] == rule.item:
            inside.pop()
        if inside == [""] or (len(inside) == 2 and not inside[0] and inside[1].isdigit()):
            return rule
    return None


def by_users_words(binding: ToolBinding, args: Any, known: Known) -> bool:
    """Rule D2: whether a search was made by the user's own words, dates and addresses, and by
    something that points more narrowly than one word."""
    strong = False
    for rule in binding.selectors:
        value = lookup(args, rule.pointer)
        if value is MISSING or value is None:
            continue
        for each in value if type(value) is list else [value]:
            kind = "email" if type(each) is str and "@" in each else rule.kind
            if kind not in ("email", "date", "url"):
                kind = "text"
            if not matches(Case(each, None, rule, known), kind):
                return False
            strong = strong or kind != "text" or _strong(str(each), known.words)
    return strong


def _strong(text: str, words: Words) -> bool:
    return " " in text or is_file_name(text) or any(map(words.quoted, words.places(text)))


# Rule V: the prompt speaks of this kind of deed ---------------------------------------------------


def _in_scope(binding: ToolBinding, words: Words, also: Set[str]) -> bool:
    if not binding.verbs:
        return True
    if "any_verb" in also and not reversible(binding.sink):
        return True
    return not words.vocabulary.isdisjoint(binding.verbs)


# Rules S and L: what a text would carry out -------------------------------------------------------


def _beyond(binding: ToolBinding, args: Any, known: Known) -> Iterator[Selector]:
    """Private values anywhere in what leaves, and links and addresses in its free texts."""
    if not reversible(binding.sink):
        for pointer, text in _texts(args, ""):
            if known.full or any(
                value in text and not any(known.words.places(word) for word in words)
                for value, words in known.private.items()
            ):
                yield Selector(pointer, "private", None)
    for pointer in sorted(binding.scan):
        value = lookup(args, pointer)
        for at, text in _texts(value, pointer) if value is not MISSING else ():
            if len(text) > _SCANNED_CHARS or not all(
                _known_contact(each, known) for each in contacts(text)
            ):
                yield Selector(at, "contact", None)


def _known_contact(contact: tuple[str, str], known: Known) -> bool:
    kind, value = contact
    case = Case(value, None, SelectorRule("", kind), known)
    return matches(case) or (kind == "url" and bool(known.words.places(value)))


def _texts(value: Any, at: str) -> Iterator[tuple[str, str]]:
    if type(value) is str:
        yield at, value
    elif type(value) is list:
        for i, item in enumerate(value):
            yield from _texts(item, f"{at}/{i}")
    elif type(value) is dict:
        for key, item in value.items():
            yield from _texts(item, f"{at}/{key.replace('~', '~0').replace('/', '~1')}")

"""Law: a selector has evidence when something the agent cannot write says exactly its value.

One matcher per kind. Types first: a value of another type than its kind has no evidence, nor has a
number that is not finite, and an exception is no evidence either. Everything here is positive: what
nobody thought of is asked about.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import Any, Final
from urllib.parse import urlsplit

from nucleus_proxy import resolve
from nucleus_proxy.knowledge import Known, Record, is_file_name, spelled
from nucleus_proxy.words import Words, folded, plain
from nucleus_tokens.authority import lookup
from nucleus_verifier import resources
from nucleus_verifier.choosing import SelectorRule

_EMAIL: Final = re.compile(
    r"[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.)+[A-Za-z]{2,24}"
)
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{8,30}")
_STAMP: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_SLUG: Final = re.compile(r"[A-Za-z0-9._-]{2,100}")
_SECRET_CHARS: Final = 8
# `shop.example.They`: no name of a host begins with a capital.
_GLUED: Final = re.compile(r"([^A-Z]{1,512}[a-z0-9/])\.[A-Z][a-z]{0,32}")


@dataclass(frozen=True, slots=True)
class Case:
    """One value to be vouched for: as it was given, and as the proxy resolved it."""

    value: Any
    resolved: Any
    rule: SelectorRule
    known: Known
    also: Set[str] = frozenset()
    cwd: str = "/"
    today: str = ""
    args: Any = None  # the whole arguments

    @property
    def words(self) -> Words:
        return self.known.words

    def attributes(self, kind: str) -> Iterator[str]:
        """Values of this kind in records that the prompt designates."""
        for of in {record.kind for record in self.known.records.values()}:
            for record in self.known.designated(of):
                yield from _values(record, kind, self.also)


def _values(record: Record, kind: str, also: Set[str]) -> Iterator[str]:
    given = record.attributes + (record.participants if "participants" in also else ())
    return (value for k, value in given if k == kind)


def _email(case: Case) -> bool:
    value = plain(case.value)
    if value is None or not _EMAIL.fullmatch(value):
        return False
    return bool(case.words.places(value)) or _same_as(
        value, [v for k, v in case.known.own if k == "email"], case.attributes("email")
    )


def _same_as(value: str, *sources: Iterable[str]) -> bool:
    return any(folded(value) == folded(each) for source in sources for each in source)


def _url(case: Case) -> bool:
    wanted = _url_parts(plain(case.value))
    if wanted is None:
        return False
    for token in chain.from_iterable(map(_links, case.words.tokens())):
        given = _url_parts(token)
        # A link without a scheme is meant to be read safely; a scheme that was said is kept.
        if given is not None and given[1:] == wanted[1:]:
            if given[0] == wanted[0] or (not given[0] and wanted[0] in ("", "https")):
                return True
    if "member_links" in case.also and case.value in case.known.links:
        return True
    return case.value in case.attributes("url")


def _links(token: str) -> Iterator[str]:
    """A link as it was written, and without a sentence that begins right behind it."""
    yield token
    glued = _GLUED.fullmatch(token)
    if glued is not None:
        yield glued[1]


def _url_parts(value: str | None) -> tuple[str, str, str] | None:
    """(scheme or nothing, host and port, all the rest as it is); None for what is no link that
    everybody reads alike: a user in it, a backslash, letters beyond ASCII."""
    if value is None or not value.isascii() or "\\" in value or " " in value:
        return None
    scheme = folded(value.partition("://")[0]) if "://" in value else ""
    if scheme not in ("", "http", "https"):
        return None
    split = urlsplit(value if scheme else f"//{value}")
    if "@" in split.netloc or resources.host(folded(split.netloc)) is None:
        return None
    if not scheme and "." not in split.netloc:
        return None
    rest = value.partition("://")[2] if scheme else value
    rest = rest[len(split.netloc) :]
    return scheme, folded(split.netloc), "" if rest == "/" else rest


def _host(case: Case) -> bool:
    value = plain(case.value)
    wanted = None if value is None else resources.host(folded(value))
    if wanted is None or "." not in wanted:
        return False
    if case.words.places(wanted):
        return True
    named = (_url_parts(token) for token in case.words.tokens() if "://" in token)
    return any(parts is not None and parts[1] == wanted for parts in named)


def _payee(case: Case) -> bool:
    value = plain(case.value)
    if value is None:
        return False
    account = value.replace(" ", "").upper()
    if value.isascii() and _IBAN.fullmatch(account):
        own = [v.replace(" ", "").upper() for k, v in case.known.own if k == "payee"]
        given = [v.replace(" ", "").upper() for v in case.attributes("payee")]
        written = any(
            case.words.places(each) for each in (account, value, folded(account), grouped(account))
        )
        return written or account in own or account in given
    # A name moves money only to somebody the user paid before and names now.
    return bool(case.words.places(value)) and (
        any(payment.concerns(value) for payment in case.known.payments)
        or any(
            _same_as(value, (v for k, v in record.attributes if k == "payee"))
            for record in case.known.records.values()
            if not record.strangers
        )
    )


def grouped(account: str) -> str:
    """An account as people write it, in groups of four."""
    return " ".join(account[i : i + 4] for i in range(0, len(account), 4))


def _amount(case: Case) -> bool:
    value = case.value
    if type(value) not in (int, float) or not math.isfinite(value) or value <= 0:
        return False
    amount = Decimal(repr(value))
    return amount in case.words.numbers or amount <= _most(case)


def _most(case: Case) -> Decimal:
    """The largest amount that the bank says went to or came from the very same party. It is a bound
    for one call: a budget in the token bounds their sum."""
    if case.known.full:
        return Decimal(0)
    parties = {spelled(lookup(case.args, at)) for at in case.rule.within} - {""}
    return max(
        (p.amount for p in case.known.payments if any(map(p.concerns, parties))),
        default=Decimal(0),
    )


def _name(case: Case) -> bool:
    value = plain(case.value)
    bare = "" if value is None else value.lstrip("#@")
    return len(bare) > 1 and bool(case.words.places(bare, sigils="#@"))


def _member(case: Case) -> bool:
    return _name(case) or (plain(case.value) is not None and case.value in case.known.directory)


def _slug(case: Case) -> bool:
    """An owner or a repository: whole, or as a part of `owner/name` or of a link to it."""
    value = plain(case.value)
    if value is None or not _SLUG.fullmatch(value):
        return False
    if case.words.places(value):
        return True
    for token in case.words.tokens():
        parts = token.split("/")
        if "://" in token:
            parts = parts[3:5]
        elif len(parts) != 2:
            continue
        if folded(value) in map(folded, parts):
            return True
    return False


def _recipient(case: Case) -> bool:
    return _email(case) if "@" in str(case.value)[1:] else _member(case)


def _date(case: Case) -> bool:
    value = plain(case.value)
    match = _STAMP.fullmatch(value) if value is not None and value.isascii() else None
    if match is None:
        return False
    day = match[1]
    if day in case.words.days or (int(day[5:7]), int(day[8:])) in case.words.month_days:
        return True
    return bool(case.today) and day == case.today and "today" in case.words.vocabulary


def _text(case: Case) -> bool:
    value = plain(case.value)
    return value is not None and len(value) > 1 and bool(case.words.places(value))


def _credential(case: Case) -> bool:
    value = plain(case.value)
    if value is None or len(value) < _SECRET_CHARS or " " in value:
        return False
    places = case.words.places(value, exact=True)
    return bool(places) and (any(map(str.isdigit, value)) or any(map(case.words.quoted, places)))


def _id(case: Case) -> bool:
    key = spelled(case.value)
    if plain(key) is None:
        return False
    of = case.rule.of
    if (of, key) in case.known.created:
        return True
    for place in case.words.places(key, exact=True, sigils="#"):
        text = case.words.texts[place.text]
        if text[place.start - 1 : place.start] == "#" or case.words.before(place) in _ID_WORDS:
            return True
    return any(spelled(record.key) == key for record in case.known.designated(of))


_ID_WORDS: Final = frozenset(("id", "id:", "number", "no.", "nr."))


def _flag(case: Case) -> bool:
    return case.value is False or (
        case.value is True and not case.words.vocabulary.isdisjoint(case.rule.words)
    )


def _choice(case: Case) -> bool:
    value = plain(case.value)
    return value is not None and (value == case.rule.least or _text(case))


def _path(case: Case) -> bool:
    """The path that the user wrote, if what he wrote leads there without a link."""
    if type(case.resolved) is not str:
        return False
    for token in case.words.tokens():
        if "/" in token or is_file_name(token):
            if resolve.unlinked(token, case.cwd) == case.resolved:
                return True
    return False


def _ref(case: Case) -> bool:
    return type(case.resolved) is str and bool(case.words.places(case.resolved, exact=True))


def _argv(case: Case) -> bool:
    """A command the user wrote out between quotes, word for word."""
    if type(case.value) is not list or not all(type(word) is str for word in case.value):
        return False
    line = " ".join(case.value)
    if plain(line) is None or len(line.split(" ")) != len(case.value):
        return False
    return any(map(case.words.quoted, case.words.places(line, exact=True)))


MATCHERS: Final[Mapping[str, Callable[[Case], bool]]] = {
    "amount": _amount,
    "argv": _argv,
    "choice": _choice,
    "credential": _credential,
    "date": _date,
    "email": _email,
    "flag": _flag,
    "host": _host,
    "id": _id,
    "member": _member,
    "name": _name,
    "path": _path,
    "payee": _payee,
    "recipient": _recipient,
    "slug": _slug,
    "ref": _ref,
    "text": _text,
    "url": _url,
}


def matches(case: Case, kind: str = "") -> bool:
    """Whether the value has evidence as its rule's kind, or as another one. Total."""
    test = MATCHERS.get(kind or case.rule.kind)
    try:
        return test is not None and test(case)
    except Exception:  # noqa: BLE001  whatever went wrong, it is no evidence
        return False

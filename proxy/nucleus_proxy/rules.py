"""Law: what a tool's arguments and results may vouch for is data in the operator's file; what it
does not say vouches for nothing.

The part of a binding that `evidence.py` and `results.py` read. `policy.py` reads the rest of the
file and calls `results` here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nucleus_proxy.fields import bad, keys
from nucleus_tokens import patterns
from nucleus_tokens.errors import CallerError

# What a part of a result may become: see docs/spec/flow.md.
YIELDS: Final = ("record", "created", "directory", "own", "private", "links", "payment")
# Trust that nobody gets by default, each with its price (docs/spec/flow.md).
OPT_INS: Final = ("participants", "member_links", "any_verb")
_VALUE_KINDS: Final = frozenset(("email", "payee", "url", "name", "path", "host", "ref"))


@dataclass(frozen=True, slots=True)
class ResultRule:
    """What one part of a tool's result may vouch for, and as what."""

    yields: str
    at: str = ""  # pointer to the part; a list is each of its items
    kind: str = ""  # of record, of id, or of value
    key: str = ""  # pointers inside a record; of anything else, to the value in each item
    name: str = ""  # of a payment: what its payer wrote about it
    attributes: Mapping[str, str] | None = None  # pointer -> kind of value
    participants: Mapping[str, str] | None = None  # the same, believed only by opt-in
    strangers: bool = True  # somebody else can make such a record
    words: tuple[str, ...] = ()  # by which a prompt names a private value
    parties: tuple[str, ...] = ()  # pointers inside a payment to whom it is with, or what it is of
    # pointer -> the value it must have: of a payment, where its name is the user's own words; of
    # anything else, what does not have it is left out
    where: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Believed:
    """What the operator lets vouch besides the default, and which files he vouches for."""

    also: frozenset[str] = frozenset()  # of OPT_INS
    trusted_files: tuple[str, ...] = ()  # path patterns, absolute
    secret_files: tuple[str, ...] = ()


Pointer = Callable[[str, Any], str]


def results(where: str, value: Any, pointer: Pointer) -> tuple[ResultRule, ...]:
    """The `results` of one tool. Raises CallerError `policy.value` or `policy.unknown_key`."""
    if type(value) is not list:
        bad(where, "a list of tables is needed")
    return tuple(_result(f"{where}[{i}]", item, pointer) for i, item in enumerate(value))


def _result(where: str, value: Any, pointer: Pointer) -> ResultRule:
    if type(value) is not dict:
        bad(where, "a table is needed")
    yields = value.get("yields")
    if yields not in YIELDS:
        bad(where, f"it 'yields' one of {', '.join(YIELDS)}")
    allowed = {
        "record": {"kind", "name", "attributes", "participants", "strangers"},
        "created": {"kind"},
        "own": {"kind"},
        "private": {"words"},
        "payment": {"name", "parties"},
    }.get(yields, set()) | {"yields", "at", "key", "where"}
    for key in value:
        if key not in allowed:
            raise CallerError(
                "policy.unknown_key",
                f"The policy file, {where}: unknown key {key!r}.",
                hint=f"Known are {', '.join(sorted(allowed))}.",
            )
    for needed in {
        "record": ("kind", "key"),
        "created": ("kind",),
        "own": ("kind",),
        "payment": ("key", "parties"),
    }.get(yields, ()):
        if needed not in value:
            bad(where, f"it needs a {needed!r}")
    words = value.get("words", [])
    if type(words) is not list or any(type(w) is not str or not w for w in words):
        bad(f"{where}.words", "a list of texts is needed")
    strangers = value.get("strangers", True)
    if type(strangers) is not bool:
        bad(f"{where}.strangers", "true or false is needed")
    kind = value.get("kind", "")
    if type(kind) is not str or (yields == "own" and kind not in _VALUE_KINDS):
        bad(f"{where}.kind", f"it is a text; of an own value, one of {', '.join(_VALUE_KINDS)}")

    parties = value.get("parties", [])
    if type(parties) is not list:
        bad(f"{where}.parties", "a list of pointers is needed")
    having = _having(f"{where}.where", value.get("where", {}), pointer)

    def inside(name: str) -> str:
        return pointer(f"{where}.{name}", value[name]) if value.get(name) else ""

    return ResultRule(
        yields=yields,
        at=inside("at"),
        kind=kind,
        key=inside("key"),
        name=inside("name"),
        attributes=_kinds(f"{where}.attributes", value.get("attributes", {}), pointer),
        participants=_kinds(f"{where}.participants", value.get("participants", {}), pointer),
        strangers=strangers,
        words=tuple(words),
        parties=tuple(pointer(f"{where}.parties", each) for each in parties),
        where=having,
    )


def _having(where: str, value: Any, pointer: Pointer) -> dict[str, str]:
    if type(value) is not dict or any(type(each) is not str for each in value.values()):
        bad(where, "a table from pointer to text is needed")
    return {pointer(where, at): each for at, each in value.items()}


def _kinds(where: str, value: Any, pointer: Pointer) -> dict[str, str]:
    if type(value) is not dict:
        bad(where, "a table from pointer to kind is needed")
    for kind in value.values():
        if kind not in _VALUE_KINDS:
            bad(where, f"a kind is one of {', '.join(sorted(_VALUE_KINDS))}")
    return {pointer(where, at): kind for at, kind in value.items()}


def believed(evidence: Any, files: Any, base: Path) -> Believed:
    """The tables `evidence` and `files` of a policy file. Patterns start at `base`."""
    also = _list("evidence.also", keys("evidence", evidence, "also").get("also", []))
    for name in also:
        if name not in OPT_INS:
            bad("evidence.also", f"it holds only {', '.join(OPT_INS)}")
    table = keys("files", files, "trusted", "secret")
    trusted, secret = (
        tuple(str(base / text) for text in _list(f"files.{key}", table.get(key, [])))
        for key in ("trusted", "secret")
    )
    for pattern in (*trusted, *secret):
        if not patterns.MATCHERS["path"].well_formed(pattern):
            bad("files", f"{pattern!r} is no path pattern")
    return Believed(frozenset(also), trusted, secret)


def _list(where: str, value: Any) -> list[str]:
    if type(value) is not list or any(type(v) is not str or not v for v in value):
        bad(where, "a list of texts is needed")
    return value

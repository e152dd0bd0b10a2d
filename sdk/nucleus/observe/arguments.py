"""Law: of an argument the record keeps what a rule can be made of, and of its value no more.

A path is kept as it was resolved, a host and a ref as they are: the scopes need them. Of a number
there is the power of two below and above it, of a text its length, of both a salted digest.
`values` keeps short texts and whole numbers as they are. A credential leaves no length and no
digest. Rules are made of these leaves alone, so whatever satisfies a leaf's rules, its call did.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple

from nucleus.audit import credentials
from nucleus.audit.scrubbing import Scrub
from nucleus.observe import paths
from nucleus.shapes import items, table
from nucleus_tokens import arguments, crypto
from nucleus_tokens.errors import CallerError
from nucleus_tokens.limits import INTEGER, LIST_ITEMS
from nucleus_tokens.patterns import is_path
from nucleus_verifier import resources

MOST: Final = 4096  # a length beyond this is not told
_DEPTH: Final = 3  # objects in objects
_WORD: Final = 128  # a longer text is kept by nobody's wish
_POINTER: Final = 200
_CHOICES: Final = 16  # values that are still an enumeration
_LEAST_TEXT: Final = 256
_LEAST_MANY: Final = 16
_ORIGIN: Final = re.compile(r"https?://[a-z0-9._-]+(?::[0-9]{1,5})?/")


class Leaf(NamedTuple):
    """One argument. `value` is a resolved path; the origin of a URL; a host, a ref or a value; the
    bounds of a number; the length of a text or of a list. A secret has none."""

    kind: str
    value: Any = None
    digest: str = ""


Sketch = Mapping[str, Leaf]  # by JSON pointer
SECRET: Final = Leaf("secret")
_KINDS: Final = frozenset(
    ("path", "url", "host", "ref", "value", "number", "text", "many", "secret")
)


@dataclass(frozen=True, slots=True)
class Keep:
    """How much is kept. `salt` is drawn for one observation and written nowhere."""

    salt: bytes = field(repr=False)
    scrub: Scrub = field(default_factory=Scrub)
    values: bool = False


# From a call to leaves -----------------------------------------------------------------------


def sketch(args: Any, selectors: Sequence[Any], keep: Keep) -> Sketch | None:
    """The leaves of a call's arguments; None where they are too many or cannot be named.
    `selectors` are (pointer, kind, resolved value)."""
    if type(args) is not dict:
        return None
    chosen = {each[0]: (each[1], each[2]) for each in selectors}
    found = dict(islice(_leaves(args, "", 0), LIST_ITEMS + 1)) if args else {}
    if len(found) > LIST_ITEMS or not all(_nameable(pointer, keep) for pointer in found):
        return None
    return {p: _leaf(p, value, chosen.get(p, ("", None)), keep) for p, value in found.items()}


def _leaves(value: Any, at: str, depth: int) -> Iterator[tuple[str, Any]]:
    if type(value) is dict and value and depth < _DEPTH:
        for key, item in (table(value) or {}).items():
            name = key.replace("~", "~0").replace("/", "~1")
            yield from _leaves(item, f"{at}/{name}", depth + 1)
    else:
        yield at, value


def _nameable(pointer: str, keep: Keep) -> bool:
    return (
        len(pointer) <= _POINTER
        and resources.spellable(pointer)
        and not keep.scrub.holds(pointer)
        and not any(map(credentials.random_looking, pointer.split("/")))
    )


def _leaf(pointer: str, value: Any, chosen: tuple[str, Any], keep: Keep) -> Leaf:
    if credentials.named(pointer.rpartition("/")[2]):
        return SECRET
    if value is None or type(value) is bool:
        return Leaf("value", value)
    if type(value) is int and keep.values and abs(value) <= INTEGER:
        return Leaf("value", value)
    if type(value) in (int, float):
        return Leaf("number", bounds(value), _digest(value, keep))
    if type(value) is not str:
        return Leaf("many", min(len(value), MOST), _digest(value, keep))
    if keep.scrub.holds(value):
        return SECRET
    resource = _resource(value, *chosen)
    if resource is not None and not keep.scrub.holds(str(resource.value)):
        return resource
    if credentials.random_looking(value):
        return SECRET
    if keep.values and len(value) <= _WORD and resources.spellable(value):
        return Leaf("value", value)
    return Leaf("text", min(len(value), MOST), _digest(value, keep))


def _resource(value: str, kind: str, resolved: Any) -> Leaf | None:
    """The leaf of what chooses a resource, which stands in the record anyway."""
    if kind == "path":
        return Leaf("path", resolved) if is_path(resolved) else None
    if kind in ("url", "host"):
        origin = _ORIGIN.match(value)
        if origin is not None and resources.url_host(value) is not None:
            return Leaf("url", origin[0])
        return Leaf("host", value) if resources.host(value) == value else None
    return Leaf("ref", value) if kind == "ref" and resources.ref(value) is not None else None


def bounds(number: int | float) -> tuple[int | None, int | None]:
    """The powers of two around a number; no bounds beyond what JSON keeps exact."""
    size = abs(number)
    if size > INTEGER:
        return None, None
    whole = int(size)
    low = 1 << whole.bit_length() - 1 if whole else 0
    high = min(INTEGER, 2 * low if low else int(size > 0))
    return (low, high) if number >= 0 else (-high, -low)


def _digest(value: Any, keep: Keep) -> str:
    try:
        return crypto.sha256(keep.salt + arguments.encode(value)).hex()[:16]
    except CallerError:
        return ""


# From a line of the record to leaves, and to a call that satisfies the same rules -------------


def read(value: Any) -> Sketch | None:
    """Raises ValueError for what is none."""
    if value is None:
        return None
    named = table(value)
    if named is None or len(named) > LIST_ITEMS:
        raise ValueError("arguments are an object")
    found = {pointer: _read(items(each) or []) for pointer, each in named.items()}
    if not all(pointer.startswith("/") for pointer in found):
        raise ValueError("an argument has no name")
    stand_in(found)
    return found


def _read(parts: list[Any]) -> Leaf:
    kind, value, digest = parts
    fits = {
        "path": is_path(value),
        "value": value is None or type(value) in (bool, int, str),
        "text": type(value) is int and 0 <= value <= MOST,
        "many": type(value) is int and 0 <= value <= MOST,
        "secret": value is None,
    }
    if kind == "number":
        value = low, high = tuple(items(value) or ())
        fits[kind] = all(each is None or type(each) is int for each in (low, high))
    if kind not in _KINDS or not fits.get(kind, type(value) is str) or type(digest) is not str:
        raise ValueError("an argument is not understood")
    return Leaf(kind, value, digest)


def stand_in(found: Sketch | None) -> tuple[dict[str, Any], dict[str, str]]:
    """Arguments that satisfy the rules that the real ones do, and what their paths resolve to.
    Raises ValueError for leaves that no call has."""
    made: dict[str, Any] = {}
    for pointer, leaf in (found or {}).items():
        *way, name = (w.replace("~1", "/").replace("~0", "~") for w in pointer.split("/")[1:])
        at = made
        for each in way:
            at = at.setdefault(each, {})
            if type(at) is not dict:
                raise ValueError("an argument is in two places")
        if name in at:
            raise ValueError("an argument is in two places")
        at[name] = _value(leaf)
    return made, {p: leaf.value for p, leaf in (found or {}).items() if leaf.kind == "path"}


def _value(leaf: Leaf) -> Any:
    match leaf.kind:
        case "number":
            return leaf.value[0] or 0
        case "text" | "secret":
            return "x" * (leaf.value or 0)
        case "many":
            return [0] * leaf.value
        case _:
            return leaf.value


# From leaves to rules ------------------------------------------------------------------------


def rules(
    tool: str, calls: Sequence[Sketch | None], tight: str, folders: frozenset[str]
) -> list[Any] | None:
    """An `arg` caveat that all these calls of a tool satisfy; None where nothing can be said."""
    if tool == "*" or any(call is None for call in calls):
        return None
    found = [call for call in calls if call is not None]
    made: dict[str, list[Any]] = {}
    for pointer in sorted({pointer for call in found for pointer in call}):
        leaves = [call[pointer] for call in found if pointer in call]
        # A rule other than `any` demands that the argument is there.
        often = len(leaves) == len(found)
        made[pointer] = _rule(leaves, tight, folders) if often else ["any"]
    return ["arg", tool, made] if len(made) <= LIST_ITEMS else None


def constant(calls: Sequence[Sketch | None]) -> list[str]:
    """The arguments that were the same in every call, of several, and are not kept."""
    found = [call for call in calls if call is not None]
    made: list[str] = []
    for pointer in sorted(found[0]) if len(found) > 1 else ():
        digests = {call[pointer].digest if pointer in call else "" for call in found}
        if len(digests) == 1 and digests != {""}:
            made.append(pointer)
    return made


def _rule(leaves: Sequence[Leaf], tight: str, folders: frozenset[str]) -> list[Any]:
    kinds = {leaf.kind for leaf in leaves}
    values = [leaf.value for leaf in leaves]
    if kinds == {"path"}:
        within = paths.common(paths.widened(set(values), tight, folders))
        return ["any"] if within == "/" else ["subpath", within]
    if kinds == {"url"}:
        return ["prefix", values[0]] if len(set(values)) == 1 else ["any"]
    if len(kinds) == 1 and kinds & {"host", "ref"}:
        return _choice(values) or ["any"]
    if tight == "root":
        return ["any"]
    if kinds == {"value"}:
        choice = _choice(values)
        few = choice is not None and len(choice[-1]) * 2 <= len(values)
        flags = any(value is None or type(value) is bool for value in values)
        if choice is not None and (few or tight == "exact" or flags):
            return choice
    spans = list(map(_span, leaves))
    if all(span is not None and span[0] == "range" for span in spans):
        return _wide(spans, tight, "range", 0)
    if all(span is not None and span[0] == "length" for span in spans):
        return _wide(spans, tight, "length", _LEAST_MANY if kinds == {"many"} else _LEAST_TEXT)
    return ["any"]


def _choice(values: Sequence[Any]) -> list[Any] | None:
    """The values themselves. 1 and true are two, although Python finds them equal."""
    distinct = {(type(value).__name__, value): value for value in values}
    listed = [distinct[key] for key in sorted(distinct, key=repr)]
    return ["one-of", listed] if len(listed) <= _CHOICES else None


def _span(leaf: Leaf) -> tuple[str, int | None, int | None] | None:
    """The rule that bounds a leaf, with what it is bounded by."""
    if leaf.kind == "number":
        return ("range", *leaf.value)
    if leaf.kind in ("text", "many"):
        return "length", leaf.value, leaf.value if leaf.value < MOST else None
    if leaf.kind == "value" and type(leaf.value) is int:
        return "range", leaf.value, leaf.value
    if leaf.kind == "value" and type(leaf.value) is str:
        return "length", len(leaf.value), len(leaf.value)
    return None


def _wide(spans: Sequence[Any], tight: str, op: str, least: int) -> list[Any]:
    """From the least to the most that was seen; but for `exact`, from zero to twice as much."""
    lows, highs = [span[1] for span in spans], [span[2] for span in spans]
    low = None if None in lows else min(lows)
    high = None if None in highs else max(highs)
    if tight != "exact":
        low = None if low is None else min(0, _doubled(low))
        high = None if high is None else max(least, _doubled(high))
    return [op, low, high]


def _doubled(number: int) -> int:
    """The power of two from twice a number on."""
    size = min(INTEGER, 1 << (2 * abs(number) - 1).bit_length()) if number else 0
    return size if number >= 0 else -size


def text(rule: Sequence[Any]) -> str:
    """A rule in words."""
    match rule[0]:
        case "subpath":
            return f"at or below {rule[1]}"
        case "prefix":
            return f"begins with {rule[1]}"
        case "one-of":
            return "is " + " or ".join(map(_shown, rule[1]))
        case "range" | "length":
            what = "" if rule[0] == "range" else "length "
            low, high = rule[1], rule[2]
            return f"{what}from {'anything' if low is None else low} to {_shown(high)}"
        case _:
            return "anything"


def _shown(value: Any) -> str:
    return "anything" if value is None else os.fspath(value) if type(value) is str else repr(value)

"""Law: rules on the arguments of a tool admit every call that they were made of.

They are made of leaves. Whatever of a rule was not in all of the calls demands nothing, and a
tighter knob gives rules that admit no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from nucleus.observe import paths
from nucleus.observe.arguments import MOST, Leaf, Sketch
from nucleus_tokens.limits import INTEGER, LIST_ITEMS

_CHOICES: Final = 16  # values that are still an enumeration
_LEAST_TEXT: Final = 256
_LEAST_MANY: Final = 16


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
    return "anything" if value is None else value if type(value) is str else repr(value)

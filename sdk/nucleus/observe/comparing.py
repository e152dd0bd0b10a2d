"""Law: what a new policy permits that the old one did not is said with a plus, never overlooked.

A rule is narrower only where that can be told from the two alone; else it counts as wider.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nucleus.observe import arguments
from nucleus.observe.generalising import Observed
from nucleus.observe.record import KINDS
from nucleus.shapes import items
from nucleus_tokens import names
from nucleus_tokens.authority import rule_admits
from nucleus_tokens.patterns import under

Rule = list[Any]


def diff(old: Observed, new: Observed) -> list[str]:
    """What the new one permits that the old one does not, and the reverse; empty if nothing."""
    lines: list[str] = []
    for operation in names.OPERATIONS:
        before, after = old.levels.get(operation, "never"), new.levels.get(operation, "never")
        if before != after:
            wider = names.LEVEL_NUMBER[after] > names.LEVEL_NUMBER[before]
            lines.append(f"{'+' if wider else '-'} {operation}: {before} → {after}")
    for kind in ("tool", *KINDS):
        one, two = _patterns(old, kind), _patterns(new, kind)
        if one is None and two is None:
            continue
        if one is None or two is None:
            sign, said = ("-", "a scope stands now") if one is None else ("+", "no scope any more")
            lines.append(f"{sign} {kind}: {said}")
            continue
        lines += [f"+ {kind}: {each}" for each in sorted(two - one)]
        lines += [f"- {kind}: {each}" for each in sorted(one - two)]
    lines += _arguments(old, new)
    one, two = _rest(old), _rest(new)
    lines += [f"+ no more: {each}" for each in sorted(one - two)]
    lines += [f"- now: {each}" for each in sorted(two - one)]
    for unit, (least, most) in _budgets(old, new).items():
        if least != most:
            more = least is not None and (most is None or most > least)
            lines.append(f"{'+' if more else '-'} budget {unit}: {least} → {most}")
    for operation in sorted(set(old.obligations) ^ set(new.obligations)):
        lines.append(f"{'+' if operation in old.obligations else '-'} asked about: {operation}")
    if old.seconds != new.seconds:
        sign = "+" if new.seconds > old.seconds else "-"
        lines.append(f"{sign} seconds: {old.seconds} → {new.seconds}")
    return lines


def _shown(value: Any) -> str:
    words = items(value)
    return str(value) if words is None else " ".join(map(str, words))


def _patterns(made: Observed, kind: str) -> set[str] | None:
    for each in made.ceil:
        if each[0] == kind and each[1] == "in":
            return {_shown(value) for value in each[2]}
    return None


def _rest(made: Observed) -> set[str]:
    """The restrictions that are compared by their spelling alone: written by hand, all of them."""
    seen: set[tuple[Any, ...]] = set()
    rest: set[str] = set()
    for each in made.ceil:
        key = (each[0], each[1] if each[0] in ("arg", "budget") else None)
        plain = each[0] in ("only", "arg", "budget") or each[1] == "in"
        if key in seen or not plain:
            rest.add(json.dumps(each, sort_keys=True))
        seen.add(key)
    return rest


def _budgets(old: Observed, new: Observed) -> dict[str, tuple[int | None, int | None]]:
    before, after = ({c[1]: c[2] for c in p.ceil if c[0] == "budget"} for p in (old, new))
    return {unit: (before.get(unit), after.get(unit)) for unit in sorted({*before, *after})}


def _arguments(old: Observed, new: Observed) -> list[str]:
    before, after = _rules(old), _rules(new)
    lines: list[str] = []
    for tool in sorted({*before, *after}):
        one, two = before.get(tool), after.get(tool)
        if one is None or two is None:
            called = tool in (_patterns(new, "tool") or (tool,))
            if one is None:
                lines.append(f"- {tool}: its arguments have rules now")
            elif called:
                lines.append(f"+ {tool}: its arguments have no rules any more")
            continue
        for pointer in sorted({*one, *two}):
            was, now = one.get(pointer), two.get(pointer)
            if was == now:
                continue
            if now is None:
                # A rule that is gone no longer demands its argument.
                narrower = was == ["any"]
            else:
                narrower = was is not None and within(now, was)
            sign = "-" if narrower else "+"
            said = ["not given" if each is None else arguments.text(each) for each in (was, now)]
            lines.append(f"{sign} {tool} {pointer}: {said[0]} → {said[1]}")
    return lines


def _rules(made: Observed) -> dict[str, Mapping[str, Rule]]:
    return {each[1]: each[2] for each in made.ceil if each[0] == "arg"}


def within(one: Rule, two: Rule) -> bool:
    """Whether all that the first rule admits, the second does, as far as can be told."""
    if one == two or two[0] == "any":
        return True
    if one[0] in ("equals", "one-of"):
        values = items(one[1]) if one[0] == "one-of" else [one[1]]
        operand = (two[1], two[2]) if two[0] in ("range", "length") else two[1]
        # A path is what it resolves to, which a value alone does not say.
        return two[0] != "subpath" and all(
            rule_admits(two[0], operand, each) for each in values or ()
        )
    if one[0] != two[0]:
        return False
    match one[0]:
        case "subpath":
            return under(two[1], one[1])
        case "prefix":
            return bool(one[1].startswith(two[1]))
        case "range" | "length":
            low = two[1] is None or one[1] is not None and one[1] >= two[1]
            return low and (two[2] is None or one[2] is not None and one[2] <= two[2])
        case _:
            return False

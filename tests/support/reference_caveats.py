"""One caveat against one call, slowly and obviously: the half of `reference` that knows scopes,
arguments and budgets, with regular expressions and recursion instead of searches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from nucleus_verifier.facts import Call, Facts
from tests.algebra import reference as algebra

SKEW: Final = 60
LEVEL: Final = {"never": 0, "low_risk": 1, "always": 2}
LEGS: Final = ("private_data", "untrusted_content", "exfil_vector")
HOST: Final = r"([a-z0-9_]([a-z0-9_.-]*[a-z0-9_-])?|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?"
MAY_TOUCH: Final = {
    "read_files": "path",
    "write_files": "path",
    "edit_files": "path",
    "run_bash": "path host cmd ref",
    "glob_search": "path",
    "grep_search": "path",
    "web_search": "host",
    "web_fetch": "host",
    "git_commit": "path ref",
    "git_push": "path host ref",
    "create_pr": "host ref",
    "manage_pods": "host",
    "spawn_agent": "path",
}


@dataclass
class Objections:
    """What one caveat has against one call. Steps are those of docs/spec/decide.md."""

    level: int = 2
    steps: set[int] = field(default_factory=set)
    asks: bool = False


def against(caveat: list[Any], rid: str, call: Call, facts: Facts) -> Objections:
    """What this caveat alone has against this call."""
    kind, said = caveat[0], caveat[1:]
    found = Objections()
    operation = operation_of(call)
    if kind == "exp" and facts.now >= said[0]:
        found.steps.add(7)
    if kind == "nbf" and facts.now < said[0] - SKEW:
        found.steps.add(7)
    if kind == "cap":
        found.level = LEVEL[said[0].get(operation, "always")]
    if kind == "only":
        found.level = LEVEL[said[0].get(operation, "never")]
    if kind == "exposure" and not exposure(facts) <= set(said[0]):
        found.steps.add(9)
    if kind in ("path", "host", "cmd", "ref", "tool") and not scope_holds(caveat, call):
        found.steps.add(10)
    if kind == "arg" and not arguments_hold(caveat, call):
        found.steps.add(10)
    if kind == "budget" and overspent(f"{rid}/{said[0]}", said[0], said[1], call, facts):
        found.steps.add(11)
    if kind == "approve":
        found.asks = operation in said[0]
    return found


def operation_of(call: Call) -> str:
    return algebra.OPS[call.operation] if 0 <= call.operation < len(algebra.OPS) else "?"


def exposure(facts: Facts) -> set[str]:
    """The words of what wall and tree have seen together."""
    return words(facts.wall.bits) | words(facts.tree.bits)


def words(bits: int) -> set[str]:
    return {leg for i, leg in enumerate(LEGS) if bits >> i & 1}


def overspent(counter: str, unit: str, limit: int, call: Call, facts: Facts) -> bool:
    cost = 1 if unit == "calls" else call.costs.get(unit, 0)
    spent = facts.spent.get(counter)
    return spent is None or spent < 0 or cost < 0 or spent + cost > limit


# Scopes -----------------------------------------------------------------------------------------


def scope_holds(caveat: list[Any], call: Call) -> bool:
    kind, sense, patterns = caveat
    if kind == "tool":
        values: tuple[Any, ...] | None = (call.tool,)
    elif kind in MAY_TOUCH.get(operation_of(call), "").split() or kind in call.resources:
        values = call.resources.get(kind)
    else:
        return True
    return values is not None and all(one_holds(kind, sense, patterns, v) for v in values)


def one_holds(kind: str, sense: str, patterns: list[Any], value: Any) -> bool:
    if not resolved(kind, value):
        return False
    if sense == "in":
        return any(matches(kind, p, value) for p in patterns)
    return not any(blocks(kind, p, value) for p in patterns)


def blocks(kind: str, pattern: Any, value: Any) -> bool:
    """Blocking errs on the other side than allowing: what may be meant is blocked."""
    if kind == "path":
        steps = value.casefold().split("/")
        above = ["/".join(steps[:n]) or "/" for n in range(1, len(steps) + 1)]
        return any(matches(kind, pattern.casefold(), place) for place in above)
    if kind == "host":
        name, port = name_and_port(value)
        wanted, wanted_port = name_and_port(pattern)
        return named(wanted, name) and (port == wanted_port or None in (port, wanted_port))
    if kind == "cmd":
        return in_order(pattern, [part for word in value for part in (word, *word.split())])
    return matches(kind, pattern, value)


def in_order(wanted: list[str], had: list[str]) -> bool:
    """Whether the words occur in this order, with anything in between."""
    if not wanted:
        return True
    if not had:
        return False
    return in_order(wanted[1:] if same_program(had[0], wanted[0]) else wanted, had[1:])


def same_program(a: str, b: str) -> bool:
    return a == b or a.rpartition("/")[2] == b.rpartition("/")[2] != ""


def resolved(kind: str, value: Any) -> bool:
    """Whether nothing about the value is left to resolve."""
    if kind == "cmd":
        return isinstance(value, tuple) and len(value) > 0
    if kind == "path":
        return value == "/" or (
            re.fullmatch(r"(/[^/\0]+)+", value) is not None
            and not {".", ".."} & set(value.split("/"))
        )
    if kind == "host":
        return (
            re.fullmatch(HOST, value) is not None
            and ".." not in value
            and int(name_and_port(value)[1] or 1) < 65536
        )
    return bool(value)


def matches(kind: str, pattern: Any, value: Any) -> bool:
    if kind == "cmd":
        return list(value[: len(pattern)]) == list(pattern)
    if kind == "host":
        name, port = name_and_port(value)
        wanted, wanted_port = name_and_port(pattern)
        return named(wanted, name) and wanted_port in (None, port)
    if kind == "path" and "*" not in pattern:
        return bool(pattern == "/" or (value + "/").startswith(pattern + "/"))
    return glob(pattern, value)


def name_and_port(host: str) -> tuple[str, str | None]:
    found = re.fullmatch(r"(\[.*\]|[^:]*)(?::(\d+))?", host)
    assert found, host
    return found[1], found[2]


def named(pattern: str, name: str) -> bool:
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern


@cache
def glob(pattern: str, value: str) -> bool:
    return segments(pattern.split("/"), value.split("/"))


def segments(patterns: list[str], values: list[str]) -> bool:
    if not patterns:
        return not values
    if patterns[0] == "**":
        return any(segments(patterns[1:], values[i:]) for i in range(len(values) + 1))
    if not values:
        return False
    expression = ".*".join(re.escape(part) for part in patterns[0].split("*"))
    return re.fullmatch(expression, values[0], re.DOTALL) is not None and segments(
        patterns[1:], values[1:]
    )


# Arguments --------------------------------------------------------------------------------------


def arguments_hold(caveat: list[Any], call: Call) -> bool:
    _, tool, rules = caveat
    if tool not in ("*", call.tool):
        return True
    named = [path_of(pointer) for pointer in rules]
    links = {s.pointer: [s.value] for s in call.selectors if s.kind == "path"}

    def found(pointer: str, rule: list[Any]) -> list[Any]:
        if rule[0] == "subpath" and pointer in links:
            return links[pointer]
        return at(call.args, path_of(pointer))

    return all(rule_holds(rule, found(p, rule)) for p, rule in rules.items()) and all(
        any(path[: len(n)] == n for n in named)
        or (empty and (path == () or any(n[: len(path)] == path for n in named)))
        for path, empty in leaves(call.args)
    )


def path_of(pointer: str) -> tuple[str, ...]:
    return tuple(p.replace("~1", "/").replace("~0", "~") for p in pointer.split("/")[1:])


def at(value: Any, path: tuple[str, ...]) -> list[Any]:
    """The value at a path in a list of one; an empty list if there is none."""
    for step in path:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step in map(str, range(len(value))):
            value = value[int(step)]
        else:
            return []
    return [value]


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], bool]]:
    """Every part that has no parts, and whether it is an empty container."""
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list):
        parts = [(str(i), item) for i, item in enumerate(value)]
    else:
        return [(path, False)]
    if not parts:
        return [(path, True)]
    return [leaf for key, item in parts for leaf in leaves(item, (*path, key))]


def rule_holds(rule: list[Any], found: list[Any]) -> bool:
    op, *operands = rule
    if op == "any":
        return True
    if not found:
        return False
    value = found[0]
    kind = type(value)
    if op == "equals":
        return kind is type(operands[0]) and bool(value == operands[0])
    if op == "one-of":
        return any(kind is type(c) and value == c for c in operands[0])
    if op == "prefix":
        return kind is str and value[: len(operands[0])] == operands[0]
    if op == "subpath":
        return kind is str and resolved("path", value) and matches("path", operands[0], value)
    low, high = (b if b is not None else s * 10**18 for b, s in zip(operands, (-1, 1), strict=True))
    if op == "length":
        return kind in (str, list, dict) and low <= len(value) <= high
    assert op == "range", op
    return kind in (int, float) and bool(low <= value <= high)

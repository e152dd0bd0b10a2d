"""Law: authority is a conjunction. Folding a caveat in can only shrink what it permits.

An `Authority` is the fold of the issuer's `ceil`, of what an Exchange carried over, and of every
appended caveat. Levels meet, times meet, exposure limits meet, obligations accumulate; scopes,
argument rules and budgets are kept side by side and must all hold. Nothing here is ever widened,
so that the order of caveats does not matter and a wider caveat is harmless.

Each part remembers its source, to say later which caveat decided and who added it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from nucleus_tokens.caveats import (
    Approve,
    Arg,
    Budget,
    Caveat,
    Delegate,
    Exp,
    ExposureLimit,
    Levels,
    Link,
    Nbf,
    Scope,
)
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.exposure import ALL
from nucleus_tokens.lattice import TOP
from nucleus_tokens.limits import INTEGER, PATTERN_FLOATING, PATTERNS
from nucleus_tokens.patterns import MATCHERS, affordable, is_path, under


class Source(NamedTuple):
    """Where a restriction stands: `header`, `ceil`, `narrowed` or `caveat`, and its place there.

    Appended caveats are numbered from 1, as prefixes are: prefix 0 is the bare header.
    """

    where: str
    place: int


class Counter(NamedTuple):
    """A budget: everything below the caveat that set it spends from the same counter.

    The header's own is its account: it has no rid, because it survives re-issuance.
    """

    source: Source
    id: str
    unit: str
    limit: int


class Authority(NamedTuple):
    """What a chain still permits."""

    levels: int
    exp: int
    nbf: int
    exposure: int
    obligations: int
    scopes: tuple[tuple[Source, Scope], ...]
    args: tuple[tuple[Source, Arg], ...]
    counters: tuple[Counter, ...]


FULL: Final = Authority(TOP, INTEGER, 0, ALL, 0, (), (), ())


def fold(start: Authority, where: str, parts: Iterable[tuple[int, str, Caveat]]) -> Authority:
    """Meet `start` with the caveats of one place: (number there, rid that keys budgets, caveat).

    Raises CredentialError `caveat.too_many_patterns` beyond the limits of a whole chain.
    """
    levels, exp, nbf, exposure, obligations, scopes, args, counters = start
    more_scopes, more_args, more_counters = [], [], []
    for number, rid, caveat in parts:
        # Exact types, the frequent ones first; the table of types and this fold must agree.
        if type(caveat) is Scope:
            more_scopes.append((Source(where, number), caveat))
        elif type(caveat) is Levels:
            levels &= caveat.packed
        elif type(caveat) is Exp:
            exp = min(exp, caveat.at)
        elif type(caveat) is Budget:
            unit, amount = caveat
            more_counters.append(Counter(Source(where, number), f"{rid}/{unit}", unit, amount))
        elif type(caveat) is Arg:
            more_args.append((Source(where, number), caveat))
        elif type(caveat) is Nbf:
            nbf = max(nbf, caveat.at)
        elif type(caveat) is ExposureLimit:
            exposure &= caveat.bits
        elif type(caveat) is Approve:
            obligations |= caveat.operations
        elif type(caveat) not in (Delegate, Link):
            raise CredentialError("caveat.unknown", "A caveat of a type that has no meaning here.")
    scopes += tuple(more_scopes)
    if more_scopes and not affordable([p for _, scope in scopes for p in scope.patterns]):
        raise CredentialError(
            "caveat.too_many_patterns",
            f"A chain holds at most {PATTERNS} patterns and {PATTERN_FLOATING} floating segments.",
        )
    args, counters = args + tuple(more_args), counters + tuple(more_counters)
    return Authority(levels, exp, nbf, exposure, obligations, scopes, args, counters)


# Predicates -----------------------------------------------------------------------------------


def ready(kind: str, values: tuple[Any, ...]) -> list[Any] | None:
    """Resources of one kind as `admits` takes them; None when one is not in resolved form."""
    made = [MATCHERS[kind].ready(value) for value in values]
    return None if None in made else made


def admits(scope: Scope, values: list[Any] | None) -> bool:
    """Whether every resource of the scope's kind, made `ready`, passes.

    A value not in resolved form never does. No values: the call touches none of the kind.
    """
    kind, allow, patterns = scope
    if values is None:
        return False
    matcher = MATCHERS[kind]
    matches = matcher.allows if allow else matcher.blocks
    for value in values:  # noqa: SIM110 - a generator costs more than the match
        if matches(patterns, value) is not allow:
            return False
    return True


def scope_admits(scope: Scope, values: tuple[Any, ...]) -> bool:
    """`admits` for values nobody looked at yet."""
    return admits(scope, ready(scope.kind, values))


MISSING: Final = object()


def _tokens(pointer: str) -> list[str]:
    return [t.replace("~1", "/").replace("~0", "~") for t in pointer.split("/")[1:]]


def lookup(args: Any, pointer: str) -> Any:
    """RFC 6901, without array indices from strings that are not canonical. Missing: `MISSING`."""
    value = args
    for token in _tokens(pointer):
        if type(value) is dict and token in value:
            value = value[token]
        elif (
            type(value) is list
            and token.isascii()
            and token.isdigit()
            and str(int(token[:6])) == token
            and int(token) < len(value)
        ):
            value = value[int(token)]
        else:
            return MISSING
    return value


def _same(a: Any, b: Any) -> bool:
    # 1, 1.0 and True are equal in Python and are three values to a tool.
    return type(a) is type(b) and bool(a == b)


def rule_admits(op: str, operand: Any, value: Any) -> bool:
    """Whether one argument value satisfies one rule. A missing value satisfies only `any`."""
    if op == "any":
        return True
    if value is MISSING:
        return False
    if op == "equals":
        return _same(value, operand)
    if op == "one-of":
        return any(_same(value, choice) for choice in operand)
    if op == "prefix":
        return type(value) is str and value.startswith(operand)
    if op == "subpath":
        return is_path(value) and under(operand, value)
    low, high = operand
    if op == "length":
        if type(value) not in (str, list, dict):
            return False
        value = len(value)
    elif type(value) not in (int, float):
        return False
    return (low is None or value >= low) and (high is None or value <= high)


def _covered(value: Any, pointers: list[list[str]]) -> bool:
    """Whether every part of `value` is named by a pointer: the closed world of an `arg` caveat."""
    if [] in pointers:
        return True
    if type(value) is dict:
        items: Iterable[tuple[str, Any]] = value.items()
    elif type(value) is list:
        items = ((str(i), item) for i, item in enumerate(value))
    else:
        return False
    return all(
        any(p[0] == key for p in pointers)
        and _covered(item, [p[1:] for p in pointers if p[0] == key])
        for key, item in items
    )


def args_admit(arg: Arg, tool: str, args: Any, resolved: Mapping[str, Any]) -> bool:
    """Whether a call's arguments pass one `arg` caveat: every rule holds, and nothing is unnamed.

    `resolved` maps the pointers of path arguments to what they resolve to: `subpath` is judged on
    that, since the argument itself may be relative, or lead through a link.

    The world is closed by each caveat on its own: were it closed by all of them together, adding
    a caveat could admit an argument (docs/adr/0004).
    """
    if arg.tool not in ("*", tool):
        return True
    for pointer, op, operand in arg.rules:
        path = op == "subpath" and pointer in resolved
        if not rule_admits(op, operand, resolved[pointer] if path else lookup(args, pointer)):
            return False
    return _covered(args, [_tokens(pointer) for pointer, _, _ in arg.rules])


# Evidence that the issuer's own word gives ------------------------------------------------------


def fixed_by_ceil(
    ceil: tuple[Caveat, ...], tool: str, args: Any, pointer: str, kind: str, value: Any
) -> bool:
    """Whether the issuer's signed `ceil` fixes this selector, or a path or number lies inside it.

    Only the header's `ceil` may be passed here: an appended caveat is the agent's own word.
    Prefixes, lengths and wildcards are no evidence (DESIGN section 5).
    """
    for caveat in ceil:
        if type(caveat) is Scope:
            if caveat.kind != kind or not caveat.allow:
                continue
            for pattern in caveat.patterns:
                if kind == "path":
                    if "*" not in pattern and is_path(value) and under(pattern, value):
                        return True
                elif kind in ("host", "ref") and "*" not in pattern and pattern == value:
                    return True
        elif type(caveat) is Arg and caveat.tool in ("*", tool):
            for rule_pointer, op, operand in caveat.rules:
                if rule_pointer != pointer or op not in ("equals", "one-of", "subpath", "range"):
                    continue
                # A path is what it resolves to: a fixed name that became a link is not fixed.
                if rule_admits(op, operand, value if kind == "path" else lookup(args, pointer)):
                    return True
    return False

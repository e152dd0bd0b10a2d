"""Law: a caveat can only take away. One append-only table of types; an unknown type denies.

The wire law: a caveat is a canonical JSON array `["type", ...]`. A type's spelling is never
changed or reused; new types are added at the end of `TYPES`. There is no OR, no regex and no
expression. `delegate` is the only caveat that replaces something, the holder; it is read in
`delegation.py`'s terms and checked against the current holder's key by the verifier.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from nucleus_tokens import canonical, names
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.fields import hexed, integer, members, name_set, need, text
from nucleus_tokens.lattice import BOTTOM, TOP
from nucleus_tokens.limits import CAVEAT_BYTES, DEPTH, INTEGER, LIST_ITEMS, STRING_CHARS
from nucleus_tokens.patterns import MATCHERS

SCOPE_KINDS: Final = ("path", "host", "cmd", "ref", "tool")
BUDGET_UNITS: Final = ("calls", "micro_usd", "tokens", "bytes_out")
ARG_OPS: Final = ("any", "equals", "one-of", "prefix", "subpath", "range", "length")


class Exp(NamedTuple):
    """Valid before `at` (unix seconds, exclusive)."""

    at: int


class Nbf(NamedTuple):
    """Valid from `at` (unix seconds)."""

    at: int


class Levels(NamedTuple):
    """`cap` (unnamed dimensions untouched) and `only` (unnamed are never): a packed meet."""

    packed: int


class Scope(NamedTuple):
    """The resource of this kind must match (`allow`) or must not match one of the patterns."""

    kind: str
    allow: bool
    patterns: tuple[Any, ...]


class Arg(NamedTuple):
    """Rules on the arguments of one tool (or of all, `*`); what no rule names is denied."""

    tool: str
    rules: tuple[tuple[str, str, Any], ...]  # (JSON pointer, op, value)


class Budget(NamedTuple):
    """At most `amount` of `unit`, shared by everything below this caveat."""

    unit: str
    amount: int


class ExposureLimit(NamedTuple):
    """Valid only while the exposure is a subset of these bits."""

    bits: int


class Approve(NamedTuple):
    """These operations (a 13-bit set) need an approval from here on."""

    operations: int


class Delegate(NamedTuple):
    """The holder of the prefix hands it to another key; `unsigned` is what the signature covers."""

    to: str
    key: bytes
    purpose: str
    depth: int
    unsigned: bytes
    signature: bytes


class Link(NamedTuple):
    """Random: makes two equal children distinct, so that each can be revoked alone."""

    nonce: str


class Req(NamedTuple):
    """Binds a credential to one call at one instant; always last, at most once."""

    tool: str
    args: str
    time: int
    nonce: str
    instance: str


Caveat = Exp | Nbf | Levels | Scope | Arg | Budget | ExposureLimit | Approve | Delegate | Link | Req


# Each level of each operation as bits, and the operation's own mask: a caveat names few of them.
_LEVEL_BITS: Final = {
    op: {level: names.pack_levels({op: level}) for level in names.LEVELS} for op in names.OPERATIONS
}


def _levels(default: int) -> Callable[[list[Any]], Levels]:
    def read(value: list[Any]) -> Levels:
        _, levels = value
        need(type(levels) is dict)
        packed = default
        for op, level in levels.items():
            bits = _LEVEL_BITS[op]
            packed = packed & ~bits["always"] | bits[level]
        return Levels(packed)

    return read


def _scope(kind: str) -> Callable[[list[Any]], Scope]:
    well_formed = MATCHERS[kind].well_formed

    def read(value: list[Any]) -> Scope:
        _, sense, patterns = value
        if sense not in ("in", "not") or type(patterns) is not list or len(patterns) > LIST_ITEMS:
            raise ValueError
        for pattern in patterns:
            if not well_formed(pattern):
                raise ValueError
        # Sorted and distinct: a set has one spelling.
        if len(patterns) > 1 and any(a >= b for a, b in pairwise(patterns)):
            raise ValueError
        if kind == "cmd":
            patterns = map(tuple, patterns)
        return Scope(kind, sense == "in", tuple(patterns))

    return read


def _rule(pointer: Any, rule: Any) -> tuple[str, str, Any]:
    need(type(pointer) is str and (pointer == "" or pointer.startswith("/")))
    need(len(pointer) <= STRING_CHARS and type(rule) is list and bool(rule))
    # RFC 6901: `~` is written only as ~0 or ~1.
    need(pointer.count("~") == pointer.count("~0") + pointer.count("~1"))
    op, *operands = rule
    need(op in ARG_OPS)
    if op == "any":
        need(not operands)
        return pointer, op, None
    if op in ("range", "length"):
        low, high = operands
        floor = 0 if op == "length" else -INTEGER
        need(low is None or type(low) is int and floor <= low <= INTEGER)
        need(high is None or type(high) is int and floor <= high <= INTEGER)
        return pointer, op, (low, high)
    (value,) = operands
    if op == "one-of":
        need(type(value) is list and len(value) <= LIST_ITEMS and all(map(_scalar, value)))
    elif op == "equals":
        need(_scalar(value))
    elif op == "subpath":
        need("*" not in value and MATCHERS["path"].well_formed(value))
    else:
        text(value, 0)
    return pointer, op, value


def _scalar(value: Any) -> bool:
    return value is None or type(value) in (bool, int, str)


def _arg(value: list[Any]) -> Arg:
    _, tool, rules = value
    need(type(rules) is dict and len(rules) <= LIST_ITEMS)
    return Arg(text(tool), tuple(_rule(p, r) for p, r in rules.items()))


def _budget(value: list[Any]) -> Budget:
    _, unit, amount = value
    need(unit in BUDGET_UNITS)
    return Budget(unit, integer(amount))


def _one(value: list[Any]) -> Any:
    _, only = value
    return only


def _delegate(value: list[Any]) -> Delegate:
    _, body, signature = value
    members(body, ["depth", "key", "purpose", "to"])
    return Delegate(
        text(body["to"]),
        hexed(body["key"], 32),
        text(body["purpose"], 0),
        integer(body["depth"], 0, DEPTH),
        canonical.encode(["delegate", body]),
        hexed(signature, 64),
    )


def _link(value: list[Any]) -> Link:
    _, nonce = value
    hexed(nonce, 16)
    return Link(nonce)


def _req(value: list[Any]) -> Req:
    _, body = value
    members(body, ["args", "instance", "nonce", "time", "tool"])
    hexed(body["args"], 32)
    hexed(body["nonce"], 16)
    return Req(
        text(body["tool"]), body["args"], integer(body["time"]), body["nonce"],
        text(body["instance"]),
    )  # fmt: skip


# Each reads a whole array. Append only. A type is never removed, renamed or given another meaning.
TYPES: Final[dict[str, Callable[[list[Any]], Caveat]]] = {
    "exp": lambda value: Exp(integer(_one(value))),
    "nbf": lambda value: Nbf(integer(_one(value))),
    "cap": _levels(TOP),
    "only": _levels(BOTTOM),
    "path": _scope("path"),
    "host": _scope("host"),
    "cmd": _scope("cmd"),
    "ref": _scope("ref"),
    "tool": _scope("tool"),
    "arg": _arg,
    "budget": _budget,
    "exposure": lambda value: ExposureLimit(names.exposure_bits(name_set(_one(value)))),
    "approve": lambda value: Approve(names.obligation_bits(name_set(_one(value)))),
    "delegate": _delegate,
    "link": _link,
    "req": _req,
}

# What an issuer's own `ceil`, and what an Exchange's `narrowed`, may consist of.
IN_CEIL: Final = frozenset(("cap", "only", "path", "host", "cmd", "ref", "tool", "arg", "budget"))
IN_NARROWED: Final = frozenset(TYPES) - {"delegate", "req"}
# What an approval's pattern may consist of: predicates on the call.
IN_APPROVAL: Final = frozenset(("path", "host", "cmd", "ref", "tool", "arg"))


def from_value(value: Any) -> Caveat:
    """The caveat of a parsed array. Raises CredentialError `caveat.unknown` or `.malformed`."""
    if type(value) is not list or not value or type(value[0]) is not str:
        raise CredentialError("caveat.malformed", "A caveat starts with its type.")
    reader = TYPES.get(value[0])
    if reader is None:
        raise CredentialError("caveat.unknown", "A caveat has a type this verifier does not know.")
    try:
        return reader(value)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CredentialError(
            "caveat.malformed", f"A caveat of type {value[0]} is not well formed."
        ) from error


def parse_all(parts: Sequence[bytes]) -> list[Caveat]:
    """The caveats of canonical bytes, at most 2,048 each. Raises CredentialError."""
    if parts and max(map(len, parts)) > CAVEAT_BYTES:
        raise CredentialError("caveat.malformed", f"A caveat is longer than {CAVEAT_BYTES} bytes.")
    return list(map(from_value, canonical.decode_all(parts)))


def parse(data: bytes) -> Caveat:
    """The caveat of canonical bytes, at most 2,048. Raises CredentialError."""
    return parse_all((data,))[0]

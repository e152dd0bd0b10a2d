"""Law: the dearest thing a stranger can send. Every row is a credential, approval or value at the
limits of the format, and what deciding over it costs in CPU time, with no cache.

    worst.py [--json] [--rounds N] [--write [FILE]]

The promise is at most ten milliseconds for any token. Tests count work instead of timing it
(tests/wire/test_bad_input.py); this is the same list of inputs, with a clock.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

if not __package__:  # run as a file: its own directory would shadow other packages
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench import harness
from bench.harness import Row
from nucleus_tokens import canonical, chain, limits, names
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CallerError
from nucleus_tokens.patterns import floating
from nucleus_verifier.decide import decide
from nucleus_verifier.facts import Call, Facts
from tests.support import world

TARGET: Final = 10_000.0  # microseconds
ROOM: Final = limits.CREDENTIAL_CHARS - len(chain.PREFIX)


class Shape(NamedTuple):
    """One input."""

    name: str
    credential: str
    call: Call
    facts: Facts


def shapes() -> Iterator[Shape]:
    """All of them."""
    facts = world.facts()
    for name, text in (*texts(), *headers()):
        yield Shape(name, text, world.read(), facts)
    yield from scopes()
    yield from chains()
    yield from asked()


# Text that is no token --------------------------------------------------------------------------


def texts() -> Iterator[tuple[str, str]]:
    """Every character that fits, of every kind."""
    for what in ("A", "-", "_", "=", ".", "\u20ac", "\0"):
        yield f"7,168 times {what!r}", chain.PREFIX + what * ROOM
    raw = ROOM * 3 // 4
    start = b"\x02\x01\x00\x02\x00\x00"
    for name, data in (
        ("smallest caveats", start + b"\x02\x00\x00" * 2000),
        ("a length that never ends", start[:4] + b"\xff" * raw),
        ("one identifier", start[:4] + b"\x80\x29" + b"x" * raw),
        ("no end", start + b"\x02\x01x\x00" * 2000),
    ):
        yield f"text: {name}", chain.PREFIX + chain.to_text(data[:raw])


def headers() -> Iterator[tuple[str, str]]:
    """Bodies of 4,096 bytes that are read before anybody knows who signed them."""
    body = limits.HEADER_BYTES
    good = canonical.encode(_body())
    for name, data in (
        ("brackets", b"[" * body),
        ("nested", b"[" * (body // 2) + b"]" * (body // 2)),
        ("objects", b'{"a":' * (body // 5)),
        ("digits", b"9" * body),
        ("combining marks", ('"' + "\u0315\u0300" * 1000 + '"').encode()),
        ("escapes", b'"' + b"\\u0000" * (body // 6) + b'"'),
        ("a good one, unsigned", good),
        ("64 restrictions, unsigned", canonical.encode(_body(64))),
    ):
        identifier = bytes(64) + data[:body] + b"\0" + bytes(160)
        token = UnverifiedToken(identifier, (), bytes(32))
        yield f"header: {name}", world.text(token)


def _body(restrictions: int = 0) -> dict[str, Any]:
    glob = [f"/{chr(97 + i)}/**/*a*/**" for i in range(2)]
    return {
        "account": None, "akid": "a1", "ancestors": [], "aud": "proxy:test",
        "ceil": [["only", {}], *[["path", "in", glob]] * max(0, restrictions - 1)],
        "depth": 8, "exp": 1, "holder": {"bearer": True, "key": None, "spiffe": None}, "iat": 0,
        "iss": "issuer:test", "kid": "k1", "narrowed": [], "obligations": [], "sub": "x",
        "tid": "00" * 16, "v": 1,
    }  # fmt: skip


# Patterns against the value that costs them most ------------------------------------------------


def filled(make: Callable[[int], list[Any]], most: int = limits.CAVEATS) -> str:
    """As many caveats of one kind as fit a credential and pass its limits."""
    token = world.mint()
    for number in range(most):
        try:
            wider = world.narrow(token, make(number))
            world.text(wider)
        except CallerError:
            break
        token = wider
    return world.text(token)


def many(kind: str, sense: str, patterns: Sequence[Any]) -> str:
    """These patterns, one a caveat: a caveat that allows is then tried for every value."""
    return filled(lambda i: [kind, sense, [patterns[i]]], min(len(patterns), limits.PATTERNS))


def scopes() -> Iterator[Shape]:
    """The patterns never match, or only at the end, so that all of them are tried."""
    deep = "/" + "/".join(["a"] * limits.PATH_SEGMENTS)
    wide = "/" + "/".join(["a" * 62] * limits.PATH_SEGMENTS)
    folded = "/" + "/".join(["\u0130\u1e9e" * 31] * limits.PATH_SEGMENTS)
    # All the floating segments a chain may have, in few patterns and in many.
    floats = limits.PATTERN_FLOATING
    star = "*a" * (limits.PATTERN_STARS - 1) + "*"
    few = [f"**/{'/'.join([star] * (floats - 3))}/{star}b/**"]
    ten = [f"**/{star}/x{i}" for i in range(floats // 3)]
    fixed = [f"{'/'.join([star] * 31)}/b{i}" for i in range(2)]
    facts = world.facts()
    for name, path in (("64 segments", deep), ("4,096 characters", wide), ("folded", folded)):
        for which, patterns in (("few", few), ("many", ten)):
            blocked = many("path", "not", patterns)
            yield Shape(f"path not, {which}: {name}", blocked, world.read(path), facts)
        last = [f"**/{star}/*z*/**"] * (floats // 4)
        admitted = many("path", "in", last)
        yield Shape(f"path in, at the last place: {name}", admitted, world.read(path + "z"), facts)
        plain = filled(lambda i: ["path", "not", [f"/{'/'.join([star] * 8)}/x{i}"]])
        yield Shape(f"path not, anchored: {name}", plain, world.read(path), facts)
    segments = "a/" * limits.PATH_SEGMENTS + "a"
    long = "a" * limits.PATH_CHARS
    for which, patterns in (("few", few), ("many", ten), ("anchored", fixed)):
        for name, value in (("64 segments", segments), ("one segment", long)):
            push = world.push(value)
            yield Shape(f"ref {which}: {name}", many("ref", "not", patterns), push, facts)
            tool = world.read(tool=value)
            yield Shape(f"tool {which}: {name}", many("tool", "not", patterns), tool, facts)
    inner = [f"*{'a' * 20}b*{'a' * 20}*c{i}" for i in range(64)]
    yield Shape("ref, stars in one segment", many("ref", "not", inner), world.push(long), facts)
    argv = world.bash(*["a b/c"] * (limits.ARGV_WORDS // 3))
    words = [["a", "c", f"w{i}"] for i in range(64)]
    yield Shape("cmd not, a thousand words", many("cmd", "not", words), argv, facts)
    hosts = [f"*.a{i}.example" for i in range(64)]
    host = world.fetch(".".join(["a" * 49] * 5))
    yield Shape("host not", many("host", "not", hosts), host, facts)


# Chains -----------------------------------------------------------------------------------------


def chains() -> Iterator[Shape]:
    """64 caveats of each kind, delegations good and bad, arguments nested as deep as they go."""
    kinds: dict[str, Callable[[int], list[Any]]] = {
        "exp": lambda i: ["exp", world.NOW + 1 + i],
        "cap": lambda i: ["cap", dict.fromkeys(names.OPERATIONS[: i % 8], "always")],
        "budget": lambda i: ["budget", "calls", 10 + i],
        "link": lambda i: ["link", world.hex16(str(i))],
        "approve": lambda i: ["approve", ["git_push", "run_bash"]],
        "tool": lambda i: ["tool", "in", ["fs.read"]],
        "arg": lambda i: ["arg", "*", {"/path": ["one-of", list(range(i % 20))]}],
    }
    for name, make in kinds.items():
        text = filled(make)
        yield Shape(f"chain: {name}", text, world.read(), world.facts(text))
    marks = [["tool", "in", ["\u0315\u0300" * 490]]] * 2
    token = world.mint()
    for name, raw in (
        ("combining marks", [_spelled(m) for m in marks]),
        ("brackets", [b"[" * 2048] * 2),
        ("nested", [b"[" * 1024 + b"]" * 1024] * 2),
        ("digits", [b"9" * 2048] * 2),
        ("64 unknown", [b'["x"]'] * 64),
    ):  # fmt: skip
        forged = world.text(world.forge(token, *raw))
        yield Shape(f"chain: {name}", forged, world.read(), world.facts())
    pointer = "/a" * 60
    value: dict[str, Any] | None = None
    for _ in range(60):
        value = {"a": value}
    rules = {pointer[: 2 * n]: ["any"] for n in range(46, 61)}
    text = filled(lambda _: ["arg", "fs.read", rules])
    deep = world.call("fs.read", "read_files", value)
    yield Shape("chain: deep arguments", text, deep, world.facts())
    yield from _hops()


def _spelled(value: list[Any]) -> bytes:
    """Without looking at what no verifier accepts."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _hops() -> Iterator[Shape]:
    token = world.mint(depth=limits.DEPTH)
    holders = ["agent", *(f"hop {i}" for i in range(limits.DEPTH))]
    for i in range(limits.DEPTH):
        token = world.hand(token, holders[i], holders[i + 1], depth=limits.DEPTH - 1 - i)
    facts = world.facts(channel="carried")
    call = world.read()
    yield Shape("8 hops, request and proof", world.request(token, call, holders[-1]), call, facts)
    stranger = world.request(token, call, "stranger")
    yield Shape("8 hops, another's proof", stranger, call, facts)
    bad = world.hand(world.mint(depth=8), "stranger", "sub", depth=7)
    yield Shape("a hop by a stranger", world.text(bad), call, facts)


# Approvals --------------------------------------------------------------------------------------


def asked() -> Iterator[Shape]:
    """As many long approvals as are looked at, signed by an approver and by nobody."""
    token = world.narrow(world.mint(), ["approve", ["read_files"]])
    text = world.text(token)
    call = world.read("/" + "/".join([*["a"] * (limits.PATH_SEGMENTS - 1), "z"]))
    # Each matches, at the last place where it is tried: a conjunction stops at what does not.
    last = "**/*a*/*a*/*a*/*z*/**"
    pattern = [["path", "in", [last]]] * (limits.PATTERN_FLOATING // floating(last))
    data = world.approve(text, pattern, ["op:read_files"])
    most = limits.APPROVALS_PER_CALL
    facts = world.facts(text, approvals=(data,) * most)
    yield Shape("approvals, signed, heavy patterns", text, call, facts)
    unsigned = dataclasses.replace(
        facts, approvals=(bytes(64) + data[64:],) * limits.APPROVALS_PER_CALL
    )
    yield Shape("approvals, unsigned", text, call, unsigned)
    nested = dataclasses.replace(
        facts, approvals=(bytes(64) + b"[" * 4000,) * limits.APPROVALS_PER_CALL
    )
    yield Shape("approvals, brackets", text, call, nested)


# The clock --------------------------------------------------------------------------------------


def measured(shape: Shape, rounds: int) -> Row:
    """Median, and the slowest round as `high`."""
    taken = []
    decide(shape.credential, shape.call, shape.facts)
    for _ in range(rounds):
        gc.collect()
        began = time.thread_time_ns()
        decide(shape.credential, shape.call, shape.facts)
        taken.append((time.thread_time_ns() - began) / 1000)
    return Row(shape.name, statistics.median(taken), None, TARGET, min(taken), max(taken))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and report."""
    parser = harness.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how often each input is judged")
    options = parser.parse_args(argv)
    rows = sorted(
        (measured(shape, options.rounds) for shape in shapes()), key=lambda r: -r.microseconds
    )
    text = "## The dearest inputs\n\n" + harness.table(rows[:20], "input", "CPU µs, nothing cached")
    data = {"machine": harness.machine(), "rows": harness.as_json(rows)}
    harness.publish("worst", text, data, options.json, options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Law: what a token costs, beside pymacaroons on the same bytes and beside its peers.

    tokens.py [--json] [--rounds N] [--write [FILE]]

Every row that has a target names it; a target that is missed is printed as missed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

if not __package__:  # run as a file: its own directory would shadow other packages
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench import harness, peers, world
from bench.harness import Operation, Row, Samples
from bench.world import PEER, World
from nucleus_tokens import chain, crypto, holding, writing
from nucleus_tokens.header import Holder

BASE: Final = "pymacaroons on the same bytes"
BASE_REQUEST: Final = "pymacaroons on the same bytes, request included"
BASE_ATTENUATE: Final = "pymacaroons attenuates the same bytes"
HEADER_SEEN: Final = "header seen before, caveats not"
NOTHING_CACHED: Final = "nothing cached"
HOP: Final = "header seen before, one delegation among the caveats"
REQUEST: Final = "per-request token, prefix cached"
PROOF: Final = "per-request token, prefix cached, holder proof"
AUTHENTICATED: Final = "repeated token, to the authenticated credential"
REPEATED: Final = "repeated token, to the decision"
ATTENUATE: Final = "attenuate, text to text"
SINGLE_RUNS: Final = 4000


def shown(texts: Sequence[str]) -> Callable[[int], Sequence[world.Shown]]:
    """The texts in turn, each with a call of its own."""
    take = harness.cycling(texts)
    return lambda count: [(text, world.call()) for text in take(count)]


def _sure(operation: Operation, right: Callable[[Any], bool]) -> Operation:
    """The operation, once it was seen to give the right answer."""
    (value,) = operation.inputs(1)
    answer = operation.run(value)
    if not right(answer):
        raise AssertionError(f"{operation.name}: {answer!r}")
    return operation


def operations() -> list[Operation]:
    """All of the first table."""
    agent, sub = os.urandom(32), os.urandom(32)
    keyed = World(Holder(None, crypto.public_of(agent)))
    peered = World(Holder(PEER, None))
    plain = keyed.tokens()
    texts = [writing.write_credential(token) for token in plain]
    hops = [
        writing.write_credential(
            holding.delegate(
                token, agent, to="sub", key=crypto.public_of(sub), purpose="bench", depth=1
            )
        )
        for token in plain
    ]
    proven = world.requests(plain[0], agent)
    prefix = peered.tokens()[0]
    bound = world.requests(prefix, None)

    knows_prefix, knows_peered, knows_all = keyed.warm(), peered.warm(), keyed.warm()
    knows_prefix.authenticate(texts[0])
    knows_peered.authenticate(writing.write_credential(prefix))
    knows_all.authenticate(texts[0])
    judge = keyed.judge

    decisions = [
        Operation(HEADER_SEEN, judge(keyed.warm(), keyed.held), shown(texts)),
        Operation(NOTHING_CACHED, keyed.judge_cold, shown(texts)),
        Operation(HOP, judge(keyed.warm(), keyed.held), shown(hops)),
        Operation(REQUEST, peered.judge(knows_peered, peered.carried), shown(bound)),
        Operation(PROOF, judge(knows_prefix, keyed.carried), shown(proven)),
        Operation(REPEATED, judge(knows_all, keyed.held), shown(texts[:1])),
    ]
    theirs = world.pymacaroons_judges
    baselines = [
        Operation(BASE, theirs(keyed.root_key), shown(texts)),
        Operation(BASE_REQUEST, theirs(peered.root_key), shown(bound)),
    ]
    rest = [
        Operation(AUTHENTICATED, knows_all.authenticate, harness.constantly(texts[0])),
        Operation(ATTENUATE, world.nucleus_attenuates, harness.cycling(texts)),
        Operation(BASE_ATTENUATE, world.pymacaroons_attenuates, harness.cycling(texts)),
    ]
    body = len(chain.PREFIX)
    mine, other = world.nucleus_attenuates(texts[0]), world.pymacaroons_attenuates(texts[0])
    if mine[body:] != other.rstrip("="):
        raise AssertionError("the two attenuations differ")
    for operation in decisions:
        _sure(operation, world.allowed)
    for operation in baselines:
        _sure(operation, lambda answer: answer is True)
    return decisions + baselines + rest


def rows(samples: Samples) -> list[Row]:
    """The first table, in the order of the targets."""
    return [
        samples.row(BASE, BASE),
        samples.row(HEADER_SEEN, BASE, 0.35),
        samples.row(NOTHING_CACHED, BASE, 1.4),
        samples.row(REQUEST, BASE, 0.22),
        samples.row(BASE_REQUEST, BASE),
        samples.row(PROOF, BASE),
        samples.difference("… of which one holder proof", PROOF, REQUEST, BASE, 0.6),
        samples.row(HOP, BASE),
        samples.difference("… of which one cold delegation", HOP, HEADER_SEEN, BASE, 0.6),
        samples.row(AUTHENTICATED, BASE),
        samples.row(REPEATED, BASE, 0.03),
        samples.row(BASE_ATTENUATE, BASE_ATTENUATE),
        samples.row(ATTENUATE, BASE_ATTENUATE, 0.15),
    ]


def tail() -> list[Row]:
    """Single decisions on a token of twenty caveats, in microseconds: at most 1,000 at p99."""
    here = World(Holder(None, None))
    texts = [writing.write_credential(token) for token in here.tokens(world.twenty)]
    made = []
    for name, run in (
        (NOTHING_CACHED, here.judge_cold),
        (HEADER_SEEN, here.judge(here.warm(), here.held)),
    ):
        operation = _sure(Operation(name, run, shown(texts)), world.allowed)
        harness.one_by_one(operation, 200)
        taken = harness.one_by_one(operation, SINGLE_RUNS)
        for label, part, target in (("p50", 0.5, None), ("p99", 0.99, 1000.0)):
            value = harness.percentile(taken, part)
            made.append(Row(f"20 caveats, {name}, {label}", value, None, target))
    return made


def report(main: list[Row], single: list[Row], beside: list[Row], notes: Sequence[str]) -> str:
    """The section of docs/benchmarks.md."""
    parts = [
        "## Tokens",
        f"{harness.described()} Microseconds of CPU time of the thread, medians over rounds in "
        "which every operation ran once, in shuffled order, in one process. Ratios are between "
        "such medians; they move less between machines than the times do.",
        "Unless a row says otherwise: from text to decision, five caveats (an expiry, two tool "
        "lists, two path prefixes), each call new. The baseline verifies the same bytes and "
        "evaluates the same typed caveats with the same code, given the root key; it knows no "
        "signed header, no seal, no revocation, no levels, no flow and no gate.",
        harness.table(main, "operation", "µs (median)", "× pymacaroons"),
        "Single decisions, the garbage collector at work:",
        harness.table(single, "one decision", "µs"),
        "### Peers, on tokens of equal content",
        "The five constraints in each library's own language, from text to decision, then one "
        "narrowing from text to text. What each of them checks differs: a peer with a signature "
        "pays for one, and a peer that proves the holder pays for two.",
        harness.table(beside, "operation", "µs (median)", "× pymacaroons"),
        *(f"Not measured: {note}." for note in notes),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and perhaps write; 0 also when a target is missed: a run is no test."""
    options = harness.parser(__doc__, 101).parse_args(argv)

    found, notes = peers.load()
    ours = operations()
    samples = harness.measure([*ours, *(o for p in found for o in p.operations)], options.rounds)
    main_rows, single = rows(samples), tail()
    beside = [samples.row(BASE, BASE), samples.row(HEADER_SEEN, BASE)]
    beside += [samples.row(p.authorize.name, BASE) for p in found]
    beside += [samples.row(BASE_ATTENUATE, BASE_ATTENUATE), samples.row(ATTENUATE, BASE_ATTENUATE)]
    beside += [samples.row(p.attenuate.name, BASE_ATTENUATE) for p in found if p.attenuate]
    data = {
        "machine": harness.machine(),
        "rounds": options.rounds,
        "rows": harness.as_json(main_rows),
        "single": harness.as_json(single),
        "peers": harness.as_json(beside),
        "not_measured": notes,
    }
    text = report(main_rows, single, beside, notes)
    harness.publish("tokens", text, data, options.json, options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())

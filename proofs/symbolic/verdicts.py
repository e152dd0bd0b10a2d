"""Law: any deny beats any ask, any ask beats allow, and nothing that narrows, exposes or worsens
ever moves a verdict upward."""

from proofs.symbolic import spec as S
from proofs.symbolic.machine import Expr
from proofs.symbolic.solver import z3
from proofs.symbolic.suite import Suite

NUMBERS = {
    "DENY": 0, "ASK": 1, "ALLOW": 2, "DENY_LEVEL": 1, "DENY_SECRET": 2, "DENY_DECLASSIFY": 4,
    "ASK_STATIC": 1, "ASK_INPUTS": 2, "ASK_PAYLOAD": 4, "ASK_GATE": 8,
}  # fmt: skip


def table(s: Suite) -> None:
    k = s.kernel
    level, denied, asked, discharged, more = s.bits(
        "level", "denied", "asked", "discharged", "more"
    )
    secret, bad = s.truths("secret", "bad")
    for name, value in NUMBERS.items():
        s.law(f"{name} is {value}", z3.BoolVal(k.number(f"verdict.{name}") == value))
    d = k("verdict.denials", level, secret, bad)
    s.law(
        "A call is denied for its level, for a secret on its way out, for a bad release",
        z3.And(
            S.within(d, 3),
            S.bit(d, 0) == z3.Not(z3.Or(level == 1, level == 2)),
            S.bit(d, 1) == secret,
            S.bit(d, 2) == bad,
        ),
        [s.any(level)],
    )
    names = ("static", "gate", "payload", "reversible", "evidence", "by_evidence")
    static, gate, payload, reversible, evidence, by_evidence = s.truths(*names)
    flags = (static, gate, payload, reversible, evidence, by_evidence)
    q = k("verdict.asks", level, *flags)
    unanswered = z3.Not(z3.And(by_evidence, evidence))
    s.law(
        "A call is asked about for exactly the four reasons, each on its own",
        z3.And(
            S.within(q, 4),
            S.bit(q, 0) == static,
            S.bit(q, 1) == z3.And(level < 2, z3.Not(evidence)),
            S.bit(q, 2) == z3.And(z3.Not(payload), z3.Not(reversible), unanswered),
            S.bit(q, 3) == z3.And(gate, unanswered),
        ),
        [s.any(level)],
    )
    s.law(
        "Evidence never answers for a static obligation",
        z3.Implies(static, S.bit(q, 0)),
        [s.any(level)],
    )
    v = k("verdict.verdict", denied, asked, discharged)
    s.law(
        "Any denial denies, whatever is discharged",
        z3.Implies(denied != 0, v == 0),
        [s.any(denied, asked, discharged)],
    )
    s.law(
        "Fail closed: allow only with nothing denied and every ask discharged",
        z3.And(
            (v == 2)
            == z3.And(
                denied == 0, *[z3.Implies(S.bit(asked, i), S.bit(discharged, i)) for i in range(96)]
            ),
            v >= 0,
            v <= 2,
            (v == 0) == (denied != 0),
        ),
        [s.any(denied, asked, discharged)],
    )
    s.law(
        "A verdict is antitone in reasons and monotone in discharges",
        z3.And(
            k("verdict.verdict", denied | more, asked, discharged) <= v,
            k("verdict.verdict", denied, asked | more, discharged) <= v,
            k("verdict.verdict", denied, asked, discharged | more) >= v,
        ),
        [s.any(denied, asked, discharged, more)],
    )


def call(s: Suite, tag: str) -> dict[str, Expr]:
    """Everything one call is judged by."""
    bits = S.words("caps obligations exposure projected label discharged")
    made = dict(zip(bits, s.bits(*[x + tag for x in bits]), strict=True))
    made |= dict(zip(("op", "sink"), s.bits("op", "sink"), strict=True))
    times = ("observed", "ttl", "now")
    made |= dict(zip(times, s.amounts(*[x + tag for x in times]), strict=True))
    truths = ("bad", "evidence", "by_evidence")
    return made | dict(zip(truths, s.truths(*[x + tag for x in truths]), strict=True))


def judged(s: Suite, c: dict[str, Expr]) -> Expr:
    order = ("caps obligations op exposure projected label sink observed ttl now bad evidence "
             "by_evidence discharged")  # fmt: skip
    return s.kernel("session.judge", *[c[name] for name in S.words(order)])


def well_formed(s: Suite, c: dict[str, Expr]) -> list[Expr]:
    return [
        S.capability(c["caps"]),
        S.operations(c["obligations"]),
        S.exposure(c["exposure"]),
        S.exposure(c["projected"]),
        S.label(c["label"]),
        s.any(c["op"], c["sink"], c["discharged"]),
    ]


def judgement(s: Suite) -> None:
    k = s.kernel
    c = call(s, "")
    given = well_formed(s, c)
    op, sink, e = c["op"], c["sink"], c["exposure"]
    known = z3.Or(*[op == i for i in S.DIMENSIONS])
    is_sink = z3.Or(*[sink == i for i in range(len(S.SINKS))])
    at = S.lookup(op, [0] * 13, 0)
    for i in S.DIMENSIONS:
        at = z3.If(op == i, S.level(c["caps"], i), at)
    held = z3.Or(
        z3.Not(known), *[z3.And(op == i, S.bit(c["obligations"], i)) for i in S.DIMENSIONS]
    )
    way_out = z3.Or(z3.Not(is_sink), S.among(sink, S.EXFIL_SINKS, S.SINKS))
    denied = k("verdict.denied_for", c["caps"], op, c["label"], sink, c["bad"])
    s.law(
        "A call is denied for its level, a secret on its way out, a bad release, an unknown sink",
        z3.And(
            S.within(denied, 4),
            S.bit(denied, 0) == (at == 0),
            S.bit(denied, 2) == c["bad"],
            S.bit(denied, 1) == z3.And(S.conf(c["label"]) == 2, way_out),
            S.bit(denied, 3) == z3.Not(is_sink),
        ),
        given,
    )
    fits = k("flow.meets", c["label"], sink, c["observed"], c["ttl"], c["now"])
    gate = z3.And(
        *[z3.Or(S.bit(e, i), S.bit(c["projected"], i)) for i in range(3)], S.bit(c["projected"], 2)
    )
    asked = k(
        "verdict.asked_for",
        c["caps"],
        c["obligations"],
        op,
        e,
        c["projected"],
        fits,
        sink,
        c["evidence"],
        c["by_evidence"],
    )
    unanswered = z3.Not(z3.And(c["evidence"], c["by_evidence"]))
    s.law(
        "A call is asked about for what is owed, its level, its payload and the gate",
        z3.And(
            S.within(asked, 4),
            S.bit(asked, 0) == held,
            S.bit(asked, 1) == z3.And(at < 2, z3.Not(c["evidence"])),
            S.bit(asked, 2)
            == z3.And(z3.Not(fits), z3.Not(S.among(sink, S.REVERSIBLE_SINKS, S.SINKS)), unanswered),
            S.bit(asked, 3) == z3.And(gate, unanswered),
        ),
        given,
    )
    v = judged(s, c)
    clear = z3.And(*[z3.Implies(S.bit(asked, i), S.bit(c["discharged"], i)) for i in range(4)])
    s.law(
        "The verdict is deny if anything denies, allow if nothing asks, else ask",
        v == z3.If(denied != 0, S.n(0), z3.If(clear, S.n(2), S.n(1))),
        given,
    )
    s.law(
        "Fail closed: an unknown operation or sink, a secret leaving, a bad release: denied",
        z3.Implies(
            z3.Or(
                z3.Not(known), z3.Not(is_sink), c["bad"], z3.And(S.conf(c["label"]) == 2, way_out)
            ),
            v == 0,
        ),
        given,
    )
    s.law(
        "The gate is complete: no way out is allowed into the uninhabitable state without an "
        "approval or, where policy says so, evidence on every selector",
        z3.Implies(z3.And(v == 2, gate, unanswered), S.bit(c["discharged"], 3)),
        given,
    )
    s.law(
        "The gate is complete under gate = approval: no evidence opens it",
        z3.Implies(z3.And(v == 2, gate, z3.Not(c["by_evidence"])), S.bit(c["discharged"], 3)),
        given,
    )
    s.law(
        "What a person must answer is never allowed without that answer",
        z3.Implies(z3.And(v == 2, held), S.bit(c["discharged"], 0)),
        given,
    )


def monotone(s: Suite) -> None:
    worse, better = call(s, "_worse"), call(s, "_better")
    given = well_formed(s, worse) + well_formed(s, better)
    down = {
        "caps": worse["caps"] & ~better["caps"] == 0,
        "obligations": better["obligations"] & ~worse["obligations"] == 0,
        "exposure": better["exposure"] & ~worse["exposure"] == 0,
        "projected": better["projected"] & ~worse["projected"] == 0,
        "label": better["label"] & ~worse["label"] == 0,
        "discharged": worse["discharged"] & ~better["discharged"] == 0,
        "bad": z3.Implies(better["bad"], worse["bad"]),
        "evidence": z3.Implies(worse["evidence"], better["evidence"]),
        "by_evidence": z3.Implies(worse["by_evidence"], better["by_evidence"]),
    }
    age = [better[t] == worse[t] for t in ("observed", "ttl")] + [better["now"] <= worse["now"]]
    low, high = judged(s, worse), judged(s, better)
    words = {"caps": "down the chain", "exposure": "in exposure", "projected": "in projection",
             "label": "in taint", "obligations": "in obligations",
             "discharged": "in discharges"}  # fmt: skip
    for name, word in words.items():
        same = [worse[x] == better[x] for x in worse if x != name]
        s.law(f"The verdict is monotone {word}", low <= high, [*given, *same, down[name]])
    s.law(
        "The verdict is monotone in everything at once: chain, exposure, projection, taint, age, "
        "obligations, releases, evidence, policy and discharges",
        low <= high,
        [*given, *down.values(), *age],
    )
    s.law(
        "The semantic ceiling: with the same facts and discharges what a child is allowed its "
        "parent is, and what a child is allowed or asked its parent is",
        z3.And(z3.Implies(low == 2, high == 2), z3.Implies(low >= 1, high >= 1)),
        [
            *given,
            down["caps"],
            down["obligations"],
            *[worse[x] == better[x] for x in worse if x not in ("caps", "obligations")],
        ],
    )
    free = judged(s, better | {"discharged": s.bits("other")[0]})
    s.law(
        "Allowed or asked goes down the chain whatever is discharged",
        z3.Implies(low >= 1, free >= 1),
        [*given, s.any(*s.bits("other")), *[f for n, f in down.items() if n != "discharged"], *age],
    )


CLAIMS = (table, judgement, monotone)

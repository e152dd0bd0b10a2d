"""Law: every sink has the row the text gives it, and the six rules, the ceiling and the first
broken rule are one and the same statement."""

from proofs.symbolic import spec as S
from proofs.symbolic.machine import Expr
from proofs.symbolic.solver import z3
from proofs.symbolic.suite import Suite

RULES = (
    "SECRET_EXFIL",
    "AUTHORITY_TOO_LOW",
    "INTEGRITY_TOO_LOW",
    "WEB_EXFIL",
    "STALE",
    "UNVERIFIED",
)


def sinks(s: Suite) -> None:
    k = s.kernel
    sink, op = s.bits("sink", "op")
    wide = [s.any(sink, op)]
    is_sink = z3.Or(*[sink == i for i in range(len(S.SINKS))])

    def among(names: list[str]) -> Expr:
        return S.among(sink, names, S.SINKS)

    others = {"GIT_COMMIT_SINK": "git_commit", "GIT_PUSH_SINK": "git_push"}
    for i, name in enumerate(S.SINKS):
        constant = next((c for c, n in others.items() if n == name), name.upper())
        s.law(f"Sink {i} is {name}", z3.BoolVal(k.number(f"sinks.{constant}") == i))
    s.law(
        "There are nineteen sinks, and the unknown one is none of them",
        z3.And(
            z3.BoolVal(k.number("sinks.SINK_COUNT") == 19),
            z3.BoolVal(k.number("sinks.UNKNOWN_SINK") == 31),
            k("sinks.known_sink", sink) == is_sink,
        ),
        wide,
    )
    s.law(
        "A sink is a way out if its row says so or it has no row",
        k("sinks.exfil", sink) == z3.Or(z3.Not(is_sink), among(S.EXFIL_SINKS)),
        wide,
    )
    s.law(
        "A sink needs a suggestive author unless it is open to all",
        k("sinks.required_authority", sink) == z3.If(among(S.OPEN_SINKS), S.n(0), S.n(2)),
        wide,
    )
    s.law(
        "A sink needs the integrity of its row, a sink without row trusted values",
        k("sinks.required_integrity", sink)
        == z3.If(
            among(S.OPEN_SINKS),
            S.n(0),
            z3.If(z3.Or(z3.Not(is_sink), among(S.TRUSTED_SINKS)), S.n(2), S.n(1)),
        ),
        wide,
    )
    s.law(
        "A sink takes verified values only if its row says so or it has no row",
        k("sinks.requires_verified", sink) == z3.Or(z3.Not(is_sink), among(S.VERIFIED_SINKS)),
        wide,
    )
    s.law(
        "A sink is reversible exactly if it is listed",
        k("sinks.reversible", sink) == among(S.REVERSIBLE_SINKS),
        wide,
    )
    s.law(
        "What is reversible is known and no way out",
        z3.Implies(k("sinks.reversible", sink), z3.And(is_sink, z3.Not(k("sinks.exfil", sink)))),
        wide,
    )
    s.law(
        "An operation's own sink is that of its row, and an unknown operation's is unknown",
        k("flow.default_sink", op)
        == S.lookup(op, [S.SINKS.index(name) for name in S.DEFAULT_SINKS], 31),
        wide,
    )


def rules(s: Suite) -> None:
    k = s.kernel
    a, b, sink, failures = s.bits("a", "b", "sink", "failures")
    observed, ttl, now = s.amounts("observed", "ttl", "now")
    is_sink = z3.Or(*[sink == i for i in range(len(S.SINKS))])

    def among(names: list[str]) -> Expr:
        return S.among(sink, names, S.SINKS)

    given = [S.label(a), s.any(sink)]
    for i, name in enumerate(RULES):
        s.law(f"Rule {i + 1} is the bit {name}", z3.BoolVal(k.number(f"sinks.{name}") == 1 << i))
    stale = z3.And(ttl != 0, now > observed + ttl)
    needed = z3.If(among(S.TRUSTED_SINKS), S.n(2), z3.If(among(S.OPEN_SINKS), S.n(0), S.n(1)))
    broken = (
        z3.And(S.conf(a) == 2, among(S.EXFIL_SINKS)),
        z3.And(S.authority(a) < 2, z3.Not(among(S.OPEN_SINKS))),
        S.integ(a) < needed,
        z3.And(S.source(a, 2), among(S.EXFIL_SINKS)),
        stale,
        z3.And(among(S.VERIFIED_SINKS), S.derivation(a) != 0, S.derivation(a) != 2),
    )
    got = k("sinks.flow_failures", a, sink, observed, ttl, now)
    s.law(
        "The broken rules are exactly the six of the text, and all at a sink nobody knows",
        z3.And(
            S.within(got, 6),
            *[S.bit(got, i) == z3.Or(z3.Not(is_sink), rule) for i, rule in enumerate(broken)],
        ),
        given,
    )
    s.law(
        "A secret on its way out is the first rule, on any number",
        k("sinks.secret_to_exfil", a, sink)
        == z3.And(S.bit(a, 1), z3.Or(z3.Not(is_sink), among(S.EXFIL_SINKS))),
        [s.any(a, sink)],
    )
    meets = k("flow.meets", a, sink, observed, ttl, now)
    s.law("A value meets its sink exactly if it breaks no rule", meets == (got == 0), given)
    ceiling = k("flow.ceiling", sink)
    s.law(
        "A sink's ceiling is a label; where the sink is unknown, the cleanest",
        z3.And(S.label(ceiling), z3.Implies(z3.Not(is_sink), ceiling == 0)),
        [s.any(sink)],
    )
    s.law(
        "Meeting a sink is flowing to its ceiling while fresh",
        meets == z3.And(is_sink, k("labels.flows_to", a, ceiling), z3.Not(stale)),
        given,
    )
    s.law(
        "The flow check is antitone: a worse label never fits where a cleaner one did not",
        z3.Implies(z3.And(a & ~b == 0, k("flow.meets", b, sink, observed, ttl, now)), meets),
        [*given, S.label(b)],
    )
    first = k("flow.first_rule", failures)
    s.law(
        "The first rule is the lowest of the set, and none of the empty set",
        z3.And(
            *[
                z3.Implies(
                    z3.And(S.bit(failures, i), *[z3.Not(S.bit(failures, j)) for j in range(i)]),
                    first == i + 1,
                )
                for i in range(6)
            ],
            (first == 0) == (failures == 0),
        ),
        [S.within(failures, 6)],
    )
    s.law(
        "The check names the first broken rule",
        k("flow.check_flow", a, sink, observed, ttl, now) == k("flow.first_rule", got),
        given,
    )
    s.law(
        "The check passes exactly where the value meets its sink",
        (k("flow.check_flow", a, sink, observed, ttl, now) == 0) == meets,
        given,
    )


CLAIMS = (sinks, rules)

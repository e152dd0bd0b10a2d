"""Law: mixing values collects defects on every axis, and never loses one."""

from proofs.symbolic import spec as S
from proofs.symbolic.machine import Expr
from proofs.symbolic.solver import z3
from proofs.symbolic.suite import Suite

LEVELS = {
    "PUBLIC": 0, "INTERNAL": 1, "SECRET": 2, "ADVERSARIAL": 0, "UNTRUSTED": 1, "TRUSTED": 2,
    "NO_AUTHORITY": 0, "INFORMATIONAL": 1, "SUGGESTIVE": 2, "DIRECTIVE": 3, "USER": 1, "TOOL": 2,
    "WEB": 4, "MEMORY": 8, "MODEL": 16, "SYSTEM": 32, "PROV_ALL": 63, "DETERMINISTIC": 0,
    "AI_DERIVED": 1, "HUMAN_PROMOTED": 2, "MIXED": 3, "OPAQUE_EXTERNAL": 4,
}  # fmt: skip


def joined_derivation(a: Expr, b: Expr) -> Expr:
    """Equal stays, deterministic is the unit, opaque absorbs, anything else is mixed."""
    return z3.If(
        a == b, a, z3.If(z3.Or(a == 4, b == 4), S.n(4), z3.If(a == 0, b, z3.If(b == 0, a, S.n(3))))
    )


def joins(s: Suite) -> None:
    k = s.kernel
    a, b, c = s.bits("a", "b", "c")
    wide, known = [s.any(a, b, c)], [S.label(x) for x in (a, b, c)]
    for name, value in LEVELS.items():
        s.law(f"{name} is {value}", z3.BoolVal(k.number(f"labels.{name}") == value))
    for name, indices in {
        "CONF": (0, 2),
        "INTEG": (2, 4),
        "AUTH": (4, 7),
        "PROV": (7, 13),
        "DERIV": (13, 16),
    }.items():
        mask = sum(1 << i for i in range(*indices))
        s.law(
            f"The axis {name} is its own bits", z3.BoolVal(k.number(f"labels.{name}_MASK") == mask)
        )
    s.law(
        "The cleanest label, the worst, and the one of a value nobody labelled",
        z3.And(
            z3.BoolVal(k.number("labels.BOTTOM") == 0),
            z3.BoolVal(k.number("labels.TOP") == 2**16 - 1),
            S.described(
                S.n(k.number("labels.DEFAULT")),
                S.n(0),
                S.n(1),
                S.n(0),
                [z3.BoolVal(False)] * 6,
                S.n(0),
            ),
        ),
    )
    s.law(
        "A number is a label exactly if every axis is one of its levels",
        k("labels.valid", a) == S.label(a),
        wide,
    )
    join = k.word("labels.join")
    flows = k.word("labels.flows_to")
    s.law(
        "Joining labels is a semilattice with the cleanest label as unit",
        z3.And(
            join(a, b) == join(b, a),
            join(join(a, b), c) == join(a, join(b, c)),
            join(a, a) == a,
            join(a, S.n(0)) == a,
            flows(join(a, b), c) == z3.And(flows(a, c), flows(b, c)),
        ),
        wide,
    )
    j = join(a, b)
    s.law(
        "A join is the worse level on every axis",
        S.described(
            j,
            S.most(S.conf(a), S.conf(b)),
            S.least(S.integ(a), S.integ(b)),
            S.least(S.authority(a), S.authority(b)),
            [z3.Or(S.source(a, i), S.source(b, i)) for i in range(6)],
            joined_derivation(S.derivation(a), S.derivation(b)),
        ),
        known,
    )
    s.law(
        "Secret absorbs, adversarial absorbs, opaque absorbs",
        z3.And(
            z3.Implies(S.conf(a) == 2, S.conf(j) == 2),
            z3.Implies(S.integ(a) == 0, S.integ(j) == 0),
            z3.Implies(S.derivation(a) == 4, S.derivation(j) == 4),
        ),
        known,
    )
    s.law(
        "No silent cleansing: a join is never cleaner than either part",
        z3.And(flows(a, j), flows(b, j)),
        wide,
    )
    s.law(
        "A value may flow exactly where no axis is worse than accepted",
        flows(a, b)
        == z3.And(
            S.conf(a) <= S.conf(b),
            S.integ(a) >= S.integ(b),
            S.authority(a) >= S.authority(b),
            *[z3.Implies(S.source(a, i), S.source(b, i)) for i in range(6)],
            joined_derivation(S.derivation(a), S.derivation(b)) == S.derivation(b),
        ),
        known,
    )
    for name in ("conf", "integ", "authority", "derivation"):
        s.law(
            f"{name} reads its axis, on any number",
            k(f"labels.{name}", a) == getattr(S, name)(a),
            wide,
        )
    sources = k("labels.provenance", a)
    s.law(
        "Provenance is the set of the six sources",
        z3.And(S.within(sources, 6), *[S.bit(sources, i) == S.source(a, i) for i in range(6)]),
        wide,
    )
    observed, ttl, now = s.amounts("observed", "ttl", "now")
    s.law(
        "A value has expired once its time to live, from when it was seen, is over; 0 is for ever",
        k("labels.expired", observed, ttl, now) == z3.And(ttl != 0, now > observed + ttl),
    )


CLAIMS = (joins,)

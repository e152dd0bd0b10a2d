"""Law: capabilities are thirteen independent levels under min and max; the static obligation is a
function of the ceiling, and not monotone."""

from collections.abc import Mapping

from nucleus_tokens import heyting as H
from nucleus_tokens import lattice as L
from proofs.symbolic import spec as S
from proofs.symbolic.solver import z3
from proofs.symbolic.suite import Suite


def lattice(s: Suite) -> None:
    k = s.kernel
    a, b, c, op, number = s.bits("a", "b", "c", "op", "level")
    caps = [S.capability(x) for x in (a, b, c)]
    s.law(
        "A number is valid exactly if it is thirteen levels and nothing else",
        k("lattice.valid", a) == S.capability(a),
        [s.any(a)],
    )
    for name, expected in {"DIMS": 13, "NEVER": 0, "LOW_RISK": 1, "ALWAYS": 2}.items():
        s.law(f"{name} is {expected}", z3.BoolVal(k.number(f"lattice.{name}") == expected))
    for i, name in enumerate(S.OPERATIONS):
        s.law(f"Operation {i} is {name}", z3.BoolVal(k.number(f"lattice.{name.upper()}") == i))
    for name, members in S.GROUPS.items():
        mask = S.n(k.number(f"lattice.{name}"))
        s.law(
            f"The group {name} is its operations at always",
            z3.And(
                S.within(mask, 26),
                *[S.level(mask, i) == 2 * (S.OPERATIONS[i] in members) for i in S.DIMENSIONS],
            ),
        )
    top, bottom = S.n(k.number("lattice.TOP")), S.n(k.number("lattice.BOTTOM"))
    s.law(
        "The top is always everywhere and the bottom is nothing",
        z3.And(
            S.capability(top),
            S.every(lambda i: S.level(top, i) == 2),
            bottom == 0,
            S.n(k.number("lattice.OPS")) == 2**13 - 1,
        ),
    )
    meet, join = k("lattice.meet", a, b), k("lattice.join", a, b)
    s.law(
        "Meet is the lesser level in every dimension",
        z3.And(
            S.capability(meet),
            S.every(lambda i: S.level(meet, i) == S.least(S.level(a, i), S.level(b, i))),
        ),
        caps[:2],
    )
    s.law(
        "Join is the greater level in every dimension",
        z3.And(
            S.capability(join),
            S.every(lambda i: S.level(join, i) == S.most(S.level(a, i), S.level(b, i))),
        ),
        caps[:2],
    )
    s.law(
        "One capability is within another exactly if every level is",
        k("lattice.leq", a, b) == S.every(lambda i: S.level(a, i) <= S.level(b, i)),
        caps[:2],
    )
    leq = k.word("lattice.leq")
    s.law(
        "The order is reflexive, antisymmetric and transitive",
        z3.And(
            leq(a, a),
            z3.Implies(z3.And(leq(a, b), leq(b, a)), a == b),
            z3.Implies(z3.And(leq(a, b), leq(b, c)), leq(a, c)),
        ),
        [s.any(a, b, c)],
    )
    s.law(
        "Meet is the greatest lower bound",
        leq(c, meet) == z3.And(leq(c, a), leq(c, b)),
        [s.any(a, b, c)],
    )
    s.law(
        "Join is the least upper bound",
        leq(join, c) == z3.And(leq(a, c), leq(b, c)),
        [s.any(a, b, c)],
    )
    s.law(
        "Meet distributes over join and each absorbs the other",
        z3.And(
            k("lattice.meet", a, k("lattice.join", b, c))
            == k("lattice.join", meet, k("lattice.meet", a, c)),
            k("lattice.meet", a, join) == a,
            k("lattice.join", a, meet) == a,
        ),
        [s.any(a, b, c)],
    )
    s.law(
        "An operation is known exactly if it is one of the thirteen",
        k("lattice.known", op) == z3.Or(*[op == i for i in S.DIMENSIONS]),
        [s.any(op)],
    )
    read = k("lattice.level_of", a, op)
    s.law(
        "An operation's level is read as it is written, whatever it is",
        S.every(lambda i: z3.Implies(op == i, read == S.level(a, i))),
        [S.capability(a)],
    )
    s.law(
        "An unknown operation, and a bare high bit, are never",
        z3.And(
            z3.Implies(z3.Not(z3.Or(*[op == i for i in S.DIMENSIONS])), read == 0),
            S.every(lambda i: z3.Implies(z3.And(op == i, z3.Not(S.bit(a, 2 * i))), read == 0)),
            read >= 0,
            read <= 2,
        ),
        [s.any(a, op)],
    )
    one = k("lattice.with_level", op, number)
    s.law(
        "One operation at one level is that and nothing else",
        z3.And(
            S.capability(one),
            S.every(
                lambda i: (
                    S.level(one, i)
                    == z3.If(z3.And(op == i, number >= 1, number <= 2), number, S.n(0))
                )
            ),
        ),
        [s.any(op, number)],
    )
    granted = k("lattice.granted", a)
    s.law(
        "The granted set is what is above never",
        z3.And(S.operations(granted), S.every(lambda i: S.bit(granted, i) == S.bit(a, 2 * i))),
        [s.any(a)],
    )
    s.law(
        "An operation needs a person if it is in the set or unknown",
        k("lattice.obliged", a, op)
        == z3.Or(
            z3.Not(z3.Or(*[op == i for i in S.DIMENSIONS])),
            *[z3.And(op == i, S.bit(a, i)) for i in S.DIMENSIONS],
        ),
        [s.any(a, op)],
    )


def static_obligation(s: Suite) -> None:
    k = s.kernel
    a, b, o, p = s.bits("a", "b", "o", "p")
    known = [S.capability(a), S.operations(o)]
    legs = z3.And(
        S.holds(a, S.GROUPS["READS"]), S.holds(a, S.GROUPS["NETWORK"]), S.holds(a, S.NU_EXFIL)
    )
    s.law(
        "ν fires exactly if private data, untrusted content and a way out are all granted",
        k("lattice.nu_fires", a) == legs,
        known[:1],
    )
    nu = k("lattice.nu", a, o)
    s.law(
        "ν adds exactly the granted ways out",
        z3.And(
            S.operations(nu),
            S.every(
                lambda i: (
                    S.bit(nu, i)
                    == z3.Or(
                        S.bit(o, i),
                        z3.And(legs, S.level(a, i) >= 1, z3.BoolVal(S.OPERATIONS[i] in S.NU_EXFIL)),
                    )
                )
            ),
        ),
        known,
    )
    s.law("ν is idempotent", k("lattice.nu", a, nu) == nu, [s.any(a, o)])
    s.law(
        "ν is deflationary: it only adds obligations",
        k("heyting.perm_leq", a, nu, a, o),
        [s.any(a, o)],
    )
    s.law(
        "For one ceiling ν is monotone in the obligations",
        z3.Implies(o & ~p == 0, nu & ~k("lattice.nu", a, p) == 0),
        [s.any(a, o, p)],
    )
    s.finds(
        "ν is NOT monotone: a smaller permission can owe less",
        [
            S.capability(a),
            S.capability(b),
            S.operations(o),
            S.operations(p),
            k("heyting.perm_leq", a, o, b, p),
            z3.Not(k("heyting.perm_leq", a, nu, b, k("lattice.nu", b, p))),
        ],
        nu_descends,
    )
    s.law(
        "Obligations computed once from the ceiling survive every narrowing",
        nu & ~(nu | p) == 0,
        [s.any(a, o, p)],
    )


def nu_descends(v: Mapping[str, int | bool]) -> bool:
    a, b, o, p = (int(v.get(name, 0)) for name in ("a", "b", "o", "p"))
    return H.perm_leq(a, o, b, p) and not H.perm_leq(a, L.nu(a, o), b, L.nu(b, p))


CLAIMS = (lattice, static_obligation)

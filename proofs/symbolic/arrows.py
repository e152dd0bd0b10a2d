"""Law: the arrow is the exact residue of meet, and what follows from it follows here too: groups,
conditions, the modal operators, the bridge between two domains."""

from functools import partial

from proofs.symbolic import spec as S
from proofs.symbolic.machine import Expr
from proofs.symbolic.solver import z3
from proofs.symbolic.suite import Suite


def arrow(s: Suite) -> None:
    k = s.kernel
    a, b, c, m, op, number = s.bits("a", "b", "c", "k", "op", "level")
    caps = [S.capability(x) for x in (a, b, c)]
    both = caps[:2]
    arrow = k("heyting.implies", a, b)

    def wanted(i: int) -> Expr:
        return z3.If(S.level(a, i) <= S.level(b, i), S.n(2), S.level(b, i))

    s.law(
        "The arrow is always where a is within b, and b elsewhere",
        z3.And(S.capability(arrow), S.every(lambda i: S.level(arrow, i) == wanted(i))),
        both,
    )
    s.law(
        "Heyting adjunction: c with a stays within b exactly if c is within a → b",
        k("lattice.leq", k("lattice.meet", c, a), b) == k("lattice.leq", c, arrow),
        caps,
    )
    neg = k("heyting.neg", a)
    s.law(
        "The complement is always where a is never, and never elsewhere",
        z3.And(
            S.capability(neg),
            S.every(lambda i: S.level(neg, i) == z3.If(S.level(a, i) == 0, S.n(2), S.n(0))),
        ),
        caps[:1],
    )
    s.law("Entailment is the order", k("heyting.entails", a, b) == k("lattice.leq", a, b), both)
    s.law(
        "The gap and the condition are the arrow",
        z3.And(
            k("heyting.permission_gap", a, b) == arrow,
            k("heyting.condition", a, b) == arrow,
            k("heyting.condition_satisfied", c, a, b) == k("lattice.leq", c, arrow),
        ),
        caps,
    )
    applied = k("heyting.condition_apply", c, a, b)
    s.law(
        "A condition gives what its consequence allows if its premise is held, else nothing",
        z3.And(
            S.capability(applied),
            S.every(
                lambda i: (
                    S.level(applied, i)
                    == z3.If(
                        S.every(lambda j: S.level(a, j) <= S.level(c, j)),
                        S.least(S.level(c, i), S.level(b, i)),
                        S.n(0),
                    )
                )
            ),
        ),
        caps,
    )
    put = k("heyting.set_level", a, op, number)
    s.law(
        "Setting one level changes that one only",
        z3.And(
            S.capability(put),
            S.every(
                lambda i: (
                    S.level(put, i)
                    == z3.If(
                        op == i,
                        z3.If(z3.And(number >= 1, number <= 2), number, S.n(0)),
                        S.level(a, i),
                    )
                )
            ),
        ),
        [*caps[:1], s.any(op, number)],
    )
    for name, members in {**S.GROUPS, "NONE": ()}.items():
        mask = S.n(k.number(f"lattice.{name}")) if members else S.n(0)
        inside = [name in members for name in S.OPERATIONS]
        only, into = k("heyting.project", a, mask), k("heyting.inject", a, b, mask)
        merged = k("heyting.merge_from", a, b, mask)
        s.law(
            f"Projecting, injecting and merging touch the group {name} only",
            z3.And(
                S.capability(only),
                S.capability(into),
                S.capability(merged),
                *[
                    z3.And(
                        S.level(only, i) == (S.level(a, i) if inside[i] else 0),
                        S.level(into, i) == S.level(b if inside[i] else a, i),
                        S.level(merged, i)
                        == (S.most(S.level(a, i), S.level(b, i)) if inside[i] else S.level(a, i)),
                    )
                    for i in S.DIMENSIONS
                ],
            ),
            both,
        )
    kept = (*S.GROUPS["READS"], *S.GROUPS["NETWORK"])
    locked = k("heyting.read_only", a)
    s.law(
        "The lockdown keeps reading and the web and nothing else",
        z3.And(
            S.capability(locked),
            S.every(
                lambda i: S.level(locked, i) == (S.level(a, i) if S.OPERATIONS[i] in kept else 0)
            ),
        ),
        caps[:1],
    )
    spread, box = k("heyting.spread", m), k("heyting.box", a, m)
    s.law(
        "A set spread out is its members at always",
        z3.And(
            S.capability(spread),
            S.every(lambda i: S.level(spread, i) == z3.If(S.bit(m, i), S.n(2), S.n(0))),
        ),
        [s.any(m)],
    )
    s.law(
        "Box keeps what no obligation stands on",
        z3.And(
            S.capability(box),
            S.every(lambda i: S.level(box, i) == z3.If(S.bit(m, i), S.n(0), S.level(a, i))),
        ),
        [caps[0], S.operations(m)],
    )
    s.law(
        "Box is deflationary and idempotent, diamond inflationary, each monotone",
        z3.And(
            box & ~a == 0,
            k("heyting.box", box, m) == box,
            a & ~k("heyting.diamond", a, b) == 0,
            k("heyting.diamond", a, b) == k("lattice.join", a, b),
            z3.Implies(
                a & ~b == 0,
                z3.And(
                    box & ~k("heyting.box", b, m) == 0,
                    k("heyting.diamond", a, c) & ~k("heyting.diamond", b, c) == 0,
                ),
            ),
        ),
        [*caps, s.any(m)],
    )
    s.law(
        "Escalation is needed exactly if the target is not within what is held",
        k("heyting.requires_escalation", a, b) == z3.Not(k("lattice.leq", b, a)),
        both,
    )


def galois(s: Suite) -> None:
    k = s.kernel

    def with_boundary(name: str, x: Expr) -> Expr:
        return k(f"heyting.{name}", x, m)

    a, b, m = s.bits("a", "b", "k")
    caps = [S.capability(x) for x in (a, b, m)]
    leq = k.word("lattice.leq")
    s.law(
        "Galois connection: α(a) is within b exactly if a is within γ(b)",
        leq(k("heyting.alpha", a, m), b) == leq(a, k("heyting.gamma", b, m)),
        caps,
    )
    for i, name in enumerate(("alpha", "gamma")):
        s.law(
            f"{'αγ'[i]} is monotone",
            z3.Implies(leq(a, b), leq(k(f"heyting.{name}", a, m), k(f"heyting.{name}", b, m))),
            caps,
        )
    for name, law in (("closure", "extensive"), ("kernel", "deflationary")):
        f = partial(with_boundary, name)
        moved = leq(a, f(a)) if name == "closure" else leq(f(a), a)
        s.law(
            f"The {name} is {law}, monotone and idempotent",
            z3.And(moved, f(f(a)) == f(a), z3.Implies(leq(a, b), leq(f(a), f(b)))),
            caps,
        )
    s.law(
        "The closure is γ after α and the kernel is α after γ",
        z3.And(
            k("heyting.closure", a, m) == k("heyting.gamma", k("heyting.alpha", a, m), m),
            k("heyting.kernel", a, m) == k("heyting.alpha", k("heyting.gamma", a, m), m),
        ),
        caps,
    )
    o, p, c, d = s.bits("o", "p", "c", "d")
    within = S.every(
        lambda i: z3.And(S.level(a, i) <= S.level(b, i), z3.Implies(S.bit(p, i), S.bit(o, i)))
    )
    s.law(
        "A permission is within another if its levels are and it owes all the other owes",
        k("heyting.perm_leq", a, o, b, p) == within,
        [*caps[:2], S.operations(o), S.operations(p)],
    )
    for name, short in (("chain_caps", z3.And), ("chain_obligations", z3.Or)):
        got = k(f"heyting.{name}", a, (b, c, d))
        s.law(
            f"{name} of three steps is each dimension's {'least' if short is z3.And else 'union'}",
            z3.And(
                *[S.bit(got, i) == short(*[S.bit(x, i) for x in (a, b, c, d)]) for i in range(72)],
                k(f"heyting.{name}", a, ()) == a,
            ),
            [s.any(a, b, c, d)],
        )


CLAIMS = (arrow, galois)

"""Law: amounts, hops and moments fail closed, and a session of any few steps is its folds; Coq
says the same of any number of steps."""

from proofs.symbolic import spec as S
from proofs.symbolic.machine import Expr
from proofs.symbolic.solver import z3
from proofs.symbolic.suite import Suite


def counts(s: Suite) -> None:
    k = s.kernel
    spent, cost, limit, old, new, nbf, exp, now, more = s.amounts(
        "spent", "cost", "limit", "old", "new", "nbf", "exp", "now", "more"
    )
    fits = k("verdict.budget_suffices", spent, cost, limit)
    s.law(
        "A cost fits exactly if neither it nor what is spent is negative and the sum is within",
        fits == z3.And(cost >= 0, spent >= 0, spent + cost <= limit),
    )
    s.law(
        "A cost that fits a lower limit, or after more was spent, fits",
        z3.Implies(
            z3.And(more >= 0, k("verdict.budget_suffices", spent + more, cost, limit - more)), fits
        ),
        [spent >= 0],
    )
    left = k("verdict.remaining", spent, limit)
    s.law(
        "What is left is never negative, never above the limit, and nothing if spent is negative",
        z3.And(
            left == z3.If(z3.And(spent >= 0, spent < limit), limit - spent, 0),
            left >= 0,
            z3.Implies(limit >= 0, left <= limit),
        ),
    )
    s.law(
        "A cost fits what was spent exactly if it is within what is left",
        z3.Implies(z3.And(spent >= 0, spent <= limit, cost >= 0), fits == (cost <= left)),
    )
    after = k("session.step_spent", spent, cost, limit)
    s.law(
        "A cost is charged whole or not at all, and spending stays within the limit",
        z3.And(
            after == z3.If(fits, spent + cost, spent),
            after >= spent,
            z3.Implies(spent <= limit, after <= limit),
        ),
    )
    s.law(
        "A delegation leaves strictly fewer hops, never fewer than none",
        k("verdict.depth_falls", old, new) == z3.And(new >= 0, new < old),
    )
    s.law(
        "A token holds from its start until just before its end",
        k("verdict.time_valid", nbf, exp, now) == z3.And(nbf <= now, now < exp),
    )
    s.law(
        "A time window that narrows admits no new moment",
        z3.Implies(
            k("verdict.time_valid", nbf + more, exp, now), k("verdict.time_valid", nbf, exp, now)
        ),
        [more >= 0],
    )


def sessions(s: Suite) -> None:
    k = s.kernel
    a, b, c, d = s.bits("a", "b", "c", "d")
    wide = [s.any(a, b, c, d)]
    s.law("The sink denial is a bit of its own", z3.BoolVal(k.number("verdict.DENY_SINK") == 8))
    for name, f in (("caps", z3.And), ("exposure", z3.Or), ("obligations", z3.Or)):
        step, fold = k(f"session.step_{name}", a, b), k(f"session.session_{name}", a, (b, c, d))
        s.law(
            f"A session's {name} change bit by bit, by {'meet' if f is z3.And else 'union'}",
            z3.And(
                *[
                    z3.And(
                        S.bit(step, i) == f(S.bit(a, i), S.bit(b, i)),
                        S.bit(fold, i) == f(*[S.bit(x, i) for x in (a, b, c, d)]),
                    )
                    for i in range(72)
                ],
                k(f"session.session_{name}", a, ()) == a,
            ),
            wide,
        )
    spent, limit, x, y, z = s.amounts("spent", "limit", "x", "y", "z")

    def pay(was: Expr, cost: Expr) -> Expr:
        return z3.If(z3.And(cost >= 0, was >= 0, was + cost <= limit), was + cost, was)

    s.law(
        "Three attempts are charged one after the other",
        k("session.session_spent", spent, limit, (x, y, z)) == pay(pay(pay(spent, x), y), z),
    )


CLAIMS = (counts, sessions)

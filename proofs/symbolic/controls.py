"""Law: a suite that cannot refuse shows nothing: each claim here is false and must not pass."""

from nucleus_tokens import lattice as L
from proofs.symbolic.solver import z3
from proofs.symbolic.suite import Suite


def not_refused() -> list[str]:
    """The false claims that passed."""
    suite = Suite()
    a, b = suite.bits("a", "b")
    meet, level = suite.kernel("lattice.meet", a, b), suite.kernel("lattice.level_of", a, b)
    suite.law("a false goal", meet == a, [suite.any(a, b)])
    suite.law("a goal that only some numbers have", level > 0, [suite.any(a, b), b == 1])
    suite.law("hypotheses that cannot hold", meet == a, [a < b, b < a])
    suite.kernel("lattice.with_level", a, b)
    shifted = suite.kernel("lattice.with_level", b, a)
    suite.law(
        "a number that leaves what the symbols hold", shifted == shifted + 1, [b == 1, a == 2]
    )
    suite.finds("an example of nothing", [meet & ~a != 0, suite.any(a, b)], lambda _: True)
    suite.finds(
        "an example that the real functions deny", [meet == 3],
        lambda found: L.meet(int(found["a"]), int(found["b"])) != 3,
    )  # fmt: skip
    suite.law("no goal at all", z3.BoolVal(False))
    return [result.sentence for result in suite.results if result.passed]

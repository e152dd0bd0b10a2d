"""Law: a claim passes only if its hypotheses can hold, its goal always follows, and the function
stayed within what the symbols mean; a timeout, an unknown or an exception is a failure.

`law` asks for a proof. `finds` asks for a counterexample to a law that must not hold, and runs the
kernel's function on the numbers found.
"""

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from proofs.sources import MODULES
from proofs.symbolic.kernel import Kernel
from proofs.symbolic.machine import WIDTH, Expr
from proofs.symbolic.solver import z3

TIMEOUT_MS = 20_000
# "Any number" is any that the 96 bits hold with room for the kernel's sums and shifts.
ANY_BITS = 72


@dataclass(frozen=True)
class Result:
    sentence: str
    passed: bool
    seconds: float
    detail: str


def numbers(model: Expr) -> dict[str, int | bool]:
    """A model as plain numbers."""
    found: dict[str, int | bool] = {}
    for declaration in sorted(model.decls(), key=str):
        value = model[declaration]
        if z3.is_bv_value(value):
            found[str(declaration)] = value.as_signed_long()
        elif z3.is_int_value(value):
            found[str(declaration)] = value.as_long()
        else:
            found[str(declaration)] = z3.is_true(value)
    return found


def written(found: Mapping[str, int | bool]) -> str:
    return ", ".join(
        f"{name} = {value if type(value) is bool or -10 < value < 10 else hex(value)}"
        for name, value in found.items()
    )


@dataclass
class Suite:
    """Claims are made against it one by one; it keeps what became of each."""

    kernel: Kernel = field(
        default_factory=lambda: Kernel([importlib.import_module(m) for m in MODULES])
    )
    results: list[Result] = field(default_factory=list)

    # 1. Symbols.
    def bits(self, *names: str) -> list[Expr]:
        return [z3.BitVec(name, WIDTH) for name in names]

    def amounts(self, *names: str) -> list[Expr]:
        return [z3.Int(name) for name in names]

    def truths(self, *names: str) -> list[Expr]:
        return [z3.Bool(name) for name in names]

    def any(self, *terms: Expr) -> Expr:
        """Any number of up to 72 bits, negative ones too."""
        half = 1 << (ANY_BITS - 1)
        return z3.And(*[z3.And(t >= -half, t < half) for t in terms])

    # 2. Judgements.
    def ask(self, *conditions: Expr) -> tuple[str, dict[str, int | bool]]:
        solver = z3.Solver()
        solver.set("timeout", TIMEOUT_MS)
        solver.add(*conditions)
        answer = str(solver.check())
        return answer, numbers(solver.model()) if answer == "sat" else {}

    def law(self, sentence: str, goal: Expr, given: Sequence[Expr] = ()) -> None:
        """Under `given`, always `goal`."""
        started = time.perf_counter()
        owed, self.kernel.owed = self.kernel.owed, []
        detail = ""
        if given and self.ask(*given)[0] != "sat":
            detail = "the hypotheses cannot hold together: the claim is empty"
        else:
            answer, found = self.ask(*given, z3.Not(z3.And(goal, *owed)))
            if answer == "sat":
                broken = self.ask(*given, z3.And(*owed), z3.Not(goal))[0] != "sat"
                why = "Python would raise, or leave 96 bits, at" if broken else "counterexample"
                detail = f"{why}: {written(found)}"
            elif answer != "unsat":
                detail = f"z3 answers {answer}"
        self.results.append(Result(sentence, not detail, time.perf_counter() - started, detail))

    def finds(
        self,
        sentence: str,
        given: Sequence[Expr],
        replay: Callable[[Mapping[str, int | bool]], bool],
    ) -> None:
        """Numbers with `given` exist, and the real functions agree about them."""
        started = time.perf_counter()
        owed, self.kernel.owed = self.kernel.owed, []
        answer, found = self.ask(*given, *owed)
        if answer != "sat":
            passed, detail = False, f"no example: z3 answers {answer}"
        else:
            passed = replay(found)
            detail = written(found) + ("" if passed else " (the real functions disagree)")
        self.results.append(Result(sentence, passed, time.perf_counter() - started, detail))

"""Law: a claim is about the function that runs, so the function itself is run, on symbols.

The code object of each kernel function is executed by Python with symbolic arguments. Operators
build terms; `if`, `and`, `or`, `not` on a symbolic truth split the run, and the runs are merged
into one term. A call from one kernel function to another is merged where it happens.

Bits are 96 wide. Whatever Python would do with a wider number, or refuse to do (a shift by a
negative amount), becomes an obligation that every claim must discharge too: so under a claim's
hypotheses the 96 bits are exactly Python's unbounded int. Amounts and times are unbounded.
Whatever is not defined here raises: an unknown operation is a failed claim, never a passed one.
"""

from dataclasses import dataclass, field
from typing import Any, NoReturn

from proofs.symbolic.solver import z3

WIDTH = 96
Expr = Any  # a z3 term


class Unsupported(Exception):
    """The function did something that has no symbolic meaning here."""


@dataclass
class Run:
    """One path through one function: decisions taken, those still prescribed, obligations met."""

    prescribed: list[bool]
    taken: list[tuple[Expr, bool]] = field(default_factory=list)
    known: dict[int, bool] = field(default_factory=dict)
    obligations: list[Expr] = field(default_factory=list)

    def decide(self, condition: Expr) -> bool:
        condition = z3.simplify(condition)
        if z3.is_true(condition) or z3.is_false(condition):
            return bool(z3.is_true(condition))
        if z3.is_not(condition):
            return not self.decide(condition.arg(0))
        key = condition.get_id()
        if key not in self.known:
            index = len(self.taken)
            self.known[key] = self.prescribed[index] if index < len(self.prescribed) else True
            self.taken.append((condition, self.known[key]))
        return self.known[key]

    def owe(self, condition: Expr) -> None:
        path = [c if way else z3.Not(c) for c, way in self.taken]
        self.obligations.append(z3.Implies(z3.And(*path), condition) if path else condition)


STACK: list[Run] = []


class Int:
    """A symbolic int: a bit vector, or z3's unbounded integer."""

    __hash__ = None  # type: ignore[assignment]  # equal terms are not equal objects

    def __init__(self, term: Expr) -> None:
        self.term = term

    def __bool__(self) -> NoReturn:
        raise Unsupported("an int as a condition")

    def both(self, other: object, bits: bool = False) -> tuple[Expr, Expr]:
        """Both sides in one theory; `bits` asks for bit vectors."""
        theirs = other.term if isinstance(other, Int) else constant(other, self.term)
        if theirs.sort() != self.term.sort() or (bits and not z3.is_bv(self.term)):
            raise Unsupported(f"{self.term.sort()} with {theirs.sort()}")
        return self.term, theirs

    def __and__(self, other: object) -> "Int":
        a, b = self.both(other, bits=True)
        return Int(a & b)

    def __or__(self, other: object) -> "Int":
        a, b = self.both(other, bits=True)
        return Int(a | b)

    def __xor__(self, other: object) -> "Int":
        a, b = self.both(other, bits=True)
        return Int(a ^ b)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> "Int":
        return Int(~self.both(0, bits=True)[0])

    def __neg__(self) -> "Int":
        return 0 - self

    def __add__(self, other: object) -> "Int":
        a, b = self.both(other)
        if z3.is_bv(a):
            STACK[-1].owe(z3.And(z3.BVAddNoOverflow(a, b, True), z3.BVAddNoUnderflow(a, b)))
        return Int(a + b)

    __radd__ = __add__

    def __sub__(self, other: object) -> "Int":
        a, b = self.both(other)
        return subtract(a, b)

    def __rsub__(self, other: object) -> "Int":
        b, a = self.both(other)
        return subtract(a, b)

    def __lshift__(self, amount: object) -> "Int":
        a, k = self.both(amount, bits=True)
        return shift_left(a, k)

    def __rlshift__(self, number: object) -> "Int":
        k, a = self.both(number, bits=True)
        return shift_left(a, k)

    def __rshift__(self, amount: object) -> "Int":
        a, k = self.both(amount, bits=True)
        return shift_right(a, k)

    def __rrshift__(self, number: object) -> "Int":
        k, a = self.both(number, bits=True)
        return shift_right(a, k)

    def __eq__(self, other: object) -> "Bool":  # type: ignore[override]  # symbolic
        a, b = self.both(other)
        return Bool(a == b)

    def __ne__(self, other: object) -> "Bool":  # type: ignore[override]  # symbolic
        a, b = self.both(other)
        return Bool(a != b)

    def __lt__(self, other: object) -> "Bool":
        a, b = self.both(other)
        return Bool(a < b)

    def __le__(self, other: object) -> "Bool":
        a, b = self.both(other)
        return Bool(a <= b)

    def __gt__(self, other: object) -> "Bool":
        a, b = self.both(other)
        return Bool(a > b)

    def __ge__(self, other: object) -> "Bool":
        a, b = self.both(other)
        return Bool(a >= b)


class Bool:
    """A symbolic truth; asking for its value splits the run."""

    __hash__ = None  # type: ignore[assignment]  # equal terms are not equal objects

    def __init__(self, term: Expr) -> None:
        self.term = term

    def __bool__(self) -> bool:
        return STACK[-1].decide(self.term)

    def __eq__(self, other: object) -> bool:
        raise Unsupported("comparison of truths")


def constant(value: object, like: Expr) -> Expr:
    if type(value) is not int:
        raise Unsupported(f"{type(value).__name__} where an int is needed")
    if not z3.is_bv(like):
        return z3.IntVal(value)
    if not -(1 << (WIDTH - 1)) <= value < 1 << (WIDTH - 1):
        raise Unsupported(f"a constant wider than {WIDTH} bits")
    return z3.BitVecVal(value, WIDTH)


def subtract(a: Expr, b: Expr) -> Int:
    if z3.is_bv(a):
        STACK[-1].owe(z3.And(z3.BVSubNoOverflow(a, b), z3.BVSubNoUnderflow(a, b, True)))
    return Int(a - b)


def shift_left(a: Expr, k: Expr) -> Int:
    shifted = a << k
    STACK[-1].owe(z3.And(k >= 0, k < WIDTH, (shifted >> k) == a))
    return Int(shifted)


def shift_right(a: Expr, k: Expr) -> Int:
    # Arithmetic, as in Python: beyond the width only the sign is left, in both.
    STACK[-1].owe(k >= 0)
    return Int(a >> k)

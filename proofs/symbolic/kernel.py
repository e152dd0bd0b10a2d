"""Law: the merged value of a kernel function is the value of its own code on every path.

Each call, also from one kernel function to another, runs all paths of the callee's code object
and merges them into one term, with what Python would have to refuse as obligations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from proofs.symbolic.machine import STACK, WIDTH, Bool, Expr, Int, Run, Unsupported, constant
from proofs.symbolic.solver import z3


def wrap(value: object) -> object:
    """What a kernel function is given for a z3 term."""
    if isinstance(value, tuple):
        return tuple(wrap(v) for v in value)
    if z3.is_bool(value):
        return Bool(value)
    return Int(value) if z3.is_expr(value) else value


def key_of(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(key_of(v) for v in value)
    return ("term", value.term.get_id()) if isinstance(value, Int | Bool) else (type(value), value)


@dataclass
class Summary:
    value: Any
    obligations: list[Expr]
    kept: Sequence[object]  # so that z3 does not give these identities to other terms


class Kernel:
    """The kernel's modules, each function replaced by the merged runs of its own code."""

    def __init__(self, modules: Sequence[ModuleType]) -> None:
        self.summaries: dict[object, Summary] = {}
        self.owed: list[Expr] = []
        originals = {
            id(f): f for m in modules for f in vars(m).values() if isinstance(f, FunctionType)
        }
        self.merged = {key: self.merging(f) for key, f in originals.items()}
        self.modules = {m.__name__.rpartition(".")[2]: m for m in modules}

    def merging(self, function: FunctionType) -> Callable[..., object]:
        if function.__closure__ or function.__defaults__ or hasattr(function, "__wrapped__"):
            raise Unsupported(f"{function.__name__} is not a plain function")
        seen: list[Callable[..., object]] = []

        def call(*arguments: object) -> object:
            if not seen:
                names = {n: self.merged.get(id(v), v) for n, v in function.__globals__.items()}
                seen.append(FunctionType(function.__code__, names))
            key = (id(function), key_of(arguments))
            if key not in self.summaries:
                self.summaries[key] = merge(seen[0], arguments)
            summary = self.summaries[key]
            for obligation in summary.obligations:
                STACK[-1].owe(obligation)
            return summary.value

        return call

    def __call__(self, name: str, *arguments: object) -> Expr:
        """The term of `module.function` on z3 terms; its obligations go to `owed`."""
        module, _, function = name.partition(".")
        original = getattr(self.modules[module], function)
        run = Run([])
        STACK.append(run)
        try:
            value = self.merged[id(original)](*(wrap(a) for a in arguments))
        finally:
            STACK.pop()
        self.owed += run.obligations
        return lift(value, [wrap(a) for a in arguments])

    def word(self, name: str) -> Callable[..., Expr]:
        """The function by a short name, for claims that use it often."""
        return lambda *arguments: self(name, *arguments)

    def number(self, name: str) -> int:
        """A constant of the kernel."""
        module, _, constant_name = name.partition(".")
        value = getattr(self.modules[module], constant_name)
        assert type(value) is int
        return value


def lift(value: object, arguments: Sequence[object]) -> Expr:
    """A result as a z3 term; a plain int goes into the theory of the arguments."""
    if isinstance(value, Int | Bool):
        return value.term
    if type(value) is bool:
        return z3.BoolVal(value)
    flat = [x for a in arguments for x in (a if isinstance(a, tuple) else (a,))]
    ints = [a.term for a in flat if isinstance(a, Int)]
    bits = [t for t in ints if z3.is_bv(t)] or ints or [z3.BitVecVal(0, WIDTH)]
    return constant(value, bits[0])


def merge(function: Callable[..., object], arguments: Sequence[object]) -> Summary:
    """All paths of one call as one value."""
    obligations: dict[int, Expr] = {}

    def grow(prescribed: list[bool]) -> Any:
        run = Run(prescribed)
        STACK.append(run)
        try:
            value = function(*arguments)
        finally:
            STACK.pop()
        obligations.update((o.get_id(), o) for o in run.obligations)
        ways = [way for _, way in run.taken]
        for index in reversed(range(len(prescribed), len(ways))):
            other = grow([*ways[:index], False])
            value = choose(run.taken[index][0], value, other, arguments)
        return value

    return Summary(grow([]), list(obligations.values()), list(arguments))


def choose(condition: Expr, yes: object, no: object, arguments: Sequence[object]) -> object:
    if type(yes) is type(no) and not isinstance(yes, Int | Bool) and yes == no:
        return yes
    like = [v for v in (yes, no) if isinstance(v, Int)] or arguments
    term = z3.If(condition, lift(yes, like), lift(no, like))
    return Bool(term) if z3.is_bool(term) else Int(term)

"""Law: a mutant is killed by a claim that fails on it, and by nothing less.

Each mutant runs in a forked process of its own: the modules of the algebra are imported anew with
the mutant in place of one, and the groups of claims whose terms go through the mutated function are
asked, quickest first, until one fails. Groups that never reach the function cannot tell.

A kill is a counterexample, or code that raises, leaves the subset of Python that the proofs allow,
or uses up its share of the processor. That no answer came, of z3 or of the process, is told apart.
"""

import contextlib
import importlib
import importlib.abc
import importlib.util
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from proofs.mutation.mutants import Mutant
from proofs.sources import MODULES, path_of

SECONDS = 120  # of the processor, for one mutant: a loop that never ends is stopped here
PATIENCE = 3600  # on the clock; a busy machine makes a mutant wait, which kills nothing
PATIENCE_MS = 4000  # for one question to z3


@dataclass(frozen=True)
class Fate:
    """What became of a mutant (`killed`, `equivalent`, `no answer` or `survived`), and why."""

    verdict: str
    claim: str
    why: str


class Killed(Exception):
    """Carries the first claim that failed out of the suite."""


class Replaced(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the mutant's source for its module."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self.mutant.module:
            return None
        return importlib.util.spec_from_loader(name, self, origin=str(path_of(name)))

    def exec_module(self, module: ModuleType) -> None:
        # Our own source with one change, in a process that is thrown away.
        exec(self.mutant.compiled(), vars(module))  # noqa: S102  our own source


def _forget() -> None:
    """Import the algebra and the claims anew: claims hold the modules they were made with."""
    for name in list(sys.modules):
        kept = name in ("proofs.symbolic.solver",)
        if name in MODULES or (name.startswith("proofs.symbolic.") and not kept):
            del sys.modules[name]
    for package in ("nucleus_tokens", "nucleus_verifier", "proofs.symbolic"):
        for name in MODULES:
            short = name.rpartition(".")[2]
            holder = sys.modules.get(package)
            if holder is not None and name.startswith(package) and hasattr(holder, short):
                delattr(holder, short)


def _suite() -> tuple[Any, list[Any]]:
    suite: Any = importlib.import_module("proofs.symbolic.suite")
    main: Any = importlib.import_module("proofs.symbolic.__main__")
    suite.TIMEOUT_MS = PATIENCE_MS
    return suite, [unit for group in main.GROUPS for unit in group.CLAIMS]


def _strict(suite: Any) -> Any:
    """A suite that stops at the first failure."""

    # A class of the module that was just imported anew: no type checker knows it.
    class Strict(suite.Suite):  # type: ignore[misc]
        unanswered = ""

        def law(self, *args: Any, **rest: Any) -> None:
            super().law(*args, **rest)
            self._look()

        def finds(self, *args: Any, **rest: Any) -> None:
            super().finds(*args, **rest)
            self._look()

        def _look(self) -> None:
            last = self.results[-1]
            if last.passed:
                return
            if last.detail == "z3 answers unknown":
                self.unanswered = self.unanswered or last.sentence
                return
            raise Killed(last.sentence, last.detail)

    return Strict()


@dataclass(frozen=True)
class Groups:
    """Which functions each group of claims goes through, and how long it took."""

    reached: tuple[frozenset[str], ...]
    seconds: tuple[float, ...]

    def order(self, mutant: Mutant) -> list[int]:
        """The groups that can tell, quickest first."""
        place = f"{mutant.module}.{mutant.function}"
        every = range(len(self.reached))
        if mutant.function == "<module>":
            near = {n for n in every if any(f.startswith(mutant.module) for f in self.reached[n])}
            return sorted(every, key=lambda n: (n not in near, self.seconds[n]))
        return sorted((n for n in every if place in self.reached[n]), key=self.seconds.__getitem__)


def look() -> Groups:
    """Ask every claim of the code as it is, and note what each group goes through."""
    suite, units = _suite()
    kernel: Any = importlib.import_module("proofs.symbolic.kernel")
    names = {
        id(f.__code__): f"{m}.{f.__name__}"
        for m in MODULES
        for f in vars(importlib.import_module(m)).values()
        if isinstance(f, FunctionType) and f.__module__ == m
    }
    merge, reached, seconds = kernel.merge, [], []
    for unit in units:
        seen: set[str] = set()

        def noting(function: Any, arguments: Any, seen: set[str] = seen) -> Any:
            seen.add(names.get(id(function.__code__), "?"))
            return merge(function, arguments)

        kernel.merge = noting
        started = time.perf_counter()
        unit(_strict(suite))
        reached.append(frozenset(seen))
        seconds.append(time.perf_counter() - started)
    kernel.merge = merge
    return Groups(tuple(reached), tuple(seconds))


# Where a mutated function may be compared, the widest first. The last is what any packed value is:
# nothing that is read, folded or looked up in a table is outside of it.
DOMAINS = (
    ("of 72 bits", -(1 << 71), (1 << 71) - 1),
    ("from 0 on", 0, (1 << 71) - 1),
    ("of 26 bits, as every packed value", 0, (1 << 26) - 1),
)


def _same_everywhere(mutant: Mutant, before: Sequence[ModuleType]) -> str:
    """Where z3 proves that the mutated function gives what the function gave, and makes the same
    demands on its arguments: the widest domain, or nothing."""
    after = [importlib.import_module(name) for name in MODULES]
    short = mutant.module.rpartition(".")[2]
    original = getattr(before[MODULES.index(mutant.module)], mutant.function, None)
    if not isinstance(original, FunctionType):
        return ""
    kinds = [original.__annotations__[name] for name in original.__code__.co_varnames[
        : original.__code__.co_argcount]]  # fmt: skip
    if not set(kinds) <= {int, bool}:
        return ""
    suite = importlib.import_module("proofs.symbolic.suite")
    kernel = importlib.import_module("proofs.symbolic.kernel").Kernel
    ask, z3 = suite.Suite(), suite.z3
    arguments = [
        (ask.bits if kind is int else ask.truths)(f"a{n}")[0] for n, kind in enumerate(kinds)
    ]
    numbers = [a for a, kind in zip(arguments, kinds, strict=True) if kind is int]
    name = f"{short}.{mutant.function}"
    old, new = kernel(before), kernel(after)
    was, now = old(name, *arguments), new(name, *arguments)
    differ = z3.Or(was != now, z3.And(*old.owed) != z3.And(*new.owed))
    for words, low, high in DOMAINS:
        within = [z3.And(number >= low, number <= high) for number in numbers]
        if ask.ask(z3.And(ask.any(*numbers), *within), differ)[0] == "unsat":
            return words
    return ""


def fate(mutant: Mutant, groups: Groups) -> Fate:
    """What becomes of one mutant, in this very process."""
    before = [importlib.import_module(name) for name in MODULES]
    _forget()
    sys.meta_path.insert(0, Replaced(mutant))
    try:
        suite, units = _suite()
    except Exception as error:  # noqa: BLE001 - whatever it raises, it is no kernel
        return Fate("killed", "import", f"{type(error).__name__}: {error}")
    unanswered = ""
    for number in groups.order(mutant):
        strict = _strict(suite)
        try:
            units[number](strict)
        except Killed as killed:
            return Fate("killed", killed.args[0], killed.args[1][:120])
        except Exception as error:  # noqa: BLE001 - the same
            return Fate("killed", units[number].__name__, f"{type(error).__name__}: {error}"[:120])
        unanswered = unanswered or strict.unanswered
    with contextlib.suppress(Exception):
        same = _same_everywhere(mutant, before)
        if same:
            return Fate("equivalent", "", f"z3: the same for all arguments {same}")
    return Fate("no answer", unanswered, "") if unanswered else Fate("survived", "", "")


def fates(
    mutants: Sequence[Mutant], judge: Callable[[Mutant], Fate], workers: int = 2
) -> Iterator[tuple[Mutant, Fate]]:
    """What becomes of each, a few at a time, in the order in which they end."""
    waiting = list(reversed(mutants))
    running: dict[int, tuple[Mutant, int]] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            mutant = waiting.pop()
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(reader)
                _tell(writer, mutant, judge)
            os.close(writer)
            running[reader] = (mutant, child)
        (reader, *_), _, _ = select.select(list(running), [], [])
        mutant, child = running.pop(reader)
        # Read, and then wait: who has more to tell than a pipe holds ends only when it is read.
        with os.fdopen(reader, "rb") as file:
            told = file.read()
        _, status = os.waitpid(child, 0)
        yield mutant, Fate(*json.loads(told)) if told else _silent(status)


def _silent(status: int) -> Fate:
    """What a process that told nothing shows: a loop only if the processor's time ran out."""
    ended = os.waitstatus_to_exitcode(status)
    if ended == -signal.SIGPROF:
        return Fate("killed", "time", "it never ends")
    return Fate("no answer", f"the process ended with {ended}", "")


def _tell(writer: int, mutant: Mutant, judge: Callable[[Mutant], Fate]) -> None:
    """In the child: find out, write it down, and be gone."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(PATIENCE)
    with contextlib.suppress(BaseException):
        found = judge(mutant)
        told = json.dumps([found.verdict, found.claim, found.why]).encode()
        os.write(writer, told)
    os._exit(0)

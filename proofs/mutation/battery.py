"""Law: outside the algebra, a mutant is killed by a vector, a named attack or a table of cases.

The kernel is what `decide` loads. The tests are collected once; each mutant is a forked process in
which they run until one fails, those that killed its neighbours first. A test that never goes
through the mutated function cannot tell, and is not asked. Then whole chains are judged beside the
slow reference.

Where only the bodies of functions changed, the fork gives those very functions their new bodies
(`patching.py`) and asks the tests whose import never called them. What was called while the kernel
was imported, and the tests that are left, are asked with everything imported anew.
"""

import gc
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Final, NamedTuple

import pytest

from proofs.mutation.killing import Fate, Replaced, fates
from proofs.mutation.mutants import Mutant
from proofs.mutation.patching import Calls, changed_bodies, patch
from proofs.sources import MODULES, ROOT, source_of
from tests.house.source import closure

START: Final = "nucleus_verifier.decide"
FILES: Final = (
    "tests/vectors/test_vectors.py",
    "tests/kernel/test_attack_approvals.py",
    "tests/kernel/test_attack_arguments.py",
    "tests/kernel/test_attack_bearer_and_requests.py",
    "tests/kernel/test_attack_budgets_and_time.py",
    "tests/kernel/test_attack_delegation.py",
    "tests/kernel/test_attack_evidence.py",
    "tests/kernel/test_attack_scopes.py",
    "tests/kernel/test_attack_seals_and_chains.py",
    "tests/kernel/test_answers.py",
    "tests/kernel/test_authority_tables.py",
    "tests/kernel/test_what_is_verified.py",
    "tests/kernel/test_crypto.py",
    "tests/kernel/test_decisions.py",
    "tests/kernel/test_facts.py",
    "tests/kernel/test_original_defects.py",
    "tests/wire/test_token_bytes.py",
    "tests/wire/test_bad_input.py",
    "tests/wire/test_must_differ.py",
    "tests/algebra/test_names.py",
    "tests/wire/test_approvals.py",
    "tests/wire/test_caveats.py",
    "tests/wire/test_canonical.py",
    "tests/wire/test_fields.py",
    "tests/wire/test_jcs.py",
    "tests/wire/test_headers.py",
    "tests/wire/test_limits.py",
    "tests/wire/test_codec.py",
    "tests/wire/test_same_bytes.py",
    "tests/kernel/test_pattern_tables.py",
    "tests/kernel/test_permits.py",
)
LADDERS: Final = range(0, 60, 10)  # ten chains beside the slow reference, each with CALLS calls
CALLS: Final = 20
OURS: Final = ("nucleus_", "tests.", "proofs.symbolic.")
WORDS: Final = ("-qq", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--tb=no",
                "--assert=plain")  # fmt: skip
MANY: Final = 1500  # mutants, from which on it pays to measure every test
MEMORY: Final = 4 << 30  # a mutant that wants more grows without end


class Test(NamedTuple):
    """One test, and how to run it: whether it passed."""

    id: str
    run: Callable[[], bool]


@dataclass
class Battery:
    """The tests, what the kernel unchanged needs for each, and what killed so far."""

    tests: list[Test]
    early: dict[str, set[str]]  # functions that ran while a file was imported, or ("") all
    seconds: dict[str, float] = field(default_factory=dict)
    reached: dict[str, frozenset[str]] = field(default_factory=dict)
    by_function: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_module: Counter[tuple[str, str]] = field(default_factory=Counter)

    def order(self, mutant: Mutant) -> list[Test]:
        """The tests that can tell, those that told before first, then the quickest."""
        place, module = f"{mutant.module}.{mutant.function}", mutant.module

        def rank(test: Test) -> tuple[float, ...]:
            return (
                -self.by_function[place, test.id],
                -self.by_module[module, test.id],
                self.seconds.get(test.id, 0),
            )

        near = [t for t in self.tests if self._can_tell(t, mutant, place)]
        return sorted(near, key=rank)

    def _can_tell(self, test: Test, mutant: Mutant, place: str) -> bool:
        known = self.reached.get(test.id)
        if known is None or mutant.function == "<module>":
            return True
        early = self.early[""] | self.early.get(_file(test.id), set())
        return any(each == place or each.startswith(f"{place}.") for each in known | early)

    def limit(self, test: Test) -> float:
        """Seconds of the processor after which a test has met a loop."""
        return 3 + 10 * self.seconds.get(test.id, 0.4)

    def learn(self, mutant: Mutant, test: str) -> None:
        """Remember what killed a neighbour."""
        self.by_function[f"{mutant.module}.{mutant.function}", test] += 1
        self.by_module[mutant.module, test] += 1


def modules() -> list[str]:
    """The kernel outside the algebra, by import path."""
    return sorted(name for name in closure(START) if name not in MODULES and "." in name)


def _file(id_: str) -> str:
    return id_.partition("::")[0]


def ask(mutants: Sequence[Mutant], tell: Callable[[Mutant, Fate], None]) -> None:
    """What becomes of each. The kernel unchanged passes what killed: of many mutants, every test is
    asked before, and what it takes and reaches is noted; of a few, those that killed afterwards."""

    def work(battery: Battery) -> None:
        heard: list[tuple[Mutant, Fate]] = []
        many = len(mutants) >= MANY
        if many:
            _measured(battery, battery.tests)
            _unchanged_anew(mutants[0].module, battery)
        for mutant, what in fates(mutants, lambda m: _fate(m, battery)):
            battery.learn(mutant, what.claim)
            heard.append((mutant, what))
            if many:
                tell(mutant, what)
        if not many:
            killers = {what.claim for _, what in heard}
            _measured(battery, [test for test in battery.tests if test.id in killers])
            for mutant, what in heard:
                tell(mutant, what)

    warm()
    early: dict[str, set[str]] = {"": set()}
    _within(FILES, lambda tests: work(Battery(tests, early)), early)


def _unchanged_anew(module: str, battery: Battery) -> None:
    unchanged = [Mutant(module, "<module>", 0, "unchanged", source_of(module) + "\n")]
    for _, what in fates(unchanged, lambda m: _imported_anew(m, battery.tests, battery)):
        if what.verdict != "survived":
            raise SystemExit(f"mutation: {module} unchanged, imported anew, fails: {what.claim}")


def warm() -> None:
    """Before the forks: import what no mutant changes."""
    os.chdir(ROOT)
    for name in ("hypothesis", "nacl.bindings", "pymacaroons"):
        importlib.import_module(name)


def _fate(mutant: Mutant, battery: Battery) -> Fate:
    """What becomes of one mutant, in this very process."""
    tests = battery.order(mutant)
    changed = changed_bodies(mutant)
    if changed and changed.isdisjoint(battery.early[""]):
        anew = {file for file, early in battery.early.items() if early & changed}
        patch(mutant, changed)
        clean = [test for test in tests if _file(test.id) not in anew]
        _quiet()
        found = _first_failure(clean, battery)
        if found.verdict != "survived" or not anew:
            return found
        tests = [test for test in tests if _file(test.id) in anew]
    return _imported_anew(mutant, tests, battery)


def _imported_anew(mutant: Mutant, tests: Sequence[Test], battery: Battery) -> Fate:
    """The same, where the kernel and these tests are imported again."""
    for name in [name for name in sys.modules if name.startswith(OURS) or name == "tests"]:
        del sys.modules[name]
    sys.meta_path.insert(0, Replaced(mutant))
    try:
        importlib.import_module(mutant.module)
    except Exception as error:  # noqa: BLE001 - whatever it raises, it is no kernel
        return Fate("killed", "import", f"{type(error).__name__}: {error}"[:120])
    _quiet()
    order = [test.id for test in tests]
    files = [file for file in dict.fromkeys(map(_file, order)) if file in FILES]
    told = Fate("survived", "", "")

    def work(made: list[Test]) -> None:
        nonlocal told
        by_id = {test.id: test for test in made}
        told = _first_failure([by_id.pop(id_) for id_ in order if id_ in by_id], battery)

    # One file alone is collected soon, and most die there.
    for some in (files[:1], files[1:]):
        broken = _within(some, work) if some else ""
        if broken or told.verdict != "survived":
            return Fate("killed", broken, "") if broken else told
    return told


def _quiet() -> None:
    """In a fork: nobody reads what pytest writes about a mutant."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _first_failure(tests: Sequence[Test], battery: Battery) -> Fate:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for test in tests:
        signal.setitimer(signal.ITIMER_PROF, battery.limit(test))
        if not test.run():
            return Fate("killed", test.id, "")
    return Fate("survived", "", "")


def _measured(battery: Battery, tests: Sequence[Test]) -> None:
    """In a process of its own: the kernel unchanged passes these tests. What they take, and reach,
    is remembered."""
    calls = Calls(modules())

    def judge(mutant: Mutant) -> Fate:
        _quiet()
        signal.setitimer(signal.ITIMER_PROF, 0)
        rows = {}
        for test in tests:
            started = time.process_time()
            with calls.noted():
                passed = test.run()
            if not passed:
                return Fate("killed", test.id, "")
            reached = sorted({place for place, _ in calls.end()})
            rows[test.id] = (time.process_time() - started, reached)
        return Fate("survived", "", json.dumps(rows))

    for _, what in fates([Mutant("", "<none>", 0, "unchanged", "")], judge):
        if what.verdict != "survived":
            raise SystemExit(f"mutation: the kernel unchanged fails: {what.claim}")
        for id_, (seconds, reached) in json.loads(what.why).items():
            battery.seconds[id_], battery.reached[id_] = seconds, frozenset(reached)


class _Holding:
    """Collects the tests and hands them to `work`, which runs those that it wants."""

    def __init__(self, work: Callable[[list[Test]], None], early: dict[str, set[str]]) -> None:
        self.work, self.early, self.calls = work, early, Calls(modules())
        self.error: BaseException | None = None
        self.broken, self.passed, self.asked = "", True, False

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: Any) -> Generator[None, Any, Any]:
        """Note what the import of a file runs; of what it shares with others, for all of them."""
        with self.calls.noted():
            report = yield
        for place, module in self.calls.end():
            file = module.replace(".", "/") + ".py"
            self.early.setdefault(file if file in FILES else "", set()).add(place)
        return report

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.broken:
            self.broken = report.nodeid or "collection"

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.passed = self.passed and not report.failed

    def pytest_runtestloop(self, session: Any) -> bool:
        if self.broken:
            return True

        def running(item: Any) -> Callable[[], bool]:
            def run() -> bool:
                self.passed = True
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                return self.passed

            return run

        # Fixed cases only: what draws its cases is dear, and a kill should be found again.
        fixed = [i for i in session.items if not getattr(i.obj, "is_hypothesis_test", False)]
        tests = [Test(item.nodeid, running(item)) for item in fixed]
        gc.freeze()
        self.asked = True
        try:
            self.work([*tests, *_ceilings()])
        except BaseException as error:  # noqa: BLE001 - not pytest's to tell
            self.error = error
        return True


def _within(
    files: Sequence[str],
    work: Callable[[list[Test]], None],
    early: dict[str, set[str]] | None = None,
) -> str:
    """Collect these files and work with their tests; the file that could not be collected."""
    holding = _Holding(work, {} if early is None else early)
    code = pytest.main([*WORDS, *(str(ROOT / file) for file in files)], plugins=[holding])
    if holding.error is not None:
        raise holding.error
    return holding.broken or ("" if holding.asked else f"pytest {code}")


def _ceilings() -> Iterator[Test]:
    for first in LADDERS:
        yield Test(f"the semantic ceiling::{first}", partial(_ceiling, first))


def _ceiling(first: int) -> bool:
    ceiling: Any = importlib.import_module("tests.kernel.test_semantic_ceiling")
    calls: Any = importlib.import_module("tests.support.calls")
    chains: Any = importlib.import_module("tests.support.chains")
    for seed in range(first, first + LADDERS.step):
        r = Random(seed)
        try:
            ladder = chains.random_ladder(r)
            for _ in range(CALLS):
                call = calls.varied(r, r.choice(ladder.homes))
                ceiling.check(r, ladder, call, ceiling.Tally())
        except Exception:  # noqa: BLE001 - an answer the reference does not give
            return False
    return True

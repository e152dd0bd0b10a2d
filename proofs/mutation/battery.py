"""Law: outside the algebra, a mutant is killed by a vector, a named attack or a law of the kernel.

The kernel is what `decide` loads. Each mutant runs in a forked process of its own, which imports
the kernel anew with the mutant in place of one module and runs the tests below, those that kill
most first, until one fails; then whole chains are judged beside the slow reference.
"""

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Sequence
from random import Random
from typing import Any

from proofs.mutation.killing import Fate, Replaced
from proofs.mutation.mutants import Mutant
from proofs.sources import MODULES, ROOT
from tests.house.source import closure

START = "nucleus_verifier.decide"
QUICK = (
    "tests/vectors/test_vectors.py",
    "tests/kernel/test_attack_approvals.py",
    "tests/kernel/test_attack_arguments.py",
    "tests/kernel/test_attack_bearer_and_requests.py",
    "tests/kernel/test_attack_budgets_and_time.py",
    "tests/kernel/test_attack_delegation.py",
    "tests/kernel/test_attack_evidence.py",
    "tests/kernel/test_attack_scopes.py",
    "tests/kernel/test_attack_seals_and_chains.py",
    "tests/kernel/test_crypto.py",
    "tests/kernel/test_decisions.py",
    "tests/kernel/test_original_defects.py",
    "tests/wire/test_bad_input.py",
    "tests/wire/test_must_differ.py",
)
THOROUGH = (
    "tests/wire/test_codec.py",
    "tests/wire/test_same_bytes.py",
    "tests/kernel/test_records.py",
    "tests/kernel/test_permits.py",
    "tests/kernel/test_decide_laws.py",
)
LADDERS = 120  # chains beside the slow reference, each with CALLS calls
CALLS = 20
OURS = ("nucleus_", "tests.", "proofs.symbolic.")


def modules() -> list[str]:
    """The kernel outside the algebra, by import path."""
    return sorted(name for name in closure(START) if name not in MODULES and "." in name)


def fate(mutant: Mutant) -> Fate:
    """What becomes of one mutant, in this very process."""
    for name in [name for name in sys.modules if name.startswith(OURS) or name == "tests"]:
        del sys.modules[name]
    sys.meta_path.insert(0, Replaced(mutant))
    try:
        importlib.import_module(mutant.module)
    except Exception as error:  # noqa: BLE001 - whatever it raises, it is no kernel
        return Fate("killed", "import", f"{type(error).__name__}: {error}"[:120])
    failed = _failure(QUICK) or _ceiling() or _failure(THOROUGH)
    return Fate("killed", failed, "") if failed else Fate("survived", "", "")


class _Watching:
    """Remembers the first test that failed."""

    first = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.first:
            self.first = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.first:
            self.first = report.nodeid


def _failure(files: Sequence[str]) -> str:
    import pytest

    watching = _Watching()
    words = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--tb=no",
             "--assert=plain"]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = pytest.main([*words, *(str(ROOT / file) for file in files)], plugins=[watching])
    return "" if code == 0 else watching.first or f"pytest {code}"


def _ceiling() -> str:
    ceiling: Any = importlib.import_module("tests.kernel.test_semantic_ceiling")
    calls: Any = importlib.import_module("tests.support.calls")
    chains: Any = importlib.import_module("tests.support.chains")
    for seed in range(LADDERS):
        r = Random(seed)
        try:
            ladder = chains.random_ladder(r)
            for _ in range(CALLS):
                call = calls.varied(r, r.choice(ladder.homes))
                ceiling.check(r, ladder, call, ceiling.Tally())
        except Exception as error:  # noqa: BLE001 - an answer the reference does not give
            return f"the semantic ceiling, chain {seed}: {type(error).__name__}"
    return ""


def warm() -> None:
    """Before the forks: import what no mutant changes, and draw the same cases for each mutant."""
    os.chdir(ROOT)
    for name in ("pytest", "hypothesis", "nacl.bindings", "pymacaroons"):
        importlib.import_module(name)
    from hypothesis import HealthCheck, Phase, settings

    settings.register_profile("mutation", derandomize=True, database=None, deadline=None,
                              phases=(Phase.explicit, Phase.generate),
                              suppress_health_check=list(HealthCheck))  # fmt: skip
    settings.load_profile("mutation")

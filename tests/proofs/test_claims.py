"""The registry of claims is well formed, and what it names exists."""

from dataclasses import replace
from pathlib import Path

import pytest

from proofs.claims.__main__ import lost, page, recorded, stale
from proofs.claims.registry import EVERY, Malformed, load, objections
from proofs.sources import ROOT

NORTH_STAR = (
    "flagship", "capability safety theorem", "pillar A: capability lattice",
    "pillar A: exposure lattice", "pillar A: trace semantics", "pillar A: monotonicity (ratchet)",
    "pillar A: budget can only decrease", "pillar A: nu is idempotent and deflationary",
    "pillar B: continuous verification gates", "nu is NOT monotone", "Heyting algebra",
    "S4 modal operators", "Galois connections", "exposure monoid, graded monad laws",
    "fail-closed auth boundary", "capability coverage theorem", "budget monotonicity",
    "delegation ceiling theorem", "rung 2: Lean 4 model", "rung 3: differential testing",
    "rung 4: extended TCB", "rung 5: TCB minimization", "supply chain", "no ambient authority",
    "tamper-evident", "proof count is monotonically", "enforcement completeness", "escape hatch",
    "not composed into runtime",
)  # fmt: skip


def test_every_claim_names_what_exists() -> None:
    assert objections(load()) == []


def test_the_matrix_is_current() -> None:
    assert stale(load()) == []
    assert lost(load(), recorded()) == []


def test_every_claim_that_was_asked_for_has_a_row() -> None:
    asked = " ".join(seed for claim in load() for seed in claim.seeds)
    for number in range(1, 9):
        assert f"verified-claims {number}" in asked, number
    for corollary in ("exfiltration", "talking your way", "reaching a sink"):
        assert corollary in asked, corollary
    for words in NORTH_STAR:
        assert words in asked, words


def test_every_attack_on_the_kernel_is_named_by_a_claim() -> None:
    """Whole, so that no bug makes one of them fail and no claim fall."""
    named = {p.artifact for c in load() for p in c.proofs if p.name == EVERY}
    files = (ROOT / "tests" / "kernel").glob("test_attack_*.py")
    assert {str(path.relative_to(ROOT)) for path in files} <= named


def test_a_row_that_names_another_tool_says_what_stands_in_for_it() -> None:
    for claim in load():
        if any(seed.startswith(("verified-claims", "north-star ladder")) for seed in claim.seeds):
            assert claim.instead or claim.tie in ("tested", "assumed"), claim.id


def test_a_lost_or_weakened_claim_is_named() -> None:
    (first, *rest) = load()
    assert f"claim {first.id} is gone" in lost(rest, recorded())
    weaker = replace(first, bound="sometimes")
    assert f"claim {first.id} says something else now" in lost([weaker, *rest], recorded())
    assert "sometimes" in page([weaker])
    proof = first.proofs[0]
    name = f"claim {first.id} by {proof.tool}: {proof.name} of {proof.artifact}"
    less = replace(first, proofs=first.proofs[1:])
    assert lost([less, *rest], recorded()) == [f"{name} is gone"]


GOOD = """
[[claim]]
id = "a.b"
title = "T"
words = "W"
formal = "F"
tie = "tested"
bound = "B"
gate = "test"
not_proved = "N"
sources = ["tokens/nucleus_tokens/lattice.py"]
[[claim.proof]]
tool = "pytest"
artifact = "tests/proofs/test_claims.py"
name = "test_every_claim_names_what_exists"
"""


def judged(folder: Path, text: str) -> list[str]:
    (folder / "some.toml").write_text(text, encoding="utf-8")
    return objections(load(folder))


PLANTED = [
    ('name = "test_every_claim_names_what_exists"', 'name = "test_gone"', "has no test_gone"),
    ('name = "test_every_claim_names_what_exists"', 'name = "judged"', "has no judged"),
    ("tests/proofs/test_claims.py", "tests/proofs/test_gone.py", "there is no tests/proofs"),
    ('tool = "pytest"', 'tool = "coq"', "has no test_every"),
    ('tool = "pytest"', 'tool = "z3"', "has no test_every"),
    ('tool = "pytest"', 'tool = "hope"', "hope is no tool"),
    ("tokens/nucleus_tokens/lattice.py", "tokens/gone.py", "there is no tokens/gone.py"),
    ('tie = "tested"', 'tie = "believed"', "believed is none of"),
    ('gate = "test"', 'gate = "never"', "never is none of"),
    ('gate = "test"', 'gate = "none"', "only what is assumed"),
    ('not_proved = "N"', 'not_proved = ""', "empty not_proved"),
    (GOOD, GOOD + GOOD, "stands twice"),
    ('not_proved = "N"', 'not_proved = "see a.c"', "there is no claim a.c to see"),
    ("tests/proofs/test_claims.py", "proofs/sources.py", "has no test_every"),
]


def test_all_tests_of_a_file_are_a_proof_and_no_tests_are_none(tmp_path: Path) -> None:
    every = GOOD.replace("test_every_claim_names_what_exists", "*")
    assert judged(tmp_path, every) == []
    assert "`*`" not in page(load(tmp_path))
    none = every.replace("tests/proofs/test_claims.py", "proofs/sources.py")
    assert judged(tmp_path, none) == ["a.b: proofs/sources.py has no *"]


@pytest.mark.parametrize(("old", "new", "told"), PLANTED)
def test_a_bad_claim_is_named(old: str, new: str, told: str, tmp_path: Path) -> None:
    assert judged(tmp_path, GOOD) == []
    assert old in GOOD
    assert any(told in line for line in judged(tmp_path, GOOD.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new"),
    [('words = "W"', ""), ('words = "W"', "words = 1"), ('id = "a.b"', 'id = "a.b"\nhope = 1')],
)
def test_a_malformed_claim_is_refused(old: str, new: str, tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        judged(tmp_path, GOOD.replace(old, new))

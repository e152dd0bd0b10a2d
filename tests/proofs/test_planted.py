"""Every claim has a bug that breaks it, and each bug can still be planted."""

import pytest

from proofs.claims.registry import load
from proofs.planted.__main__ import Bug, bugs, noticed, planted
from proofs.planted.batteries import TOOLS
from proofs.sources import ROOT

TOLD = ("is gone", "says something else now", "Admitted")


def test_every_claim_that_is_not_assumed_has_a_bug_against_one_of_its_proofs() -> None:
    claims = {c.id: {p.tool for p in c.proofs} for c in load() if c.tie != "assumed"}
    made = bugs()
    assert {b.claim for b in made if b.claim} == set(claims)
    assert all(b.tool in claims[b.claim] for b in made if b.claim)
    assert {b.tool for b in made if b.claim} == set(TOOLS)
    assert all(bool(b.claim and b.tool) != bool(b.step and b.told) for b in made)


def test_each_bug_changes_one_place() -> None:
    for bug in bugs():
        text = (ROOT / bug.file).read_text(encoding="utf-8")
        assert text.count(bug.old) == 1, f"{bug.name}: {bug.old!r} in {bug.file}"
        assert bug.old != bug.new, bug.name


@pytest.mark.parametrize("step", ["proofs.statements", "proofs.unforgeability theorems"])
def test_a_theorem_deleted_weakened_or_admitted_is_asked_for_in_the_gate(step: str) -> None:
    told = [b.told for b in bugs() if b.step == step and b.gate]
    assert all(any(word in each for each in told) for word in TOLD)


def test_a_claim_of_z3_deleted_weakened_or_admitted_is_asked_for_in_the_gate() -> None:
    told = {(b.step, b.told) for b in bugs() if b.gate and "symbolic" in b.file}
    assert {step for step, _ in told} == {"proofs.sentences", "proofs.symbolic"}
    assert sum(word in each for _, each in told for word in TOLD[:2]) == 2


def test_what_nobody_notices_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A change without a meaning makes no step red, and so counts as not caught."""
    place = tmp_path_factory.mktemp("copy")
    (place / "file").write_text("a = 1\n")
    idle = Bug("file", "a = 1", "a = 2", step="this", told="The Zen of Python")
    with planted(place, idle):
        assert (place / "file").read_text() == "a = 2\n"
        assert noticed(place, idle) == ""
    assert (place / "file").read_text() == "a = 1\n"
    with pytest.raises(SystemExit, match="not exactly once"), planted(place, Bug("file", "b", "c")):
        pass

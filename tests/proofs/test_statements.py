"""No theorem disappears, weakens, stays unfinished, or is hollowed out by a definition."""

import pytest

from proofs.oracle.signatures import SIGNATURES
from proofs.statements import (
    MEANINGS,
    STATEMENT,
    differences,
    laws,
    objections,
    recorded,
    statements,
    uncommented,
)

LAW = """(* Law: a (* nested *) comment says Admitted and means nothing. *)
From Coq Require Import ZArith.

Lemma helper a : a = a.
Proof. reflexivity. Qed.

Theorem one_is_one
  a : a = 1 -> a = 1.
Proof. auto. Qed.
"""
NAME = "L.one_is_one"


def test_what_is_committed_is_what_was_recorded() -> None:
    found = laws()
    assert objections(found) == []
    assert differences(recorded(), statements(found)) == []
    assert len(recorded()) >= 425


def test_a_statement_is_its_words_and_not_its_layout() -> None:
    before = statements({"L": LAW})
    assert list(before) == [NAME]
    assert objections({"L": LAW}) == []
    again = LAW.replace("\n  a : a = 1", " a (* here *) :\n\n a  = 1").replace(
        "auto", "intros; auto"
    )
    assert statements({"L": again}) == before


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("a = 1 -> a = 1", "a = 1 -> a = a", "L.one_is_one says something else now"),
        ("a = 1 -> a = 1", "a = 1 -> a = 2 -> a = 1", "L.one_is_one says something else now"),
        ("Theorem one_is_one", "Theorem one_is_two", "L.one_is_one is gone"),
        ("Theorem one_is_one", "Lemma one_is_one", "L.one_is_one is gone"),
        ("Theorem one_is_one\n  a : a = 1 -> a = 1.\nProof. auto. Qed.", "", "is gone"),
        ("Theorem one_is_one", "(* Theorem one_is_one", "L.one_is_one is gone"),
    ],
)
def test_a_lost_or_weakened_theorem_is_named(old: str, new: str, told: str) -> None:
    assert old in LAW
    lines = differences(statements({"L": LAW}), statements({"L": LAW.replace(old, new)}))
    assert any(told in line for line in lines), lines


def test_a_new_theorem_must_be_recorded() -> None:
    assert differences({}, statements({"L": LAW})) == [f"{NAME} is not recorded"]


@pytest.mark.parametrize(
    "planted",
    [
        LAW.replace("auto. Qed.", "admit. Admitted."),
        LAW.replace("auto. Qed.", "auto. Admitted."),
        LAW.replace("auto. Qed.", "auto. Abort."),
        LAW.replace("auto. Qed.", "auto. Defined."),
        LAW + "Axiom more : 1 = 2.\n",
        LAW + "Parameter p : Z.\n",
        LAW + "Section S.\nVariable v : 1 = 2.\nEnd S.\n",
        LAW + "Definition leq (a b : Z) := true.\n",
        LAW + 'Notation "a = b" := True.\n',
        LAW + "Unset Guard Checking.\n",
        LAW + "#[bypass_check(guard)] Fixpoint f (n : nat) : 1 = 2 := f n.\n",
        LAW + "Theorem open : 1 = 2.\n",
        LAW + "Corollary other : 1 = 1.\nProof. reflexivity. Qed.\n",
    ],
)
def test_an_open_proof_or_a_definition_is_refused(planted: str) -> None:
    assert planted != LAW
    assert objections({"L": planted})


MEANING = """From Coq Require Import ZArith.
Inductive level := Never | Always.
Definition within (a b : level) : bool :=
  match a, b with Never, _ => true | _, Always => true | _, _ => false end.
Module M.
  Definition leq a b := within a b.
End M.
"""


def test_a_changed_meaning_is_named() -> None:
    (home,) = [name for name in MEANINGS if name == "Model"]
    before = statements({home: MEANING})
    assert list(before) == ["Model.level", "Model.within", "Model.M", "Model.M.leq"]
    assert objections({home: MEANING}) == []
    for old, new, told in (
        ("Never | Always", "Never | Low | Always", "Model.level says something else now"),
        ("_, _ => false", "_, _ => true", "Model.within says something else now"),
        ("leq a b := within a b", "leq a b := within b a", "Model.M.leq says something else now"),
        ("Definition within", "Definition inside", "Model.within is gone"),
    ):
        assert told in differences(before, statements({home: MEANING.replace(old, new)}))
    for planted in ("Axiom a : 1 = 2.", "Let f := 1.", "#[local] Definition g := 1."):
        assert objections({home: f"{MEANING}{planted}\n"}), planted


def test_every_function_of_the_algebra_is_refined() -> None:
    """The model says of each function what it means, in a theorem of a Refine file."""
    source = laws()
    stated = " ".join(
        match["text"]
        for name, text in source.items()
        if name.startswith(("Refine", "Packed"))
        for match in STATEMENT.finditer(uncommented(text))
        if match["kind"] == "Theorem"
    )
    words = set(stated.replace("(", " ").replace(")", " ").split())
    assert set(SIGNATURES) <= words

"""No theorem disappears, weakens, stays unfinished, or is hollowed out by a definition."""

import pytest

from proofs.statements import differences, laws, objections, recorded, statements

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
    assert len(recorded()) >= 30


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

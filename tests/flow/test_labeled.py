"""Labels at run time: a tag never claims more than the label, and joins are the labels' joins."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given

from nucleus import labeled as L
from nucleus_tokens import labelling, labels
from nucleus_tokens.errors import CallerError
from tests.algebra.reference import LABELS, LAW, Conf, Integ, Label

INTEG = {0: L.Adversarial, 1: L.Untrusted, 2: L.Trusted}
CONF = {0: L.Public, 1: L.Internal, 2: L.Secret}


@dataclass(frozen=True)
class Bits:
    bits: int


@dataclass(frozen=True)
class Handle:
    value: str
    label: Bits
    exposure: frozenset[str]


def made(label: Label, value: str = "x") -> L.Labeled[str, L.Adversarial, L.Secret]:
    return L.labeled(Handle(value, Bits(label.pack()), frozenset({str(label.conf)})))


def test_the_tags_are_the_levels() -> None:
    assert [t.level for t in INTEG.values()] == [0, 1, 2] == list(Integ)
    assert [t.level for t in CONF.values()] == [0, 1, 2] == list(Conf)
    # what may stand in for what
    assert issubclass(L.Trusted, L.Untrusted)
    assert issubclass(L.Untrusted, L.Adversarial)
    assert issubclass(L.Public, L.Internal)
    assert issubclass(L.Internal, L.Secret)


@LAW
@given(LABELS)
def test_at_least_asks_the_label(label: Label) -> None:
    for level, integrity in INTEG.items():
        for bound, confidentiality in CONF.items():
            if label.integ >= level and label.conf <= bound:
                assert made(label).at_least(integrity, confidentiality).label == label.pack()
            else:
                with pytest.raises(CallerError, match="This value is not"):
                    made(label).at_least(integrity, confidentiality)


@LAW
@given(LABELS, LABELS)
def test_combining_joins(a: Label, b: Label) -> None:
    both = L.combine(made(a, "a"), made(b, "b"), lambda x, y: x + y)
    assert both.dangerously_bare == "ab"
    assert both.label == a.join(b).pack()
    assert both.exposure == {str(a.conf), str(b.conf)}
    assert made(a).map(str.upper).label == a.pack()
    assert L.combine(L.own(1), made(b), lambda _, y: y).label == b.pack()


@LAW
@given(LABELS)
def test_promotion_is_one_step(label: Label) -> None:
    for reason in (L.HumanReview("ann"), L.Sanitization("x"), L.DeterministicVerification("y")):
        promoted = L.promote_integrity(made(label), reason)
        expected = max(label.integ, Integ.UNTRUSTED)
        assert labels.integ(promoted.label) == expected
        assert (promoted.label ^ label.pack()) & ~labels.INTEG_MASK == 0
        assert promoted.reasons == (reason,)
        trusted = L.promote_to_trusted(promoted, L.HumanReview("ann"))
        assert labels.integ(trusted.label) == labels.TRUSTED
        with pytest.raises(CallerError, match="review or a verification"):
            L.promote_to_trusted(promoted, L.Sanitization("x"))  # type: ignore[arg-type]
    if label.integ == Integ.ADVERSARIAL:
        with pytest.raises(CallerError, match="not untrusted"):
            L.promote_to_trusted(made(label), L.HumanReview("ann"))  # type: ignore[arg-type]


def test_a_repr_does_not_show_the_value() -> None:
    shown = repr(L.labeled(Handle("s3cr3t", Bits(labelling.SECRET_VALUE), frozenset())))
    assert "s3cr3t" not in shown

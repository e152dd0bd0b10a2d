"""A decision is a value: nobody changes it, nobody takes it for a bool, and a stranger is told
nothing but one word. An error says its sentence, its code and what to do next."""

from __future__ import annotations

import pytest

from nucleus_tokens.errors import CallerError, CredentialError, NucleusError, WorldError
from nucleus_verifier.clear import clear
from nucleus_verifier.decision import REFUSED, Allow, Ask, Decision, Deny
from tests.support import world

DENIED = Deny(9, "level.never")


def decisions() -> list[Decision]:
    call = world.call("fs.read", "read_files", {})
    opened = world.opened(world.mint(), world.KEYS)
    allowed = clear(opened, call, world.facts())
    assert isinstance(allowed, Allow)
    return [allowed, Ask((), "tid", "rid", "cell", 0, b""), DENIED]


@pytest.mark.parametrize("step", range(15))
def test_who_may_be_a_stranger_is_told_one_word(step: int) -> None:
    """Up to the request's binding, step 5, nobody has shown that the token is his."""
    said = Deny(step, "level.never").public_code
    assert said == (REFUSED if step <= 5 else "level.never")


@pytest.mark.parametrize("decision", decisions(), ids=lambda d: type(d).__name__)
def test_a_decision_has_no_truth_value(decision: Decision) -> None:
    with pytest.raises(TypeError, match=r"no truth value: match on Allow, Ask and Deny$"):
        bool(decision)


@pytest.mark.parametrize("decision", decisions(), ids=lambda d: type(d).__name__)
def test_a_decision_stays_as_it_was_made(decision: Decision) -> None:
    (first, *_) = type(decision).__dataclass_fields__
    with pytest.raises(AttributeError):
        setattr(decision, first, None)
    assert not hasattr(decision, "__dict__"), "nothing can be written beside it either"


@pytest.mark.parametrize("kind", [CredentialError, CallerError, WorldError])
def test_an_error_says_its_sentence_its_code_and_the_next_step(kind: type[NucleusError]) -> None:
    plain, hinted = kind("a.code", "It failed."), kind("a.code", "It failed.", hint="Try again.")
    assert str(plain) == "It failed. [a.code]"
    assert str(hinted) == "It failed. [a.code] Try again."
    assert (plain.code, plain.message, plain.hint, plain.args) == (
        "a.code", "It failed.", "", ("It failed.",)
    )  # fmt: skip
    assert hinted.hint == "Try again."

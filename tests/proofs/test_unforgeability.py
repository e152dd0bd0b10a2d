"""The search for forgeries finds none, finds what is planted, and its statements stand."""

import json

import pytest

from nucleus_tokens import crypto
from proofs.unforgeability import theorems
from proofs.unforgeability.__main__ import control_is_caught, shipped_code_has_no_forgery
from proofs.unforgeability.controls import CONTROLS
from proofs.unforgeability.symbols import Symbols

QUICK = (
    "seals are not signed",
    "the tag is not compared",
    "a proof does not cover the chain",
    "an approval is not bound to the rid",
    "an approval need not be signed",
)


def test_nothing_that_is_built_from_what_was_seen_is_a_forgery() -> None:
    search = shipped_code_has_no_forgery(depth=0, rounds=1)
    assert search.forgeries == {}
    assert all(search.taken[what] for what in search.asked), "an idle attacker shows nothing"


@pytest.mark.parametrize("name", QUICK)
def test_a_broken_verifier_is_caught(name: str) -> None:
    """The quick ones; `python -m proofs.unforgeability` asks all of them."""
    (control,) = (each for each in CONTROLS if each.name == name)
    found = control_is_caught(control).forgeries
    assert any(control.forgery in why for why in found), found


def test_the_statements_stand_as_they_were_recorded() -> None:
    assert theorems.objections() == []
    assert len(theorems.standing()) >= 14


def test_a_changed_model_is_another_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = json.loads(theorems.RECORD.read_text(encoding="utf-8"))
    standing = {**theorems.standing(), "Model": "0" * 64}
    monkeypatch.setattr(theorems, "standing", lambda: standing)
    assert set(recorded) == set(standing)
    assert theorems.objections() == ["Model says something else now"]


def test_a_primitive_without_a_symbol_stops_the_run() -> None:
    def rot13(data: bytes) -> bytes:
        return data

    rot13.__module__ = crypto.__name__
    crypto.rot13 = rot13  # type: ignore[attr-defined]
    try:
        with pytest.raises(SystemExit, match="rot13"), Symbols().injected():
            pass
    finally:
        del crypto.rot13  # type: ignore[attr-defined]


def test_symbols_are_equal_only_if_made_alike_and_leave_no_trace() -> None:
    symbols, real = Symbols(), crypto.mac
    with symbols.injected():
        key = symbols.secret("k")
        assert crypto.mac(key, b"m") == crypto.mac(key, b"m") != crypto.mac(key, b"n")
        sealed = crypto.seal(crypto.exchange_public_of(key), b"x")
        other = symbols.secret("other")
        assert crypto.unseal(other, crypto.exchange_public_of(other), sealed) is None
        assert crypto.unseal(key, crypto.exchange_public_of(key), sealed) == b"x"
        signature = crypto.sign(key, b"m")
        assert crypto.verify(crypto.public_of(key), b"m", signature)
        assert not crypto.verify(crypto.public_of(key), b"n", signature)
        assert not crypto.verify(crypto.public_of(other), b"m", signature)
    assert crypto.mac is real

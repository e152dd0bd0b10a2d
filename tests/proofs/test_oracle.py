"""The extracted model and the running Python agree; a planted difference, on either side, shows."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nucleus_tokens import exposure, flow, lattice
from nucleus_verifier import session
from proofs.oracle.__main__ import BATCH, booleans, compare, functions, questions
from proofs.oracle.build import FILES, build
from proofs.oracle.signatures import SIGNATURES
from proofs.statements import COQ

CASES = min(BATCH, 4_000 * int(os.environ.get("NUCLEUS_SCALE", "1")))


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("oracle"), booleans(functions()))


def test_every_function_is_compared() -> None:
    assert set(functions()) == set(SIGNATURES)
    assert {name for name, _ in questions(0, 20_000)} == set(SIGNATURES)


@pytest.mark.slow
def test_python_and_the_model_agree(oracle: Path) -> None:
    assert compare(oracle, 0, CASES, functions()) == []


PLANTED: dict[str, Callable[..., int | bool]] = {
    "lattice.join": lambda a, b: lattice.join(a, b) & ~1,
    "lattice.level_of": lambda a, op: 2 if op == 12 else lattice.level_of(a, op),
    "exposure.gates": lambda e, p: exposure.gates(e, p) and e != 3,
    "flow.check_flow": lambda *a: flow.check_flow(*a) if a[1] != 17 else 0,
    "session.judge": lambda *a: session.judge(*a[:-1], a[-1] | 8),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_difference_is_found(oracle: Path, name: str) -> None:
    """Within the cases that every run of the gate asks."""
    found = compare(oracle, 0, BATCH, {**functions(), name: PLANTED[name]})
    assert found
    assert all(line.startswith(f"{name}(") for line in found)


@pytest.mark.slow
def test_a_changed_model_is_found(tmp_path: Path) -> None:
    for name in FILES:
        text = (COQ / f"{name}.v").read_text(encoding="utf-8")
        planted = text.replace(
            "| EmailSend           => needs Suggestive  Trusted ",
            "| EmailSend           => needs Suggestive  Untrusted ",
        )
        assert (planted != text) == (name == "Model")
        (tmp_path / f"{name}.v").write_text(planted, encoding="utf-8")
    place = tmp_path / "built"
    place.mkdir()
    program = build(place, booleans(functions()), coq=tmp_path)
    assert any("sinks.required_integrity(7)" in s for s in compare(program, 0, BATCH, functions()))

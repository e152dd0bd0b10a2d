"""The matrix is shown, a claim is run, and what cannot be run is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nucleus.cli import main
from nucleus.cli.claims import STEPS, _job, _matrix
from proofs.claims.registry import TOOLS
from proofs.run import STEPS as RUNS


def test_every_claim_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert main(["claims"]) == 0
    shown = capsys.readouterr().out
    assert len(told["claims"]) >= 30
    assert all(claim["id"] in shown for claim in told["claims"])
    assert all(len(sha) == 64 for sha in told["sha256"].values())


def test_one_claim_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "--id", "exposure.gate"]) == 0
    shown = capsys.readouterr().out
    assert "no_way_out_completes_the_uninhabitable_state_unasked" in shown
    assert "not proved" in shown


def test_an_unknown_claim(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "--id", "hope"]) == 2
    assert "[claims.unknown]" in capsys.readouterr().err


@pytest.mark.slow
def test_a_claim_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "verify", "--id", "mediation.kernel_small", "--json"]) == 0
    (claim,) = json.loads(capsys.readouterr().out)["claims"]
    assert claim["status"] == "holds"


def test_without_sources_nothing_is_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["claims", "verify", "--checkout", str(tmp_path)]) == 2
    assert "[claims.no_checkout]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("says", "code", "exit_code", "status"),
    [
        ("[proofs] theorems FAILED (a law): x = 3", 1, 1, "broken"),
        ("proofs: not installed: coqc: apt-get install coq", 2, 2, "not run"),
        ("fine", 0, 0, "holds"),
    ],
)
def test_broken_and_not_run_are_told_apart(
    says: str,
    code: int,
    exit_code: int,
    status: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "proofs").mkdir()
    (tmp_path / "proofs" / "run.py").write_text(f"print({says!r})\nraise SystemExit({code})\n")
    words = ["claims", "verify", "--checkout", str(tmp_path), "--id", "authority.delegation"]
    assert main([*words, "--json"]) == exit_code
    told = json.loads(capsys.readouterr().out)
    assert told["claims"][0]["status"] == status
    assert (says in told["steps"][0]["why"]) == (code != 0)


def test_every_proof_has_a_step_that_runs_it() -> None:
    assert set(STEPS) == set(TOOLS) - {"pytest"}
    names = {step.name for step in RUNS}
    jobs = {_job(proof) for row in _matrix()["claims"] for proof in row["proofs"]}
    assert set(STEPS.values()) | {"forging-theorems"} <= names
    assert all(job in names or job.endswith(".py") for job in jobs)
    assert "forging-theorems" in jobs, "theorems of another folder are not run by `theorems`"

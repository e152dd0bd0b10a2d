"""`nucleus claims` and `nucleus claims verify`: what is claimed, and whether it holds here.

The matrix ships with the package. To verify needs a checkout of the project, because the proofs are
about its sources; what the machine lacks is not run, and is said.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from nucleus.cli.options import Json, examples

CLAIMS: Final = examples(
    "nucleus claims",
    "nucleus claims --id exposure.gate",
    "nucleus claims verify",
    "nucleus claims verify --checkout ~/src/nucleus --json",
)
# Which step of proofs/run.py shows what a tool has shown.
STEPS: Final[Mapping[str, str]] = {
    "coq": "theorems",
    "z3": "symbolic",
    "oracle": "oracle",
    "schedules": "schedules",
    "unforgeability": "unforgeability",
}
_RUN: Final = Path("proofs") / "run.py"


class What(StrEnum):
    """What to do with the claims."""

    list = "list"
    verify = "verify"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one step: held, broken, or not run and why."""

    name: str
    status: str
    why: str = ""


def claims(
    what: Annotated[
        What, typer.Argument(metavar="[list|verify]", help="verify runs what is installed.")
    ] = What.list,
    only: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="Only this claim. Repeatable.")
    ] = None,
    checkout: Annotated[
        Path | None,
        typer.Option("--checkout", metavar="DIR", help="The project's sources; else found above."),
    ] = None,
    as_json: Json = False,
) -> int:
    """What is claimed, what shows it, and what it does not prove.

    verify exits with 0 if every claim holds here, 1 if one is broken, 2 if some could not be run.
    """
    from nucleus_tokens.errors import CallerError

    rows: list[dict[str, Any]] = _matrix()["claims"]
    if only:
        unknown = set(only) - {row["id"] for row in rows}
        if unknown:
            raise CallerError("claims.unknown", f"There is no claim {', '.join(sorted(unknown))}.")
        rows = [row for row in rows if row["id"] in only]
    if what is What.verify:
        return _verify(rows, _sources(checkout), as_json)
    return _show(rows, as_json, whole=bool(only))


def _matrix() -> dict[str, Any]:
    from importlib.resources import files

    text = (files("nucleus") / "claims.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _show(rows: Sequence[Mapping[str, Any]], as_json: bool, *, whole: bool) -> int:
    from nucleus.cli.console import OK, document, say, table

    if as_json:
        document({"claims": list(rows), "sha256": _matrix()["sha256"]})
        return OK
    if not whole:
        table(
            ("claim", "what is claimed", "tie", "shown by", "gate"),
            [(r["id"], r["title"], r["tie"], ", ".join(_tools(r)), r["gate"]) for r in rows],
        )
        say("One in full: nucleus claims --id ID. Run them: nucleus claims verify")
        return OK
    for row in rows:
        say(f"{row['id']}: {row['title']}", "", row["words"], "", f"formally     {row['formal']}")
        say(f"tie          {row['tie']}", f"bound        {row['bound']}")
        for proof in row["proofs"]:
            name = "every test" if proof["name"] == "*" else proof["name"]
            say(f"{proof['tool']:12} {name}  ({proof['artifact']})")
        say(f"not proved   {row['not_proved']}")
        if row["instead"]:
            say(f"stands for   {row['instead']}")
        say("")
    return OK


def _tools(row: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(str(proof["tool"]) for proof in row["proofs"]))


def _sources(given: Path | None) -> Path:
    """The checkout. Raises CallerError `claims.no_checkout`."""
    from nucleus_tokens.errors import CallerError

    here = [given] if given is not None else [*(Path.cwd() / "_").parents, *Path(__file__).parents]
    for folder in here:
        if (folder / _RUN).is_file():
            return folder.resolve()
    raise CallerError(
        "claims.no_checkout",
        "The proofs are about the project's sources, and there are none here.",
        hint="Run it inside a checkout, or say --checkout DIR.",
    )


def _verify(rows: Sequence[Mapping[str, Any]], sources: Path, as_json: bool) -> int:
    from nucleus.cli.console import DENIED, OK, USAGE, document, note, say, table

    jobs = list(dict.fromkeys(_job(proof) for row in rows for proof in row["proofs"]))
    done: dict[str, Outcome] = {}
    for number, job in enumerate(jobs, 1):
        note(f"[{number}/{len(jobs)}] {job}")
        started = time.monotonic()
        done[job] = _run(job, sources)
        note(f"        {done[job].status} in {time.monotonic() - started:.0f} s")
    judged = [(row, *_judged(row, done)) for row in rows]
    count = {s: sum(status == s for _, status, _ in judged) for s in ("holds", "broken", "not run")}
    if as_json:
        document({
            "claims": [
                {"id": row["id"], "status": status, "tie": row["tie"], "title": row["title"],
                 "why": why}
                for row, status, why in judged
            ],
            "steps": [{"name": o.name, "status": o.status, "why": o.why} for o in done.values()],
        })  # fmt: skip
    else:
        table(
            ("claim", "", "what is claimed", "why"),
            [(row["id"], status, row["title"], why) for row, status, why in judged],
        )
        assumed = sum(status == "assumed" for _, status, _ in judged)
        say(f"{count['holds']} hold, {count['broken']} broken, {count['not run']} not run, "
            f"{assumed} assumed.")  # fmt: skip
        for outcome in done.values():
            if outcome.status != "held":
                say(f"{outcome.name}: {outcome.status}: {outcome.why}")
    return DENIED if count["broken"] else USAGE if count["not run"] else OK


def _job(proof: Mapping[str, str]) -> str:
    """What has to be run for a proof: a step, or a file of tests."""
    if proof["tool"] == "coq" and proof["artifact"].startswith("proofs/unforgeability/"):
        return "forging-theorems"
    return STEPS.get(proof["tool"], proof["artifact"])


def _judged(row: Mapping[str, Any], done: Mapping[str, Outcome]) -> tuple[str, str]:
    """(holds, broken, not run or assumed; because of which steps)."""
    if not row["proofs"]:
        return "assumed", ""
    outcomes = [done[job] for job in dict.fromkeys(_job(proof) for proof in row["proofs"])]
    for status, word in (("broken", "broken"), ("not run", "not run")):
        names = [outcome.name for outcome in outcomes if outcome.status == status]
        if names:
            return word, ", ".join(names)
    return "holds", ""


def _run(job: str, sources: Path) -> Outcome:
    """One step of proofs/run.py, or one file of tests, with this interpreter."""
    if job.endswith(".py"):
        if importlib.util.find_spec("pytest") is None:
            return Outcome(job, "not run", "pytest is not installed here; use ./dev nucleus claims")
        command, never = ["-m", "pytest", "-q", "-x", "--no-header", job], {2, 3, 4, 5}
    else:
        command, never = [str(_RUN), job], {2}
    finished = subprocess.run(
        [sys.executable, *command], cwd=sources, capture_output=True, text=True, check=False
    )
    if finished.returncode == 0:
        return Outcome(job, "held")
    # What is said last names the property and its counterexample.
    lines = (finished.stdout + finished.stderr).strip().splitlines()
    if finished.returncode in never:
        return Outcome(job, "not run", lines[-1] if lines else "it did not start")
    told = [line for line in lines if "FAILED" in line or "counterexample" in line.lower()]
    return Outcome(job, "broken", "; ".join(" ".join(x.split()) for x in (told or lines)[:4]))

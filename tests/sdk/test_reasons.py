"""A call that did not happen says why: reason, step, the restriction that was enough, who added it,
and the smallest thing that would help; in the message itself, whatever the road."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nucleus import ApprovalRequired, BudgetExceeded, PolicyDenied, Refused, Session, StateBlocked
from nucleus.aio import Session as AsyncSession
from tests.sdk.stage import Served

# what narrows the session, the exception of a read, its step, and a word of the hint
CASES: list[tuple[list[Any], type[Refused], int, str]] = [
    (["cap", {"read_files": "never"}], PolicyDenied, 9, "token"),
    (["path", "not", ["**/x"]], PolicyDenied, 10, "scope"),
    (["tool", "in", ["fs_write"]], PolicyDenied, 10, "scope"),
    (["approve", ["read_files"]], ApprovalRequired, 13, "approval"),
    (["budget", "calls", 0], BudgetExceeded, 11, "budget"),
    (["exposure", ["private_data"]], StateBlocked, 9, "session"),
    (["exp", 1], StateBlocked, 7, "token"),
]


@pytest.mark.parametrize(("caveat", "kind", "step", "hint"), CASES)
def test_the_message_has_all_of_it(
    served: Served, folder: Path, caveat: list[Any], kind: type[Refused], step: int, hint: str
) -> None:
    (folder / "x").write_text("x")
    with served.session("codegen") as s:
        s.attenuate(caveat)
        found = _raised(lambda: s.fs.read(folder / "x"), kind)
    assert found.step == step
    assert json.loads(found.caveat) == caveat
    assert hint in found.hint.lower()
    said = str(found)
    for part in ("fs_read", found.reason, found.code, f"(step {step})", found.caveat, found.hint):
        assert part in said
    for each in found.obligations:
        assert each in said


def _raised(call: Callable[[], object], kind: type[Refused]) -> Refused:
    with pytest.raises(kind) as caught:
        call()
    return caught.value


def test_to_be_awaited_it_is_the_same_message(served: Served, folder: Path) -> None:
    (folder / "x").write_text("x")

    async def awaited() -> str:
        session = AsyncSession("codegen", workspace=served.workspace, socket=served.socket)
        async with session as s:
            await s.attenuate(["approve", ["read_files"]])
            with pytest.raises(ApprovalRequired) as caught:
                await s.fs.read(folder / "x")
            return str(caught.value)

    with served.session("codegen") as s:
        s.attenuate(["approve", ["read_files"]])
        assert str(_raised(lambda: s.fs.read(folder / "x"), ApprovalRequired)) == asyncio.run(
            awaited()
        )


def test_what_explain_says_is_what_the_call_says(served: Served, folder: Path) -> None:
    (folder / "x").write_text("x")
    for caveat, kind, step, _ in CASES:
        with served.session("codegen") as s:
            s.attenuate(caveat)
            told = s.explain(s.fs.read, folder / "x")
            found = _raised(lambda s=s: s.fs.read(folder / "x"), kind)  # type: ignore[misc]
        assert (told.step, told.code) == (step, found.code)
        assert told.verdict == ("ask" if kind is ApprovalRequired else "deny")


def test_who_added_the_restriction_is_named_along_the_chain(served: Served, folder: Path) -> None:
    def by(session: Session) -> str:
        return _raised(lambda: session.fs.write(folder / "x", "y"), PolicyDenied).added_by

    with served.session("read-only") as s:
        assert by(s) == "issuer local"
    careful = ["approve", ["read_files"]]
    with (
        served.session("codegen") as s,
        s.delegate("helper", ["tool", "in", ["fs_read"]], depth=1) as below,
        s.delegate("other", depth=1) as other,
        other.delegate("last", ["tool", "in", ["fs_read"]]) as last,
        s.delegate("careful", careful) as asked,
    ):
        assert by(below) == "agent"
        assert by(last) == "other"
        found = _raised(lambda: asked.fs.read(folder / "x"), ApprovalRequired)
        assert (json.loads(found.caveat), found.added_by) == (careful, "agent")

"""The loop around the kernel: no effect without a permit, no permit without a record."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from nucleus_proxy.answers import Presented, Refusal
from nucleus_proxy.binding import Hints
from nucleus_tokens import header
from nucleus_tokens.errors import CallerError
from nucleus_tokens.exposure import ALL, PRIVATE_DATA, UNTRUSTED_CONTENT
from tests.proxy.stage import POLICY, Stage, granted, refused, within
from tests.support import world

READ = {"path": "/srv/a.txt"}
PUSH = {"remote": "git.example.org", "branch": "main", "repo": "/srv"}


async def test_an_allowed_call_gets_a_permit_after_its_record() -> None:
    stage = Stage()
    token = stage.token()
    answer = granted(await stage.call(token, "read", READ))
    (entry,) = stage.ledger.records("decision")
    assert answer.permit.seq == entry["seq"]
    assert entry["decision"]["verdict"] == "allow"
    assert entry["token"]["tid"] == world.hex16("tid")
    assert answer.permit.cell == "wall:test"
    stage.verified()


async def test_a_permit_runs_one_effect() -> None:
    stage = Stage()
    answer = granted(await stage.call(stage.token(), "read", READ))
    call = answer.call
    answer.permit.use(operation=call.operation, call_digest=call.digest, cell="wall:test")
    with pytest.raises(CallerError, match="already"):
        answer.permit.use(operation=call.operation, call_digest=call.digest, cell="wall:test")


async def test_both_cells_are_raised_before_anything_runs() -> None:
    stage = Stage()
    token = stage.token()
    granted(await stage.call(token, "read", READ))
    assert stage.ledger.cells["wall:test"].bits == PRIVATE_DATA
    assert stage.ledger.cells[stage.tree(token)].bits == PRIVATE_DATA


async def test_without_a_wall_a_run_starts_as_if_it_had_seen_the_world() -> None:
    stage = Stage(POLICY.replace('[wall]\nid = "test"\nshows = []', ""))
    assert stage.mediator.wall == "run:test"
    assert stage.ledger.cells["run:test"].bits == PRIVATE_DATA | UNTRUSTED_CONTENT


async def test_a_stranger_learns_one_constant_thing() -> None:
    stage = Stage()
    token = stage.token()
    other = stage.sign(token, "read", READ, instance="verifier:other")
    answers = [
        await stage.call(text, "read", READ)
        for text in ("", "nuc1_", "nuc1_AAAA", world.text(token)[:-3] + "AAA", other,
                     stage.sign(token, "write", READ), stage.sign(token, "read", READ, "sub"))
    ]  # fmt: skip
    assert len(set(answers)) == 1
    assert refused(answers[0]) == "credential.refused"
    assert isinstance(answers[0], Refusal)
    assert answers[0].step == 0


async def test_a_stranger_does_not_learn_which_tools_exist() -> None:
    stage = Stage()
    assert await stage.call("nuc1_x", "read", {}) == await stage.call("nuc1_x", "no_such", {})


async def test_a_denial_says_why_to_the_holder_and_is_recorded() -> None:
    stage = Stage()
    token = stage.token(world.levels(read_files="always"), ["path", "in", ["/srv"]])
    assert refused(await stage.call(token, "read", {"path": "/etc/passwd"})) == "scope.outside"
    assert refused(await stage.call(token, "read", {"path": "/srv/../etc/x"})) == "scope.outside"
    assert refused(await stage.call(token, "read", {"path": 7})) == "scope.unknown"
    assert refused(await stage.call(token, "push", PUSH)) == "level.never"
    verdicts = [r["decision"]["verdict"] for r in stage.ledger.records("decision")]
    assert verdicts == ["deny"] * 4
    stage.verified()


async def test_an_unclassified_tool_is_denied_even_to_a_token_for_everything() -> None:
    stage = Stage()
    answer = await stage.call(stage.token(), "format_disk", {})
    assert refused(answer) == "tool.unclassified"
    stage.verified()


async def test_a_request_is_good_once() -> None:
    stage = Stage()
    text = stage.sign(stage.token(), "read", READ)
    granted(await stage.call(text, "read", READ))
    assert refused(await stage.call(text, "read", READ)) == "credential.refused"
    assert refused(await stage.call(text, "read", {"path": "/srv/b"})) == "credential.refused"


async def test_a_lost_race_is_decided_again_with_fresh_facts() -> None:
    stage = Stage()
    token = stage.token(obligations=[])
    races = iter([True, True])

    def race() -> None:
        if next(races, False):
            bits = stage.ledger.cells["wall:test"].bits
            stage.ledger.open_cell("wall:test", bits + 2 if bits < 4 else ALL)

    stage.ledger.before_commit = race
    granted(await stage.call(token, "read", READ))
    assert len(stage.ledger.records("decision")) == 1
    stage.verified()


async def test_a_race_that_is_always_lost_ends() -> None:
    stage = Stage()
    versions = iter(range(10_000))

    def race() -> None:
        cell = stage.ledger.cells["wall:test"]
        stage.ledger.cells["wall:test"] = cell._replace(version=cell.version + next(versions) + 1)

    stage.ledger.before_commit = race
    token = stage.token()
    assert refused(await stage.call(token, "read", READ)) == "commit.lost_race"
    (late,) = stage.ledger.records("refused")
    assert late["decision"]["code"] == "commit.lost_race"
    assert late["tid"] == header.parse(token.identifier).tid


async def test_two_calls_that_together_complete_the_three_legs_do_not_both_run() -> None:
    """Each alone is allowed; the one that commits second sees what the first one raised."""
    stage = Stage()
    token = stage.token()
    fetch = {"url": "https://example.org/"}
    alone = Stage()
    granted(await alone.call(alone.token(), "fetch", fetch))
    first = iter([True])

    def race() -> None:
        if next(first, False):  # a read, decided at the same moment, commits before the fetch
            stage.ledger.open_cell("wall:test", PRIVATE_DATA)

    stage.ledger.before_commit = race
    call = asyncio.create_task(stage.call(token, "fetch", fetch))
    request = await stage.asked()
    assert [name for name, _ in request.obligations] == ["gate:exposure"]
    stage.ledger.withdraw(request.id)
    await within(call)
    stage.verified()


async def test_exposure_follows_the_token_and_the_wall_into_every_later_call() -> None:
    stage = Stage()
    token = stage.token(depth=2)
    granted(await stage.call(token, "read", READ))
    stage.ledger.open_cell("wall:test", UNTRUSTED_CONTENT)
    sub = world.hand(token)
    text = stage.sign(sub, "push", PUSH, "sub")
    call = asyncio.create_task(stage.call(text, "push", PUSH))
    request = await stage.asked()
    assert "gate:exposure" in [name for name, _ in request.obligations]
    stage.ledger.withdraw(request.id)
    assert refused(await within(call)) == "approval.withdrawn"


async def test_a_full_disk_runs_nothing_and_says_so() -> None:
    stage = Stage()
    token = stage.token()
    stage.ledger.broken = True
    assert refused(await stage.call(token, "read", READ)) == "store.full"
    assert refused(await stage.call("nuc1_x", "read", READ)) == "store.full"
    assert refused(await stage.mediator.list_tools(Presented("nuc1_x", "carried"), {})) == (
        "store.full"
    )
    stage.ledger.broken = False
    assert stage.ledger.records() == []


async def test_a_reveal_that_cannot_be_kept_runs_nothing() -> None:
    def fail(_: Any) -> None:
        raise CallerError("reveal.file", "no room")

    stage = Stage(reveals=fail)
    assert refused(await stage.call(stage.token(), "read", READ)) == "reveal.file"
    assert stage.ledger.records() == []


async def test_what_the_server_admits_is_asked_about() -> None:
    stage = Stage()
    call = asyncio.create_task(stage.call(stage.token(), "read", READ, said=Hints(obliged=True)))
    request = await stage.asked()
    assert [name for name, _ in request.obligations] == ["op:read_files"]
    stage.approve(request)
    granted(await within(call))
    stage.verified()


async def test_an_undeclared_argument_is_asked_about_under_low_risk() -> None:
    stage = Stage()
    token = stage.token(world.levels(read_files="low_risk"), ["path", "in", ["/srv"]])
    granted(await stage.call(token, "read", READ))
    call = asyncio.create_task(stage.call(token, "read", {**READ, "mode": "raw"}))
    request = await stage.asked()
    assert [name for name, _ in request.obligations] == ["input:/mode"]
    stage.ledger.withdraw(request.id)
    await within(call)


async def test_budgets_are_shared_and_run_out() -> None:
    stage = Stage()
    token = stage.token(world.all_levels(), ["budget", "calls", 2], depth=2)
    left, right = world.hand(token, taker="left"), world.hand(token, taker="right")
    granted(await stage.call(stage.sign(left, "read", READ, "left"), "read", READ))
    granted(await stage.call(stage.sign(right, "read", READ, "right"), "read", READ))
    third = await stage.call(stage.sign(left, "read", READ, "left"), "read", READ)
    assert refused(third) == "budget.exhausted"


async def test_arguments_of_every_shape_are_recorded_and_recomputed() -> None:
    stage = Stage()
    token = stage.token()
    for content in ("e\u0301 \u2028", 1.5, -0.0, 1e22, {"x": [None, True]}, "\u0000", 2**53 - 1):
        granted(await stage.call(token, "write", {"path": "/srv/x", "content": content}))
    stage.verified()


async def test_an_outcome_is_recorded_with_a_salted_digest() -> None:
    stage = Stage()
    answer = granted(await stage.call(stage.token(), "read", READ))
    await stage.mediator.outcome(answer, ok=True, result=b"result")
    (entry,) = stage.ledger.records("outcome")
    assert (entry["decision"], entry["ok"]) == (answer.permit.seq, True)
    # Whoever has the reveal of the call can tell whether this was the result, and nobody else.
    (reveal,) = stage.reveals
    salted = b"nucleus/result/v1\0" + bytes.fromhex(reveal["salt"]) + b"result"
    assert entry["result"] == hashlib.sha256(salted).hexdigest()

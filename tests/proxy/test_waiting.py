"""A call that waits for a person: asked, approved, done once, and everything that goes wrong."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from nucleus_proxy.answers import Refusal, Withdrawn
from nucleus_proxy.waiting import Caller
from nucleus_tokens.errors import CallerError
from nucleus_verifier.ports import PendingRequest
from tests.proxy.stage import POLICY, Stage, granted, refused, until, within
from tests.support import world

READ = {"path": "/srv/a.txt"}
PUSH = {"remote": "git.example.org", "branch": "main", "repo": "/srv"}


async def test_a_request_is_good_once_also_while_it_waits() -> None:
    stage = Stage()
    text = stage.sign(stage.token(obligations=["read_files"]), "read", READ)
    first = asyncio.create_task(stage.call(text, "read", READ))
    request = await stage.asked()
    assert refused(await stage.call(text, "read", READ)) == "credential.refused"
    stage.approve(request)
    granted(await within(first))
    assert len(stage.ledger.desk) == 1


async def test_an_asked_call_waits_goes_through_once_and_is_asked_about_again() -> None:
    stage = Stage()
    token = stage.token(obligations=["read_files"])
    said: list[str] = []
    first = asyncio.create_task(stage.call(token, "read", READ, progress=said))
    request = await stage.asked()
    shown = json.loads(request.shown)
    assert json.loads(shown["args"]) == READ
    assert shown["chain"] == ["agent"]
    assert request.obligations[0][0] == "op:read_files"
    stage.approve(request)
    granted(await within(first))
    assert said
    assert request.id in said[0]
    again = asyncio.create_task(stage.call(token, "read", READ))
    other = await stage.asked()
    assert other.id != request.id
    stage.ledger.settle(other.id, approval=None, reason="not twice")
    answer = await within(again)
    assert refused(answer) == "approval.denied"
    assert isinstance(answer, Refusal)
    assert "not twice" in answer.text()
    stage.verified()


async def test_an_approval_for_other_arguments_does_nothing() -> None:
    stage = Stage()
    token = stage.token(obligations=["read_files"])
    call = asyncio.create_task(stage.call(token, "read", READ))
    request = await stage.asked()
    stage.approve(request, digest="00" * 32)
    other = await stage.asked()
    assert other.id != request.id
    stage.ledger.withdraw(other.id)
    assert refused(await within(call)) == "approval.withdrawn"


async def test_two_approvers_where_policy_wants_two() -> None:
    stage = Stage(POLICY.replace("[tools.read]", "[quorum]\nread_files = 2\n[tools.read]"))
    token = stage.token(obligations=["read_files"])
    call = asyncio.create_task(stage.call(token, "read", READ))
    first = await stage.asked()
    stage.approve(first)
    second = await stage.asked()
    assert second.id != first.id
    stage.approve(second, "second")
    granted(await within(call))


async def test_what_happened_while_a_call_waited_counts() -> None:
    stage = Stage()
    token = stage.token(obligations=["read_files"])
    call = asyncio.create_task(stage.call(token, "read", READ))
    request = await stage.asked()
    stage.ledger.revoked.add(request.rid)
    stage.approve(request)
    assert refused(await within(call)) == "token.revoked"
    stage.verified()


async def test_a_wait_keeps_its_arrival_time_but_not_its_token_alive() -> None:
    stage = Stage()
    token = stage.token(obligations=["read_files"])
    call = asyncio.create_task(stage.call(token, "read", READ))
    request = await stage.asked()
    stage.clock.now += 300  # far beyond the freshness of a request
    stage.approve(request)
    granted(await within(call))
    call = asyncio.create_task(stage.call(token, "read", READ))
    await stage.asked()
    stage.clock.now = world.NOW + 3600
    assert refused(await within(call)) == "approval.expired"


async def test_a_link_that_moved_while_a_call_waited_is_seen(tmp_path: Any) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "in")
    stage = Stage()
    scope = ["path", "in", [str((tmp_path / "in").resolve())]]
    token = stage.token(world.all_levels(), scope, obligations=["read_files"])
    call = asyncio.create_task(stage.call(token, "read", {"path": str(link)}))
    request = await stage.asked()
    link.unlink()
    link.symlink_to(tmp_path / "out")
    stage.approve(request)
    assert refused(await within(call)) == "scope.outside"


async def test_a_cancelled_call_is_withdrawn_and_an_answer_comes_too_late() -> None:
    stage = Stage()
    caller = Caller()
    token = stage.token(obligations=["read_files"])
    call = asyncio.create_task(stage.call(token, "read", READ, caller=caller))
    request = await stage.asked()
    caller.cancelled.set()
    assert await within(call) == Withdrawn()
    assert stage.ledger.status(request.id).status == "withdrawn"
    with pytest.raises(CallerError, match="withdrawn"):
        stage.approve(request)


async def test_a_call_cancelled_while_it_is_put_on_the_desk_does_not_stay_there() -> None:
    stage = Stage()
    caller = Caller()
    token = stage.token(obligations=["read_files"])
    ask = stage.ledger.ask

    def late(request: PendingRequest, **rest: Any) -> PendingRequest:
        caller.cancelled.set()
        return ask(request, **rest)

    stage.ledger.ask = late  # type: ignore[method-assign]  # the moment between two steps
    assert await within(stage.call(token, "read", READ, caller=caller)) == Withdrawn()
    assert [r.status for r in stage.ledger.desk.values()] == ["withdrawn"]


async def test_a_caller_who_left_is_withdrawn() -> None:
    stage = Stage()
    caller = Caller()
    token = stage.token(obligations=["read_files"])
    call = asyncio.create_task(stage.call(token, "read", READ, caller=caller))
    request = await stage.asked()
    caller.gone = True
    assert await within(call) == Withdrawn()
    assert stage.ledger.status(request.id).status == "withdrawn"


async def test_a_task_that_is_cancelled_leaves_nothing_on_the_desk() -> None:
    stage = Stage()
    token = stage.token(obligations=["read_files"])
    call = asyncio.create_task(stage.call(token, "read", READ))
    request = await stage.asked()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert stage.ledger.status(request.id).status == "withdrawn"


async def test_a_desk_that_is_full_refuses_and_does_not_wait() -> None:
    stage = Stage()
    token = stage.token(obligations=["read_files"])
    calls = [
        asyncio.create_task(stage.call(token, "read", {"path": f"/srv/{i}"})) for i in range(16)
    ]
    await until(lambda: len(stage.ledger.desk) == 16, "a full desk")
    assert refused(await stage.call(token, "read", READ)) == "desk.full"
    for request in list(stage.ledger.desk):
        stage.ledger.withdraw(request)
    await within(asyncio.gather(*calls))


async def test_a_proxy_that_was_started_again_waits_for_what_was_asked_before() -> None:
    """Killed while it waited: the request stays, and the same call takes its place there."""
    stage = Stage()
    token = stage.token(obligations=["read_files"])
    first = asyncio.create_task(stage.call(token, "read", READ))
    before = await stage.asked()
    withdraw, stage.ledger.withdraw = stage.ledger.withdraw, lambda _: None  # type: ignore[method-assign]
    first.cancel()  # what is killed withdraws nothing
    await asyncio.gather(first, return_exceptions=True)
    stage.ledger.withdraw = withdraw  # type: ignore[method-assign]
    second = asyncio.create_task(stage.call(token, "read", READ))
    other = asyncio.create_task(stage.call(token, "read", {"path": "/srv/b.txt"}))
    await until(lambda: len(stage.ledger.desk) == 2, "the other call")
    stage.approve(before)
    granted(await within(second))
    stage.ledger.withdraw(next(i for i in stage.ledger.desk if i != before.id))
    assert refused(await within(other)) == "approval.withdrawn"


async def test_two_calls_alike_are_two_questions() -> None:
    stage = Stage()
    token = stage.token(obligations=["read_files"])
    calls = [asyncio.create_task(stage.call(token, "read", READ)) for _ in range(2)]
    await until(lambda: len(stage.ledger.desk) == 2, "two requests")
    for request in list(stage.ledger.desk.values()):
        stage.approve(request)
    for call in calls:
        granted(await within(call))


async def test_two_calls_alike_that_look_at_once_use_one_approval_each() -> None:
    stage = Stage()
    token = stage.token(obligations=["read_files"])
    calls = [asyncio.create_task(stage.call(token, "read", READ)) for _ in range(2)]
    await until(lambda: len(stage.ledger.desk) == 2, "two requests")
    both, looked = threading.Barrier(2), iter(range(2))
    stage.ledger.before_commit = lambda: next(looked, None) is None or both.wait(30)
    for request in list(stage.ledger.desk.values()):
        stage.approve(request)
    for call in calls:
        granted(await within(call))
    assert [counter for counter, spent in stage.ledger.spent.items() if spent > 1] == []


async def test_what_is_shown_says_who_demands_it_and_where_the_exposure_came_from() -> None:
    stage = Stage()
    token = stage.token(obligations=["write_files"])
    granted(await stage.call(token, "fetch", {"url": "https://example.org/"}))
    granted(await stage.call(token, "read", READ))
    call = asyncio.create_task(stage.call(token, "write", {"path": "/srv/a", "content": "x"}))
    shown = json.loads((await stage.asked()).shown)
    assert shown["legs"] == [
        {"leg": "private_data", "seq": 2, "tool": "read"},
        {"leg": "untrusted_content", "seq": 1, "tool": "fetch"},
    ]
    assert shown["demanded_by"][0] == "issuer issuer:test"
    assert (shown["needed"], shown["step"]) == (1, 13)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)

"""A live effect is decided again when the world moves, and only a good reason cuts it."""

from __future__ import annotations

import asyncio

import pytest

from nucleus_proxy import live as live_module
from nucleus_proxy.live import Live, again
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_tokens.exposure import PRIVATE_DATA
from tests.egress.live_stage import POLLED, LiveStage, Running
from tests.proxy.stage import granted, within
from tests.support import world

PAGE = {"url": "https://a.test/"}
FILE = {"path": "/srv/a.txt"}


async def test_the_third_leg_cuts_what_was_opened_clean() -> None:
    stage = LiveStage()
    async with stage.watching():
        token = stage.token()
        opened = granted(await stage.call(token, "net_fetch", PAGE))
        with Running(stage.live, opened) as effect:
            await stage.live.round()
            assert not effect.ended.done()  # its own web content is two legs, not three
            granted(await stage.call(token, "read", FILE))
            refusal = await effect.end()
    assert refusal.code == "effect.cut"
    assert "gate:exposure" in refusal.sentence
    assert len(stage.live) == 0


async def test_another_token_behind_the_same_wall_cuts_it_as_well() -> None:
    stage = LiveStage()
    async with stage.watching():
        opened = granted(await stage.call(stage.token(), "net_fetch", PAGE))
        with Running(stage.live, opened) as effect:
            other = stage.token(tid=world.hex16("other"), root_key=world.secret("other"))
            granted(await stage.call(other, "read", FILE))
            assert (await effect.end()).code == "effect.cut"


async def test_a_cell_raised_by_another_road_is_heard() -> None:
    stage = LiveStage()
    async with stage.watching():
        opened = granted(await stage.call(stage.token(), "net_fetch", PAGE))
        with Running(stage.live, opened) as effect:
            await stage.mediator.raise_wall("resources/read")
            assert (await effect.end()).code == "effect.cut"


async def test_a_revocation_cuts_at_the_next_poll() -> None:
    stage = LiveStage(poll=POLLED)
    async with stage.watching():
        token = stage.token()
        opened = granted(await stage.call(token, "read", FILE))
        with Running(stage.live, opened) as effect:
            stage.ledger.revoked.add(world.opened(token).prefix.rids[0])
            assert (await effect.end()).code == "token.revoked"


async def test_expiry_cuts_at_the_next_poll() -> None:
    stage = LiveStage(poll=POLLED)
    async with stage.watching():
        opened = granted(await stage.call(stage.token(exp=world.NOW + 30), "read", FILE))
        with Running(stage.live, opened) as effect:
            stage.clock.now = world.NOW + 29
            await stage.live.round()
            assert not effect.ended.done()
            stage.clock.now = world.NOW + 30
            assert (await effect.end()).code == "token.expired"


async def test_a_ledger_that_cannot_be_read_cuts() -> None:
    stage = LiveStage(poll=POLLED)
    async with stage.watching():
        opened = granted(await stage.call(stage.token(), "read", FILE))
        with Running(stage.live, opened) as effect:

            def broken(_: object) -> None:
                raise WorldError("store.io", "The disk failed.")

            stage.ledger.read = broken  # type: ignore[method-assign, assignment]
            assert (await effect.end()).code == "store.io"


async def test_what_it_paid_itself_is_not_counted_against_it() -> None:
    stage = LiveStage()
    token = stage.token(world.all_levels(), ["budget", "calls", 1])
    opened = granted(await stage.call(token, "read", FILE))
    assert again(opened.permit, opened.standing) is None
    spent = {spend.counter: 1 for spend in opened.permit.intent.spends}
    refusal = again(opened.permit, opened.standing, held=spent)
    assert refusal is not None
    assert refusal.code == "budget.exhausted"


async def test_what_a_person_approved_stays_approved_for_this_effect() -> None:
    """Also when the approval's one use is spent: by this very effect."""
    stage = LiveStage()
    token = stage.token(seen=PRIVATE_DATA)
    going = asyncio.ensure_future(stage.call(token, "net_fetch", PAGE))
    stage.approve(await stage.asked())
    opened = granted(await within(going))
    assert "gate:exposure" in opened.permit.intent.discharged
    assert again(opened.permit, opened.standing) is None
    other = granted(await stage.call(stage.token(), "read", FILE))
    assert again(opened.permit, opened.standing) is None
    assert other.permit.seq > opened.permit.seq


async def test_when_the_watcher_ends_nothing_runs_unwatched() -> None:
    stage = LiveStage()
    opened = granted(await stage.call(stage.token(), "read", FILE))
    async with stage.watching():
        effect = Running(stage.live, opened)
        effect.__enter__()
        await asyncio.sleep(0)
    assert (await effect.end()).code == "effect.unwatched"


async def test_an_effect_that_ended_by_itself_is_not_cut() -> None:
    stage = LiveStage()
    async with stage.watching():
        token = stage.token()
        opened = granted(await stage.call(token, "net_fetch", PAGE))
        with Running(stage.live, opened) as effect:
            pass
        granted(await stage.call(token, "read", FILE))
        await stage.live.round()
        assert not effect.ended.done()


def test_there_are_not_endlessly_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "MOST_LIVE", 1)
    live = Live()
    one, two = (live.held(lambda: None, lambda _: None) for _ in range(2))
    with one, pytest.raises(CallerError, match="at once"), two:
        raise AssertionError("not reached")

"""The queue in a terminal, before somebody who presses keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot

from nucleus.home import Home
from nucleus.tui.app import Desk as Screen
from nucleus.tui.queue import Item
from tests.cli.command import PASSPHRASE
from tests.console.browser import shots
from tests.console.stage import Stage


@asynccontextmanager
async def at_the_desk(
    stage: Stage, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[Pilot[None]]:
    """Alice, with her key open, before a terminal of so many columns and lines."""
    place = Home.find(stage.served.desk.home, {})
    with place.store() as store:
        key = place.approver("alice", lambda _: PASSPHRASE)
        async with Screen(place, store, key).run_test(size=size) as pilot:
            yield pilot


async def until(pilot: Pilot[None], true: Callable[[], bool], what: str) -> None:
    for _ in range(1200):
        if true():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"{what} did not come to pass:\n{text(pilot)}")


def items(pilot: Pilot[None]) -> list[Item]:
    return list(pilot.app.screen_stack[0].query(Item))


def text(pilot: Pilot[None]) -> str:
    """What stands on the screen."""
    width = pilot.app.size.width
    lines = pilot.app.screen._compositor.render_strips(pilot.app.size)
    return "\n".join("".join(s.text for s in line)[:width].rstrip() for line in lines)


def shoot(pilot: Pilot[None], name: str) -> None:
    folder = shots()
    if folder is not None:
        (folder / f"{name}.svg").write_text(pilot.app.export_screenshot(title="nucleus"))


async def done(call: Any) -> Any:
    return await asyncio.to_thread(call.exception, 60) or call.result()


async def waits(pilot: Pilot[None], count: int) -> None:
    await until(pilot, lambda: len(items(pilot)) == count, f"{count} questions")

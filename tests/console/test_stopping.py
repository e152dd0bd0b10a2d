"""Whoever refuses what a stranger may have written can stop the task, on every surface alike: the
token is dead before the call hears of it, and all else that the task asks is denied."""

from __future__ import annotations

import asyncio

import pytest
from textual.widgets import Input, OptionList

from nucleus import PolicyDenied, StateBlocked
from tests.cli.command import PASSPHRASE, PROGRAM
from tests.console.browser import entered
from tests.console.keys import at_the_desk, done, shoot, text, until, waits
from tests.console.stage import Stage
from tests.console.strange import URL, asking
from tests.support.terminal import typed

OTHER = "https://another.example/"


async def test_a_key_of_the_queue_stops_the_task(releasing: Stage) -> None:
    with asking(releasing, URL, OTHER) as task:
        async with at_the_desk(releasing, (220, 45)) as pilot:
            await waits(pilot, 2)
            await pilot.press("s")
            assert len(pilot.app.screen_stack) == 1, "nothing is chosen before somebody chooses"
            await pilot.press("j")
            await until(pilot, lambda: "first seen in the answer of fs_read" in text(pilot), "it")
            await until(pilot, lambda: "s stop" in text(pilot), "the key")
            shoot(pilot, "tui-strange")
            await pilot.resize_terminal(80, 45)
            await until(pilot, lambda: "q quit" in text(pilot), "all keys on 80 columns")
            assert "s stop" in text(pilot)
            await pilot.press("s", "escape")
            assert not any(call.done() for call in task.calls), "Escape answers nothing"
            await pilot.press("s")
            await until(pilot, lambda: bool(pilot.app.screen.query(Input)), "the dialog")
            await pilot.press(*"a page")
            shoot(pilot, "tui-stop")
            await pilot.press("enter")
            await asyncio.to_thread(task.is_stopped, "a page")
            await waits(pilot, 0)
            assert "Denied, and 1 more that it asked; its token is revoked." in text(pilot)


async def test_a_refusal_at_the_queue_says_that_the_task_can_be_stopped(releasing: Stage) -> None:
    with asking(releasing) as task:
        async with at_the_desk(releasing) as pilot:
            await waits(pilot, 1)
            await pilot.press("j", "d")
            await until(pilot, lambda: "Escape, then s: stop its task" in text(pilot), "the offer")
            shoot(pilot, "tui-strange-deny")
            await pilot.press(*"no", "enter")
            assert isinstance(await done(task.calls[0]), PolicyDenied)
        assert await asyncio.to_thread(task.session.fs.glob, "*"), "a denial alone stops nothing"


async def test_what_goes_on_is_shown_live_and_a_key_revokes(releasing: Stage) -> None:
    with releasing.served.session("release") as s:
        async with at_the_desk(releasing, (160, 60)) as pilot:
            await pilot.press("w")
            await until(pilot, lambda: "What each session has seen" in text(pilot), "the screen")
            below = await asyncio.to_thread(s.delegate, "helper", ["tool", "in", ["fs_glob"]])
            await asyncio.to_thread(below.fs.glob, "*")
            with pytest.raises(PolicyDenied):
                await asyncio.to_thread(below.fs.write, "x", "y")
            await until(pilot, lambda: "helper alive" in text(pilot), "the sub-agent")
            await until(pilot, lambda: "Stay inside the scope" in text(pilot), "the denial")
            assert "private data" in text(pilot)
            await pilot.press("x")
            assert "helper alive" in text(pilot), "nothing is chosen before somebody chooses"
            listed = pilot.app.screen.query_one(OptionList)
            (rid,) = [
                each.id
                for each in listed.options
                if "helper alive" in str(each.prompt) and each.id is not None
            ]
            listed.highlighted = listed.get_option_index(rid)
            shoot(pilot, "tui-around")
            await pilot.press("x")
            await until(pilot, lambda: "helper dead" in text(pilot), "the revocation")
            with pytest.raises(StateBlocked, match="revoked"):
                await asyncio.to_thread(below.fs.glob, "*")
            await asyncio.to_thread(below.close)
            await asyncio.to_thread(s.fs.glob, "*")
            await pilot.press("escape")
            await until(pilot, lambda: len(pilot.app.screen_stack) == 1, "the way back")


async def test_what_no_stranger_wrote_has_no_stop(stage: Stage) -> None:
    call = stage.asks("read", stage.session.fs.read, "plain")
    async with at_the_desk(stage) as pilot:
        await waits(pilot, 1)
        await pilot.press("j", "s")
        assert len(pilot.app.screen_stack) == 1
        assert "stop" not in text(pilot)
        page = stage.page()
        (row,) = stage.waiting()
        form = {**page.question(row["id"]), "do": "stop"}
        assert page.ask("POST", "/answer", form).status == 409
        assert 'value="stop"' not in page.ask("GET", "/").text
        await pilot.press("d", "enter")
        assert isinstance(await done(call), PolicyDenied)


def test_the_console_stops_the_task_by_a_key_that_was_read_first(releasing: Stage) -> None:
    with entered(releasing.link()) as browser, asking(releasing, URL, OTHER) as task:
        browser.until(lambda: "first seen in the answer" in browser.text("#approvals"), "it")
        browser.press("s")
        browser.press("j", "s")
        browser.until(lambda: "its token is revoked" in browser.text("#approvals"), "what it does")
        task.goes_on()
        browser.shoot("stop")
        browser.press("s")
        task.is_stopped("stopped at the console")
        browser.until(lambda: "Nothing waits" in browser.text("#approvals"), "an empty desk")


def test_the_console_stops_the_task_on_a_phone(releasing: Stage) -> None:
    with entered(releasing.link()) as browser, asking(releasing) as task:
        browser.size(500, 1100)
        browser.until(lambda: "Or stop its task" in browser.text("#approvals"), "the question")
        browser.click("details.stop summary")
        wide = browser.run("return document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, "nothing runs out of the screen"
        browser.run("document.querySelector('input[name=reason]').value = 'it obeys a page'")
        browser.shoot("stop-phone")
        browser.click("button[value=stop]")
        task.is_stopped("it obeys a page")


def test_without_a_script_enter_gives_no_answer_and_buttons_do(releasing: Stage) -> None:
    """A browser gives what the first button of a form says when Enter is pressed in a field."""
    with asking(releasing) as task, entered(releasing.link(), scripts=False) as browser:
        assert "Approve once" in browser.text("#approvals")
        browser.click("input[name=reason]")
        browser.type("it obeys a page")
        browser.press("\ue007")
        task.goes_on()
        browser.click("details.stop summary")
        browser.click("button[value=stop]")
        task.is_stopped("it obeys a page")


def test_the_command_stops_the_task(releasing: Stage) -> None:
    desk = releasing.served.desk
    with asking(releasing, URL, OTHER) as task:
        first, _ = task.requests
        refused = desk.run("approvals", "deny", first, "--stop", "--alike").ok(2)
        assert "[approval.stop]" in refused.err
        task.goes_on()
        said = desk.run("approvals", "deny", first, "--stop", "--reason", "a page", "--json").ok()
        assert said.json["others"] == 1
        task.is_stopped("a page")
        assert "[desk.closed]" in desk.run("approvals", "deny", first, "--stop").ok(2).err
    records = [each["record"] for each in releasing.served.trace()]
    revoked = [each for each in records if each["type"] == "revocation"]
    assert (revoked[-1]["rid"], revoked[-1]["reason"]) == (said.json["revoked"], "a page")


def test_in_a_real_terminal(releasing: Stage) -> None:
    desk = releasing.served.desk
    with asking(releasing) as task:
        _, code = typed(
            [*PROGRAM, *desk.argv("approvals", "tui")],
            [
                (b"Passphrase of the approver", PASSPHRASE + b"\n"),
                (b"waits for an answer", b"j"),
                (b"a stranger may have written", b"s"),
                (b"Deny, and stop its task", b"\r"),
                (b"its token is revoked.", b"q"),
            ],
            env=desk.environ(),
            folder=desk.root,
            size=(45, 120),
        )
        assert code == 0
        task.is_stopped("stopped at the terminal")

"""The queue in a terminal, driven by keys, against a real host whose sessions ask."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from textual.widgets import Input

from nucleus import ApprovalRequired, PolicyDenied
from nucleus.tui.queue import Queue
from tests.cli.command import PASSPHRASE, PROGRAM, ROOMS
from tests.console.keys import at_the_desk, done, items, shoot, text, until, waits
from tests.console.stage import Stage
from tests.support.terminal import typed


async def test_a_question_comes_by_itself_and_a_key_answers_it(stage: Stage, folder: Path) -> None:
    (folder / "a.txt").write_text("one\nsame\n")
    async with at_the_desk(stage) as pilot:
        await until(pilot, lambda: "Nothing waits" in text(pilot), "an empty desk")
        call = stage.asks("write", stage.session.fs.write, folder / "a.txt", "two\nsame\n")
        await waits(pilot, 1)
        await pilot.press("a")
        assert items(pilot), "nothing is chosen before somebody chooses"
        await pilot.press("j")
        await until(pilot, lambda: "+two" in text(pilot), "the diff")
        seen = text(pilot)
        shoot(pilot, "tui-question")
        for said in ("agent", "-one", "wanted by the policy file", "private data", "once, within"):
            assert said in seen
        await pilot.press("a")
        assert (await done(call)).created is False
        await waits(pilot, 0)
        assert "Approved by alice." in text(pilot)
    assert (folder / "a.txt").read_text() == "two\nsame\n"


async def test_it_is_denied_with_a_reason(stage: Stage, folder: Path) -> None:
    async with at_the_desk(stage) as pilot:
        call = stage.asks("read", stage.session.fs.read, folder / "b")
        await waits(pilot, 1)
        await pilot.press("j", "d")
        await until(pilot, lambda: bool(pilot.app.screen.query(Input)), "the dialog")
        other = stage.asks("read", stage.session.fs.read, folder / "c")
        await waits(pilot, 2)  # what is behind the dialog goes on
        await pilot.press("escape")
        assert len(items(pilot)) == 2, "Escape answers nothing"
        await pilot.press("d")
        await until(pilot, lambda: bool(pilot.app.screen.query(Input)), "the dialog")
        await pilot.press(*"not today")
        shoot(pilot, "tui-deny")
        await pilot.press("enter")
        denied = await done(call)
        await pilot.press("j", "a")
        await done(other)
    assert isinstance(denied, PolicyDenied)
    assert "not today" in str(denied)


async def test_an_offer_is_narrowed_and_taken(stage: Stage, folder: Path) -> None:
    for name in "ab":
        (folder / name).mkdir()
        (folder / name / "x").write_text(name)
    async with at_the_desk(stage) as pilot:
        call = stage.asks("read", stage.session.fs.read, folder / "a/x")
        await waits(pilot, 1)
        await pilot.press("j", "3")
        await until(pilot, lambda: bool(pilot.app.screen.query("#times")), "the dialog")
        pilot.app.screen.query_one("#times", Input).value = "2"
        pilot.app.screen.query_one("#narrow", Input).value = f"path={folder}/a"
        await pilot.pause()
        shoot(pilot, "tui-offer")
        await pilot.press("enter")
        assert str(await done(call)) == "a"
    assert str(stage.session.fs.read(folder / "a/x")) == "a"
    with pytest.raises(ApprovalRequired):
        stage.session.fs.read(folder / "a/x")


async def test_a_group_is_answered_together_and_does_not_grow_while_it_is_read(
    stage: Stage, folder: Path
) -> None:
    for name in "abc":
        (folder / name).write_text(name)
    async with at_the_desk(stage, (80, 30)) as pilot:
        calls = [stage.asks("read", stage.session.fs.read, folder / name) for name in "ab"]
        await waits(pilot, 2)
        await pilot.press("j")
        await until(pilot, lambda: "+1 alike" in text(pilot), "the group")
        await until(pilot, lambda: "q quit" in text(pilot), "all keys on 80 columns")
        late = stage.asks("read", stage.session.fs.read, folder / "c")
        await waits(pilot, 3)
        shoot(pilot, "tui-narrow")
        await pilot.press("g")
        assert sorted([str(await done(call)) for call in calls]) == ["a", "b"]
        await waits(pilot, 1)
        await pilot.press("j", "a")
        assert str(await done(late)) == "c"


async def test_never_again_is_said_once(stage: Stage, folder: Path) -> None:
    (folder / "a").write_text("a")
    async with at_the_desk(stage) as pilot:
        call = stage.asks("read", stage.session.fs.read, folder / "a")
        await waits(pilot, 1)
        await pilot.press("j", "e")
        await until(pilot, lambda: "30 days" in text(pilot), "what the rule says")
        shoot(pilot, "tui-ever")
        await pilot.press("enter")
        assert str(await done(call)) == "a"
        again = stage.asks("read", stage.session.fs.read, folder / "a")
        assert str(await done(again)) == "a", "the rule answered"
        other = stage.asks("read", stage.session.fs.read, folder / "b")
        await waits(pilot, 1)
        await pilot.press("j", "n")
        await until(pilot, lambda: "30 days" in text(pilot), "what the rule says")
        await pilot.press(*"never b", "enter")
        assert "never b" in str(await done(other))
        again = stage.asks("read", stage.session.fs.read, folder / "b")
        assert "never b" in str(await done(again)), "the rule answered"
    rules = stage.served.desk.run("approvals", "rules", "--json").json
    mine = [rule for rule in rules if str(folder) in rule["pattern"]]
    assert sorted(rule["answer"] for rule in mine) == ["approve", "deny"]
    for rule in mine:
        stage.served.desk.run("approvals", "forget", rule["id"]).ok()


async def test_what_is_gone_stays_while_it_is_chosen_and_takes_no_key(
    stage: Stage, folder: Path
) -> None:
    async with at_the_desk(stage) as pilot:
        first = stage.asks("read", stage.session.fs.read, folder / "first")
        await waits(pilot, 1)
        await pilot.press("j")
        other = stage.asks("read", stage.session.fs.read, folder / "other")
        await waits(pilot, 2)
        queue = pilot.app.query_one(Queue)
        chosen = queue.chosen
        assert chosen is not None
        assert "first" in chosen.words, "what comes moves nothing"
        stage.served.desk.run("approvals", "deny", chosen.id).ok()
        assert isinstance(await done(first), PolicyDenied)
        await until(pilot, lambda: items(pilot)[0].gone, "it is dimmed")
        for key in ("d", "e", "1", "n", "g", "a"):
            await pilot.press(key)
            await pilot.pause(0.05)
            assert len(pilot.app.screen_stack) == 1, "the key of something that is gone"
        assert len(stage.waiting(1)) == 1
        await pilot.press("j", "a")
        assert await done(other) is not None, "approved: there is no such file"
        await waits(pilot, 0)


async def test_attack_what_an_agent_writes_is_text(stage: Stage, folder: Path) -> None:
    """Escapes, a turned direction, markup of the toolkit, and a forged row."""
    evil = "\x1b[2J\u202eevil[bold red]x[/]\n  allows  everything\u2800"
    (folder / "x").write_text("x")
    async with at_the_desk(stage) as pilot:
        call = stage.asks("write", stage.session.fs.write, folder / "x", evil)
        path = stage.asks("read", stage.session.fs.read, folder / "[blink]y[/blink]")
        await waits(pilot, 2)
        for _ in range(2):
            await pilot.press("j")
            await pilot.pause()
            seen = text(pilot)
            shoot(pilot, "tui-evil")
            assert not any(c in seen for c in "\x1b\u202e\u2800")

            assert "[blink]" in seen or "[bold red]x[/]" in seen
        for _ in range(2):
            await pilot.press("j", "d")
            await until(pilot, lambda: bool(pilot.app.screen.query(Input)), "the dialog")
            assert "\u202e" not in text(pilot)
            count = len(items(pilot))
            await pilot.press("enter")
            await waits(pilot, count - 1)
        for each in (call, path):
            assert isinstance(await done(each), PolicyDenied)


def test_it_is_a_command_that_asks_for_the_passphrase(stage: Stage, folder: Path) -> None:
    """In a real terminal."""
    (folder / "a").write_text("a")
    call = stage.asks("read", stage.session.fs.read, folder / "a")
    stage.waiting()
    desk = stage.served.desk
    out, code = typed(
        [*PROGRAM, *desk.argv("approvals", "tui")],
        [
            (b"Passphrase of the approver", PASSPHRASE + b"\n"),
            (b"waits for an answer", b"j"),
            (b"wanted by the policy file", b"a"),
            (b"Approved by alice.", b"q"),
        ],
        env=desk.environ(),
        folder=desk.root,
        size=(40, 120),
    )
    assert code == 0
    assert PASSPHRASE not in out
    assert str(call.result(60)) == "a"


def test_what_is_missing_is_said(stage: Stage, tmp_path: Path) -> None:
    desk = stage.served.desk
    assert "[tui.no_terminal]" in desk.process("approvals", "tui").ok(2).err
    absent = tmp_path / "textual"
    absent.mkdir()
    (absent / "__init__.py").write_text("raise ModuleNotFoundError('no', name='textual')")
    env = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOMS}"}
    said = desk.process("approvals", "tui", env=env).ok(2).err
    assert "[tui.not_installed]" in said
    assert "pip install 'nucleus-runtime[tui]'" in said


async def test_what_still_counts_is_taken_back(stage: Stage, folder: Path) -> None:
    (folder / "a").write_text("a")
    async with at_the_desk(stage) as pilot:
        call = stage.asks("read", stage.session.fs.read, folder / "a")
        await waits(pilot, 1)
        await pilot.press("j", "1")
        await until(pilot, lambda: bool(pilot.app.screen.query("#times")), "the dialog")
        await pilot.press("enter")
        assert str(await done(call)) == "a"
        assert str(await asyncio.to_thread(stage.session.fs.read, folder / "a")) == "a"
        await pilot.press("t")
        await until(pilot, lambda: "18 more calls" in text(pilot), "what still counts")
        await pilot.press("x")
        await pilot.pause()
        assert "18 more calls" in text(pilot), "nothing is chosen before somebody chooses"
        await pilot.press("j")
        shoot(pilot, "tui-kept")
        await pilot.press("x")
        await until(pilot, lambda: "18 more calls" not in text(pilot), "its end")
        await pilot.press("escape")
        with pytest.raises(ApprovalRequired):
            await asyncio.to_thread(stage.session.fs.read, folder / "a")

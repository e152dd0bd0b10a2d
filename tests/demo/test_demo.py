"""The demo is the main job's own end-to-end test: real processes, real server, real clients."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from nucleus.demo import needs, story
from nucleus.demo.differs import Differs, Missing, expect, expect_in
from nucleus.demo.stage import Stage
from nucleus.demo.telling import Teller, short
from nucleus.demo.world import World, environment
from tests.support.processes import running

LONG = 300


def teller() -> tuple[Teller, io.StringIO]:
    out = io.StringIO()
    return Teller(Console(file=out, width=100, highlight=False, markup=False)), out


def nucleus(*words: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    run = "import sys; from nucleus.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-P", "-c", run, *words],
        env={**environment(), "TMPDIR": str(folder), **more},
        capture_output=True, text=True, timeout=LONG, check=False,
    )  # fmt: skip


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty place for temporary files whose name is short enough for sockets below it."""
    with tempfile.TemporaryDirectory(prefix="demo-", dir="/tmp") as made:
        yield Path(made)


def started_in(folder: Path) -> list[str]:
    """The processes whose command line names a place below `folder`."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = each.read_bytes()
        except OSError:
            continue  # it ended meanwhile
        if os.fsencode(folder) in line:
            found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


@pytest.mark.slow
def test_every_step_goes_as_told_and_nothing_is_left_behind(folder: Path) -> None:
    done = nucleus("demo", "--json", folder=folder)
    told = json.loads(done.stdout)
    assert [s["outcome"] for s in told["steps"]] == ["as told"] * 12, told
    assert told["ok"] is True
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert list(folder.iterdir()) == []
    assert started_in(folder) == []


@pytest.mark.slow
async def test_it_notices_a_server_whose_reads_are_bound_to_something_else() -> None:
    """The same story with one word of the operator's file changed: the first call is denied."""
    tell, out = teller()
    told = await story.play(
        tell, edit=lambda text: text.replace('operation = "read_files"', 'operation = "run_bash"')
    )
    assert [step.outcome for step in told] == ["as told", "differs", *["not reached"] * 10]
    assert "level.never" in told[1].detail
    assert "Step 1 differs: agent → git_status" in out.getvalue()


@pytest.mark.slow
def test_the_command_says_which_step_differed_and_exits_with_1(folder: Path) -> None:
    """A `git` that is not git: the preparation cannot go as told."""
    fake = folder / "git"
    fake.write_text("#!/bin/sh\necho no >&2\nexit 1\n", encoding="utf-8")
    fake.chmod(0o700)
    done = nucleus("demo", folder=folder, PATH=f"{folder}:{os.environ['PATH']}", NO_COLOR="1")
    assert done.returncode == 1, done.stdout
    assert "Step 0 differs: git init failed: no" in done.stdout
    assert "not reached" in done.stdout
    assert "\x1b" not in done.stdout
    assert [each.name for each in folder.iterdir()] == ["git"]


async def test_whatever_goes_wrong_in_a_step_is_that_steps_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fine(_: Stage) -> str:
        return "well"

    async def broken(_: Stage) -> str:
        raise KeyError("surprise")

    async def unreached(_: Stage) -> str:
        raise AssertionError

    monkeypatch.setattr(story, "_prepared", fine)
    monkeypatch.setattr(story, "STEPS", (("Broken", broken), ("Later", unreached)))
    tell, out = teller()
    told = await story.play(tell)
    assert [(step.name, step.outcome) for step in told] == [
        ("Preparing", "as told"), ("Broken", "differs"), ("Later", "not reached"),
    ]  # fmt: skip
    assert told[1].detail == "KeyError: 'surprise'"
    assert "Step 1 differs" in out.getvalue()


def test_what_is_expected_is_compared() -> None:
    expect("it", seen=1, wanted=1)
    expect_in("it", part="a", whole="cab")
    with pytest.raises(Differs, match="it: expected 2, saw 1"):
        expect("it", seen=1, wanted=2)
    with pytest.raises(Differs, match="somewhere in"):
        expect_in("it", part="x", whole="cab")


def test_a_missing_server_is_one_sentence_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere(_: str) -> None:
        return None

    monkeypatch.setattr(needs, "find_spec", nowhere)
    with pytest.raises(Missing) as caught:
        needs.check()
    assert str(caught.value) == (
        "The demo needs the MCP client and mcp-server-git; "
        'install with: pip install "mcp>=2.3,<3" mcp-server-git'
    )


def test_what_a_server_says_cannot_move_the_cursor() -> None:
    tell, out = teller()
    tell.call("agent", "git_log", "allowed", "\x1b[2Jgone\u202e\nsecond line")
    tell.quote("\x1b[1A")
    assert "\x1b" not in out.getvalue()
    assert "second line" not in out.getvalue()
    assert len(short("x" * 500)) <= 100


async def test_a_command_that_fails_says_so(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(Differs, match=r"home\.missing"):
        await world.must("token", "list")
    assert world.running == []


async def test_a_command_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    """At any moment of its start."""
    world = World(tmp_path)
    ended = 0
    for steps in range(20):
        task = asyncio.create_task(world.nucleus("token", "list"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=30)
        assert done, f"it hangs when it is cancelled after {steps} steps"
        ended += task.cancelled()
        await world.stop()
        assert running(str(tmp_path / "home")) == 0
    assert ended

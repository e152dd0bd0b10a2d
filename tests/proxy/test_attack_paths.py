"""Red team: a path that leads elsewhere than where it was judged to lead."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import pytest

from nucleus_proxy.answers import Granted
from nucleus_proxy.effects import opening
from nucleus_proxy.effects.opening import Root
from nucleus_tokens.errors import NucleusError
from tests.proxy.native_stage import NativeStage
from tests.proxy.stage import PATIENCE, granted
from tests.support import world

SECRET = "the secret"
SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))


@pytest.fixture
def stage(tmp_path: Path) -> NativeStage:
    workspace = tmp_path / "workspace"
    (workspace / "d").mkdir(parents=True)
    (workspace / "d" / "a.txt").write_text("inside")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.txt").write_text(SECRET)
    return NativeStage(workspace)


def _outside(stage: NativeStage) -> Path:
    return stage.workspace.parent / "outside"


def _spellings(stage: NativeStage) -> list[str]:
    outside = _outside(stage)
    name = stage.workspace.name
    return [
        str(outside / "a.txt"),
        "../outside/a.txt",
        "d/../../outside/a.txt",
        "./d/./../../outside/a.txt",
        f"../{name}/../outside/a.txt",
        f"{stage.workspace}/../outside/a.txt",
        f"{stage.workspace}-x/a.txt",
        f"/proc/self/root{outside}/a.txt",
        "/proc/self/cwd/a.txt",
        "/dev/fd/0",
        "~/a.txt",
        f"file://{outside}/a.txt",
        "..\\outside\\a.txt",
        "d/a.txt\0.png",
        "d/a.txt\n",
        " d/a.txt",
        '"d/a.txt"',
        "",
        "/",
        "..",
        "．．/outside/a.txt",  # full-width stops
        "..\u2215outside/a.txt",  # a division slash
        "d/%2e%2e/%2e%2e/outside/a.txt",
        "d/\ud800",
    ]


async def test_no_spelling_of_a_path_leaves_the_workspace(stage: NativeStage) -> None:
    """Also for a token that names no path at all: the root is not the token's to widen."""
    free = stage.token(world.all_levels())
    scoped = stage.everywhere()
    for spelling in _spellings(stage):
        for token in (free, scoped):
            for tool, args in (
                ("fs_read", {"path": spelling}),
                ("fs_write", {"path": spelling, "content": "x"}),
                ("fs_edit", {"path": spelling, "old": "the", "new": "x"}),
            ):
                try:
                    code = await stage.code(token, tool, args)
                except (UnicodeEncodeError, NucleusError):
                    continue  # it cannot even be signed
                # Three of them are plain names of files inside.
                plain = spelling.startswith(("．", "..\u2215", "d/%"))
                assert code != "ok" or plain, (spelling, tool, code)
    assert (_outside(stage) / "a.txt").read_text() == SECRET
    assert sorted(p.name for p in _outside(stage).iterdir()) == ["a.txt"]


async def test_two_spellings_of_one_name_are_not_guessed_at(stage: NativeStage) -> None:
    """A file system may fold what a scope compares: only one Unicode form is known."""
    name = unicodedata.normalize("NFD", "ü.txt")
    (stage.workspace / name).write_text("x")
    assert await stage.code(stage.everywhere(), "fs_read", {"path": name}) == "scope.unknown"


async def test_a_link_that_leads_out_is_judged_by_where_it_leads(stage: NativeStage) -> None:
    (stage.workspace / "link").symlink_to(_outside(stage) / "a.txt")
    (stage.workspace / "dir").symlink_to(_outside(stage))
    token = stage.everywhere()
    for path in ("link", "dir/a.txt"):
        assert await stage.code(token, "fs_read", {"path": path}) == "scope.outside"
        assert await stage.code(token, "fs_write", {"path": path, "content": "x"}) == (
            "scope.outside"
        )
    found = await stage.use(token, "fs_grep", {"directory": ".", "text": SECRET})
    assert found.structured["matches"] == []
    assert (_outside(stage) / "a.txt").read_text() == SECRET


async def _between(stage: NativeStage, tool: str, args: dict[str, str]) -> Granted:
    return granted(await stage.decide(stage.everywhere(), tool, args))


@pytest.mark.parametrize("tool", ["fs_read", "fs_write", "fs_edit"])
@pytest.mark.parametrize("swapped", ["file", "directory"])
async def test_a_link_put_there_after_the_decision_is_not_followed(
    stage: NativeStage, tool: str, swapped: str
) -> None:
    args = {
        "fs_read": {"path": "d/a.txt"},
        "fs_write": {"path": "d/a.txt", "content": "x"},
        "fs_edit": {"path": "d/a.txt", "old": "the", "new": "x"},
    }[tool]
    done = await _between(stage, tool, args)
    if swapped == "file":
        (stage.workspace / "d" / "a.txt").unlink()
        (stage.workspace / "d" / "a.txt").symlink_to(_outside(stage) / "a.txt")
    else:
        (stage.workspace / "d").rename(stage.workspace / "e")
        (stage.workspace / "d").symlink_to(_outside(stage))
    with pytest.raises(NucleusError) as caught:
        await stage.tools[tool].run(done, stage.mediator.wall)
    assert caught.value.code == "fs.moved"
    assert (_outside(stage) / "a.txt").read_text() == SECRET


async def test_a_search_does_not_enter_a_directory_that_became_a_link(stage: NativeStage) -> None:
    done = await _between(stage, "fs_grep", {"directory": "d", "text": SECRET})
    (stage.workspace / "d").rename(stage.workspace / "e")
    (stage.workspace / "d").symlink_to(_outside(stage))
    with pytest.raises(NucleusError) as caught:
        await stage.tools["fs_grep"].run(done, stage.mediator.wall)
    assert caught.value.code == "fs.moved"


SWAPPER = """
import os, sys
root, outside = sys.argv[1:]
while True:
    os.rename(root + "/d", root + "/e")
    os.symlink(outside, root + "/d")
    os.unlink(root + "/d")
    os.rename(root + "/e", root + "/d")
    os.unlink(root + "/d/a.txt")
    os.symlink(outside + "/a.txt", root + "/d/a.txt")
    os.unlink(root + "/d/a.txt")
    with open(root + "/d/a.txt", "w") as file:
        file.write("inside")
"""


def test_a_process_that_swaps_links_all_the_time_wins_no_race(stage: NativeStage) -> None:
    """The walk against a real attacker: whatever it reads, and writes, lies inside."""
    attacker = subprocess.Popen(
        [sys.executable, "-c", SWAPPER, str(stage.workspace), str(_outside(stage))]
    )
    path = str(stage.workspace / "d" / "a.txt")
    codes: dict[str, int] = {}
    try:
        with Root(str(stage.workspace)) as root:
            done, deadline = 0, time.monotonic() + PATIENCE
            # On a busy machine the attacker may start late: it must have been there.
            while done < 3000 * SCALE or not {"read", "fs.moved"} <= codes.keys():
                assert time.monotonic() < deadline, codes
                done += 1
                try:
                    with (
                        root.parent(path) as (directory, name),
                        opening.opened(directory, name) as (fd, _),
                    ):
                        assert os.read(fd, 100) in (b"inside", b"")
                    code = "read"
                except NucleusError as error:
                    code = error.code
                codes[code] = codes.get(code, 0) + 1
                assert attacker.poll() is None
    finally:
        attacker.kill()
        attacker.wait()
    assert sorted(p.name for p in _outside(stage).iterdir()) == ["a.txt"]
    assert (_outside(stage) / "a.txt").read_text() == SECRET


async def test_a_hard_link_to_a_file_elsewhere_is_not_read_and_not_written_through(
    stage: NativeStage,
) -> None:
    os.link(_outside(stage) / "a.txt", stage.workspace / "hard")
    token = stage.everywhere()
    assert await stage.code(token, "fs_read", {"path": "hard"}) == "fs.linked"
    assert await stage.code(token, "fs_edit", {"path": "hard", "old": "the", "new": "x"}) == (
        "fs.linked"
    )
    found = await stage.use(token, "fs_grep", {"directory": ".", "text": SECRET})
    assert found.structured["matches"] == []
    # A write takes the name, and leaves the file that others call by another one.
    assert await stage.code(token, "fs_write", {"path": "hard", "content": "x"}) == "ok"
    assert (_outside(stage) / "a.txt").read_text() == SECRET


async def test_a_fifo_a_socket_and_a_device_hold_nobody_up(stage: NativeStage) -> None:
    os.mkfifo(stage.workspace / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    before = os.getcwd()
    os.chdir(stage.workspace)
    listener.bind("sock")
    os.chdir(before)
    token = stage.everywhere()
    for name in ("fifo", "sock"):
        for tool, more in (("fs_read", {}), ("fs_write", {"content": "x"}),
                           ("fs_edit", {"old": "a", "new": "b"})):  # fmt: skip
            assert await stage.code(token, tool, {"path": name, **more}) == "fs.special"
    await stage.use(token, "fs_grep", {"directory": ".", "text": "x"})
    listener.close()


def test_a_fifo_that_takes_the_place_of_a_file_is_noticed_after_opening(
    stage: NativeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = stage.workspace / "d" / "a.txt"
    real = os.open

    def swap(name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if name == "a.txt":
            file.unlink()
            os.mkfifo(file)
        return real(name, flags, mode, dir_fd=dir_fd)

    with Root(str(stage.workspace)) as root, root.parent(str(file)) as (directory, name):
        monkeypatch.setattr(os, "open", swap)
        with pytest.raises(NucleusError) as caught, opening.opened(directory, name):
            pass
    assert caught.value.code == "fs.special"

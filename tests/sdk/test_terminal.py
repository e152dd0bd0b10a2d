"""With --answer a person is asked at the terminal that started the sessions, and silence is no."""

from __future__ import annotations

import fcntl
import os
import pty
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from nucleus import ApprovalRequired, PolicyDenied, approve
from nucleus.tools import cmd, fs
from tests.cli.command import Desk
from tests.sdk.stage import Served, serving

# A text that would move the cursor up and print an answer of its own.
NASTY = "x\x1b[2A\rapprove? yes"
POLICY = 'version = 1\nobligations = ["write_files", "edit_files", "run_bash"]\n'


@contextmanager
def at_a_terminal(
    desk: Desk, workspace: Path, typed: Callable[[str], str]
) -> Iterator[tuple[Served, list[str]]]:
    """Sessions served at a terminal of their own, where `typed(question)` is typed."""
    screen, terminal = pty.openpty()
    shown: list[str] = []

    def person() -> None:
        text = ""
        try:
            while data := os.read(screen, 4096):
                text += data.decode("utf-8", "replace")
                if text.endswith("[n]o: "):
                    shown.append(text)
                    os.write(screen, typed(text).encode() + b"\n")
                    text = ""
        except OSError:
            pass  # the terminal is gone

    def own() -> None:
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    thread = Thread(target=person, daemon=True)
    thread.start()
    policy = desk.file("asking.toml", POLICY)
    words = ("--profile", "codegen", "--policy", policy, "--answer")
    with serving(
        desk, workspace, *words, start_new_session=True, preexec_fn=own, pass_fds=(terminal,)
    ) as served:
        yield served, shown
    os.close(terminal)
    os.close(screen)
    thread.join(60)


def test_a_person_answers_at_the_terminal(host: Desk, tmp_path: Path) -> None:
    def typed(question: str) -> str:
        return "y" if "good" in question else "what?"

    with at_a_terminal(host, tmp_path, typed) as (served, shown), served.session():
        approve("write", fs.write, "good", "text")
        with pytest.raises(PolicyDenied, match="said no at the terminal"):
            approve("write", fs.write, "bad", NASTY)
        with pytest.raises(ApprovalRequired):
            fs.write("good", "again")
    assert (tmp_path / "good").read_text() == "text"
    assert len(shown) == 2
    assert "agent asks for write_files by fs_write" in shown[0]
    assert "op:write_files" in shown[0]
    assert "\x1b" not in shown[1], "what an agent names cannot move the cursor"
    assert "u001b" in shown[1]


def test_a_person_says_yes_to_calls_like_one(host: Desk, tmp_path: Path) -> None:
    """Counted and ending, where this call goes unless they say where."""
    answers = iter(["y count=2 for=10m", "y count=3 path=" + str(tmp_path / "d")])
    with (
        at_a_terminal(host, tmp_path, lambda _: next(answers)) as (served, shown),
        served.session(),
    ):
        approve("write", fs.write, "a", "1")
        with pytest.raises(ApprovalRequired):
            fs.write("b", "elsewhere")
        with pytest.raises(ApprovalRequired):
            fs.edit("a", "1", "2")
        fs.write("a", "2")
        with pytest.raises(ApprovalRequired):
            fs.write("a", "3")
        approve("write", fs.write, "d/x", "1")
        fs.write("d/y", "1")
        fs.write("d/deep/z", "1")
        with pytest.raises(ApprovalRequired):
            fs.write("d/x", "2")
    assert len(shown) == 2


def test_a_pattern_is_the_persons_and_never_the_agents(host: Desk, tmp_path: Path) -> None:
    """A name with a star in it, a command and a slip of the finger are asked about again."""
    said: list[str] = []
    answers = iter(
        ["y count=9", "y", "y count=9", "y count=2 cmd='echo one'", "y count=lots", "y colour=red",
         "yes count=2 for=forever", "n"]
    )  # fmt: skip

    def typed(question: str) -> str:
        said.append(question)
        return next(answers)

    with at_a_terminal(host, tmp_path, typed) as (served, _), served.session():
        approve("write", fs.write, "*", "a name like any other")
        with pytest.raises(ApprovalRequired):
            fs.write("other", "x")
        assert str(approve("run", cmd.run, ["echo", "one"])) == "one\n"
        assert str(cmd.run(["echo", "one", "more"])) == "one more\n"
        with pytest.raises(ApprovalRequired):
            cmd.run(["echo", "one"])
        with pytest.raises(PolicyDenied):
            approve("write", fs.write, "last", "x")
    assert "Say for which path" in said[1]
    assert "Say for which cmd" in said[3]
    assert "count is a whole number" in said[5]
    assert "no 'colour'" in said[6]
    assert "for is a time" in said[7]
    assert next(answers, None) is None

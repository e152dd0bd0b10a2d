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
from nucleus.tools import fs
from tests.cli.command import Desk
from tests.sdk.stage import Served, serving

# A text that would move the cursor up and print an answer of its own.
NASTY = "x\x1b[2A\rapprove? yes"


def code(question: str) -> str:
    """What a person types who read the question."""
    return question.rpartition("Type ")[2].partition(" ")[0]


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
                if text.endswith("to deny it: "):
                    shown.append(text)
                    os.write(screen, typed(text).encode() + b"\n")
                    text = ""
        except OSError:
            pass  # the terminal is gone

    def own() -> None:
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    thread = Thread(target=person, daemon=True)
    thread.start()
    policy = desk.file("asking.toml", 'version = 1\nobligations = ["write_files"]\n')
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
        return code(question) if "good" in question else "y"

    with at_a_terminal(host, tmp_path, typed) as (served, shown), served.session():
        approve("write", fs.write, "good", "text")
        with pytest.raises(PolicyDenied, match="denied at the terminal"):
            approve("write", fs.write, "bad", NASTY)
        with pytest.raises(ApprovalRequired):
            fs.write("good", "again")
    assert (tmp_path / "good").read_text() == "text"
    assert len(shown) == 2
    assert "who     agent, token" in shown[0]
    assert "  write a file at" in shown[0]
    assert "exactly fs_write {" in shown[0]
    assert "op:write_files" in shown[0]
    assert "\x1b" not in shown[1], "what an agent names cannot move the cursor"
    assert "u001b" in shown[1]


def test_a_pattern_and_a_group_are_answered_at_the_terminal(host: Desk, tmp_path: Path) -> None:
    def typed(question: str) -> str:
        if "no-more" in question:
            return "no not on a Friday"
        # The offer of the folder, by its number.
        (line,) = [
            each for each in question.splitlines() if "at or below" in each and "up to" in each
        ][-1:]
        return f"{code(question)} {line.split()[1]}"

    with at_a_terminal(host, tmp_path, typed) as (served, shown), served.session() as s:
        approve("write", fs.write, "one", "1\n")
        s.fs.write("two", "2\n")  # nobody is asked: the pattern holds it
        s.fs.write("one", "1 and more\n")
        assert len(shown) == 1
        s.attenuate(["budget", "calls", 50])
        with pytest.raises(PolicyDenied, match="not on a Friday"):
            approve("write", fs.write, "one", "no-more\n")
    assert "diff    -1 and more" in shown[1]
    assert "diff    +no-more" in shown[1]

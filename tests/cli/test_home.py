"""Where a home is, how it is made, and that half of one is never left behind."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nucleus.home import Home
from nucleus_tokens.errors import CallerError
from tests.cli.command import PASSPHRASE, Desk

WEAK = "--dangerously-weak-keys-for-tests"


def test_a_home_is_where_xdg_says() -> None:
    home = Home.find(None, {"HOME": "/home/u"})
    assert home.config == Path("/home/u/.config/nucleus")
    assert home.data == Path("/home/u/.local/share/nucleus")
    assert home.state == Path("/home/u/.local/state/nucleus")
    moved = Home.find(None, {"HOME": "/home/u", "XDG_STATE_HOME": "/var/s", "XDG_DATA_HOME": "d"})
    assert moved.state == Path("/var/s/nucleus")
    assert moved.data == home.data, "a relative path is ignored"


def test_an_explicit_home_comes_first() -> None:
    environ = {"NUCLEUS_HOME": "/named", "HOME": "/home/u"}
    assert Home.find(None, environ).data == Path("/named/data")
    assert Home.find(Path("/given"), environ).data == Path("/given/data")
    assert Home.find(Path("rel"), environ).data == Path.cwd() / "rel" / "data"


def test_nowhere_is_said() -> None:
    with pytest.raises(CallerError) as caught:
        Home.find(None, {})
    assert caught.value.code == "home.nowhere"


def test_what_is_made_is_private(template: Desk) -> None:
    for path in template.home.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_dir():
            assert mode & 0o022 == 0, path
        elif path.name != "bundle.json":
            assert mode & 0o077 == 0, f"{path} {mode:o}"
    assert stat.S_IMODE((template.home / "data" / "keys").stat().st_mode) == 0o700


def test_init_overwrites_nothing(template: Desk) -> None:
    before = {p: p.read_bytes() for p in template.home.rglob("*") if p.is_file()}
    refused = template.run("init", "--passphrase-file", template.pass_file, WEAK).ok(2)
    assert "[home.exists]" in refused.err
    after = {p: p.read_bytes() for p in template.home.rglob("*") if p.is_file()}
    assert before.keys() == after.keys()
    assert all(before[p] == after[p] for p in before if p.suffix in (".key", ".json", ".toml"))


def test_an_empty_passphrase_leaves_nothing_behind(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.file("empty", "\n")
    desk.file("passphrase", PASSPHRASE)
    words = ("init", "--passphrase-file", "passphrase", "--approver-passphrase-file", "empty", WEAK)
    assert "[keys.passphrase_empty]" in desk.run(*words).ok(2).err
    assert not desk.home.exists()
    desk.init()


def test_the_example_policy_is_one_that_the_proxy_reads(template: Desk) -> None:
    from nucleus_proxy import policy

    rules = policy.load(template.home / "config" / "policy.toml")
    assert {"git_status", "git_log", "git_commit"} <= set(rules.tools)
    assert rules.wall is None


@pytest.mark.parametrize("same", [True, False], ids=["the same twice", "two that differ"])
def test_passphrases_are_asked_for_on_the_controlling_terminal(tmp_path: Path, same: bool) -> None:
    """Typed twice, not echoed, and never read from standard input."""
    desk = Desk(tmp_path)
    script = (
        "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(2, termios.TIOCSCTTY, 0)\n"
        "from nucleus.cli import main; sys.exit(main())"
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", script, *desk.argv("init", "--approver", "alice", WEAK)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, cwd=tmp_path,
        env=desk.environ(),
    )  # fmt: skip
    os.close(theirs)
    typed = [b"first secret", b"first secret", b"other secret", b"other secret"]
    if not same:
        typed[1] = b"fisrt secret"
    shown = b""
    for line, prompt in zip(typed, (b"issuer's keys: ", b"again: ") * 2, strict=True):
        shown += _until(ours, prompt if line != typed[2] or prompt == b"again: " else b"alice: ")
        os.write(ours, line + b"\n")
        if not same and line == typed[1]:
            break
    out, _ = process.communicate(timeout=60)
    shown += _until(ours, None)
    os.close(ours)
    assert b"secret" not in shown + out, "it was echoed"
    if same:
        assert process.returncode == 0, shown
        assert desk.home.exists()
    else:
        assert process.returncode == 2
        assert b"[passphrase.differs]" in shown
        assert not desk.home.exists()


def _until(terminal: int, prompt: bytes | None) -> bytes:
    """What is shown until the prompt, or until the other side is gone."""
    read = b""
    while prompt is None or not read.endswith(prompt):
        try:
            data = os.read(terminal, 4096)
        except OSError:  # Linux says so when the last writer is gone
            break
        if not data:
            break
        read += data
    return read

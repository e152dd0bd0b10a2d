"""What the proxy remembers of values: durable, shared, only rising, and readable by nobody else."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_proxy.filelabels import FileLabels
from nucleus_proxy.flowstate import FlowState
from nucleus_proxy.flowtracker import CLEAN, Labelled
from nucleus_proxy.knowledge import Fact
from nucleus_tokens import labelling, labels
from nucleus_tokens.errors import CallerError, WorldError
from tests.algebra.reference import LABELS, SCALE, Label

D1, D2 = sha256(b"one").digest(), sha256(b"two").digest()
WEB = labelling.WEB_CONTENT


def test_everything_is_there_after_it_was_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "flow.db"
    fact: Fact = ("record", "file", "1", "a b", True, [["email", "x@y.org"]], [], False)
    with FlowState.open(path) as state:
        state.give_prompt("tree:1", "hello")
        state.give_prompt("tree:1", "again")
        state.give_prompt("tree:2", "other")
        state.teach("tree:1", [fact, ("directory", "x")])
        state.saw("tree:1", Labelled(WEB, 5, 3600))
        state.saw("wall:1", CLEAN, poisoned=True)
        state.wrote("/srv/w", D1, WEB)
        state.mark("/srv/x", labels.TOP)
        state.add_release("tree:1", "00" * 16, b"signed")
    assert path.stat().st_mode & 0o777 == 0o600
    with FlowState.open(path) as state:
        assert state.prompts("tree:1") == ("hello", "again")
        assert state.prompts("tree:3") == ()
        assert state.facts("tree:1", 10) == [fact, ("directory", "x")]
        assert state.facts("tree:1", 1) == [fact]
        assert state.seen("tree:1") == (Labelled(WEB, 5, 3600), False)
        assert state.seen("wall:1") == (CLEAN, True)
        assert state.seen("none") == (CLEAN, False)
        assert state.content(D1) == WEB
        assert state.content(D2) is None
        assert state.marked("/srv/x/y/z") == state.marked("/srv/x") == labels.TOP
        assert state.marked("/srv/xy") is state.marked("/srv") is None
        assert state.releases("tree:1") == [b"signed"]
        assert state.releases("tree:2") == []
        with pytest.raises(CallerError, match="release of this id"):
            state.add_release("tree:1", "00" * 16, b"other")


def test_another_process_is_seen(tmp_path: Path) -> None:
    with FlowState.open(tmp_path / "f") as one, FlowState.open(tmp_path / "f") as two:
        before = one.version()
        assert one.version() == before
        two.give_prompt("t", "hello")
        assert one.version() != before
        assert one.prompts("t") == ("hello",)
        one.saw("t", Labelled(0x10))
        two.saw("t", Labelled(0x04))
        assert one.seen("t")[0].label == 0x14


@settings(max_examples=40 * SCALE)
@given(st.lists(st.tuples(st.sampled_from("ab"), LABELS), max_size=8))
def test_labels_only_rise(steps: list[tuple[str, Label]]) -> None:
    with FlowState.open(None) as state:
        joined: dict[str, int] = {}
        for name, label in steps:
            digest = sha256(name.encode()).digest()
            for write in (
                lambda d=digest, v=label: state.wrote("/w", d, v.pack()),
                lambda n=name, v=label: state.mark(f"/{n}", v.pack()),
                lambda n=name, v=label: state.saw(n, Labelled(v.pack())),
            ):
                write()
            joined[name] = joined.get(name, 0) | label.pack()
        for name, label_ in joined.items():
            assert state.content(sha256(name.encode()).digest()) == label_
            assert state.marked(f"/{name}/x") == label_
            assert state.seen(name)[0].label == label_


def test_what_is_no_label_is_kept_as_the_worst() -> None:
    with FlowState.open(None) as state:
        state.wrote("/w", D1, 0x02)
        state.mark("/x", 1 << 20)
        assert state.content(D1) == state.marked("/x") == labels.TOP


@pytest.mark.parametrize("text", ["", " \n", "x" * (256 * 1024 + 1), "a\0b"])
def test_a_prompt_that_is_none(text: str) -> None:
    with FlowState.open(None) as state, pytest.raises(CallerError, match="A prompt has"):
        state.give_prompt("t", text)


def test_a_state_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "wide").touch(0o644)
    (tmp_path / "wide").chmod(0o644)
    (tmp_path / "noise").write_bytes(b"noise" * 400)
    (tmp_path / "noise").chmod(0o600)
    newer = sqlite3.connect(tmp_path / "newer")
    newer.execute("PRAGMA user_version = 9")
    newer.close()
    (tmp_path / "newer").chmod(0o600)
    for name in ("wide", "noise", "newer", "no/such"):
        with pytest.raises(WorldError) as caught:
            FlowState.open(tmp_path / name)
        assert caught.value.code == "flow.state"
    state = FlowState.open(tmp_path / "ok")
    state.close()
    for use in (
        lambda: state.content(D1),
        lambda: state.wrote("/w", D1, 0),
        lambda: state.saw("t", CLEAN),
        lambda: state.teach("t", [("directory", "x")]),
    ):
        with pytest.raises(WorldError):
            use()


WRITER = """
import os, sys
from hashlib import sha256
from pathlib import Path
from nucleus_proxy.filelabels import FileLabels
from nucleus_proxy.flowstate import FlowState
files = FileLabels(FlowState.open(Path(sys.argv[1])))
for n in range(10**9):
    content = b"tainted %d" % n
    files.wrote("/srv/x", sha256(content).digest(), 0xE27C)
    with open(sys.argv[2], "ab", buffering=0) as file:
        file.write(content + b"\\n")
    if n == 5:
        print("go", flush=True)
"""


def test_a_label_survives_kill_9_whenever_its_content_does(tmp_path: Path) -> None:
    """The label is on the disk before the content is, so there is no moment between them."""
    for turn in range(3):
        state, out = tmp_path / f"flow{turn}.db", tmp_path / f"out{turn}"
        paths = os.pathsep.join(p for p in sys.path if p)
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(state), str(out)],
            stdout=subprocess.PIPE, env={"PYTHONPATH": paths},
        )  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == b"go\n"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        written = out.read_bytes().splitlines()
        assert len(written) >= 6
        with FlowState.open(state) as again:
            files = FileLabels(again)
            for content in written:
                assert files.of("/elsewhere", sha256(content).digest()) == 0xE27C


# Files --------------------------------------------------------------------------------------------


def test_which_label_a_file_has() -> None:
    with FlowState.open(None) as state:
        files = FileLabels(state, trusted=("/srv/docs/**", "/srv/README.md"), secret=("/srv/.env",))
        assert files.of("/srv/a", D1) == labelling.EXISTING_FILE
        assert files.of("/srv/README.md", D1) == labelling.FILE_READ
        assert files.of("/srv/docs/a/b", D1) == labelling.FILE_READ
        assert files.of("/srv/README.md.x", D1) == labelling.EXISTING_FILE
        assert labels.conf(files.of("/srv/.env", D1)) == labels.SECRET
        # what was written there counts, not what the place is
        files.wrote("/srv/README.md", D2, WEB)
        assert files.of("/srv/README.md", D2) == files.of("/srv/other", D2) == WEB
        assert files.of("/srv/README.md", D1) == labelling.FILE_READ
        assert labels.flows_to(WEB, files.of("/srv/.env", D2))
        # what ran there may have written anything
        files.ran(("/srv/docs",), WEB)
        assert labels.integ(files.of("/srv/docs/a", D1)) == labels.ADVERSARIAL
        assert labels.conf(files.of("/srv/docs/a", D1)) == labels.INTERNAL
        assert files.of("/srv/README.md", D1) == labelling.FILE_READ
        for odd in ("", "relative", "/srv/../etc", "/srv//x"):
            assert labels.flows_to(labelling.EXISTING_FILE, files.of(odd, D1))


def test_what_a_place_holds_is_what_was_ever_written_or_run_there() -> None:
    with FlowState.open(None) as state:
        files = FileLabels(state)
        files.wrote("/srv/a/b", D1, 0x04)
        files.wrote("/srv/ab", D2, WEB)
        files.ran(("/srv/a/c",), 0x10)
        assert files.held(("/srv/a",)) == 0x14
        assert files.held(("/srv/a/b",)) == 0x04
        assert files.held(("/srv/a/c/d",)) == files.held(("/srv/a/c",)) == 0x10
        assert files.held(("/srv/a0", "/srv/a.", "/sr", "/srv/a/b/c")) == 0
        assert files.held(("/srv",)) == files.held(("/",)) == WEB | 0x14
        assert files.held(()) == 0
        deep = "/" + "/".join("x" * 200)
        assert files.held((deep,)) == 0

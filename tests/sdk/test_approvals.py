"""A person answers in a process of their own; the agent's side can only wait, or not wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nucleus import ApprovalRequired, NucleusError, PolicyDenied, Session, active, approve, asks
from nucleus.active import Waits
from nucleus.approver import Answer, Answering, Approve, Deny, Question, approver
from nucleus.tools import cmd, fs
from tests.cli.command import PASSPHRASE, Desk
from tests.sdk.stage import Served, serving
from tests.support.patience import until


@contextmanager
def answered_by(desk: Desk, answer: Callable[[Question], Answer]) -> Iterator[list[Question]]:
    """An approver at work. A thread here; what matters is that it has the passphrase."""
    seen: list[Question] = []
    ready, over = threading.Event(), threading.Event()
    failed: list[BaseException] = []

    def note(question: Question) -> Answer:
        seen.append(question)
        return answer(question)

    def work() -> None:
        try:
            with approver(passphrase=lambda _: PASSPHRASE, home=desk.home) as desk_of:
                at.append(desk_of)
                ready.set()
                desk_of.run(note)
        except BaseException as error:  # noqa: BLE001  shown below
            failed.append(error)
            ready.set()
        over.set()

    at: list[Answering] = []
    thread = threading.Thread(target=work)
    thread.start()
    ready.wait(60)
    try:
        yield seen
    finally:
        at[0].stop()
        thread.join()
        assert not failed, failed


@contextmanager
def asking(served: Served, *operations: str) -> Iterator[Session]:
    """A session that needs a person for these operations."""
    with served.session("codegen") as s:
        s.attenuate(["approve", sorted(operations)])
        yield s


def test_a_call_waits_for_a_person_and_runs_once(served: Served, folder: Path) -> None:
    (folder / "x").write_text("x")
    with (
        asking(served, "read_files") as s,
        answered_by(served.desk, lambda _: Approve()) as seen,
    ):
        assert str(approve("read", fs.read, folder / "x")) == "x"
        with pytest.raises(ApprovalRequired):
            fs.read(folder / "x")
        (question,) = seen
        assert (question.tool, question.operation, question.who) == (
            "fs_read", "read_files", ("agent",),
        )  # fmt: skip
        assert str(folder / "x") in question.arguments
        assert [id_ for id_, _ in question.owed] == ["op:read_files"]
        assert s.about.cell == question.cell


def test_a_person_says_no(served: Served, folder: Path) -> None:
    with (
        asking(served, "write_files"),
        answered_by(served.desk, lambda _: Deny("not on a Friday")),
    ):
        with pytest.raises(PolicyDenied, match="not on a Friday") as denied:
            approve("write_files", fs.write, folder / "x", "text")
        assert denied.value.code == "approval.denied"
    assert not (folder / "x").exists()


def test_it_says_what_it_waits_for(
    served: Served, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "x").write_text("x")
    with (
        asking(served, "read_files"),
        answered_by(served.desk, lambda _: Approve()),
    ):
        approve("fs_read", fs.read, folder / "x")
    (said,) = [r.getMessage() for r in caplog.records if r.name == "nucleus"]
    assert "waiting for approval" in said
    assert "op:read_files" in said
    assert "nucleus approvals" in said


def test_only_what_is_named_may_wait(served: Served, folder: Path) -> None:
    (folder / "x").write_text("x")
    with asking(served, "read_files"):
        with pytest.raises(ApprovalRequired):
            approve("write", fs.read, folder / "x")
        with pytest.raises(NucleusError, match=r"approve\.operation"):
            approve("raed", fs.read, folder / "x")
    with served.session("read-only"):
        assert str(approve("read", fs.read, folder / "x")) == "x", "nobody had to be asked"


def test_a_pattern_is_counted_and_ends(served: Served, folder: Path) -> None:
    for name in "abc":
        (folder / name).write_text(name)
    like = Approve(pattern=(["path", "in", [str(folder)]],), count=2, seconds=600)
    with (
        asking(served, "read_files") as s,
        answered_by(served.desk, lambda _: like) as seen,
    ):
        assert str(approve("read", fs.read, folder / "a")) == "a"
        # The second use of the pattern: nobody waits.
        assert str(fs.read(folder / "b")) == "b"
        with pytest.raises(ApprovalRequired):
            fs.read(folder / "c")
        assert len(seen) == 1
        assert s.explain(fs.read, folder / "c").verdict == "ask"


def test_approvals_do_not_carry_over_to_a_sub_agent(served: Served, folder: Path) -> None:
    (folder / "x").write_text("x")
    like = Approve(pattern=(["tool", "in", ["fs_read"]],), count=10)
    with asking(served, "read_files") as s, answered_by(served.desk, lambda _: like):
        approve("read", fs.read, folder / "x")
        fs.read(folder / "x")
        below = s.delegate("helper")
        with pytest.raises(ApprovalRequired):
            below.fs.read(folder / "x")
        below.close()
        s.attenuate(["budget", "calls", 100])
        with pytest.raises(ApprovalRequired):
            fs.read(folder / "x")


def test_granted_ahead_by_the_command(served: Served, folder: Path) -> None:
    (folder / "x").write_text("x")
    with asking(served, "read_files") as s:
        grant = ("approvals", "grant", "fs_read", "--session", s.about.tid[:12], "--json")
        words = ("--path", folder, "--count", 2, "--passphrase-file", served.desk.pass_file)
        served.desk.run(*grant, *words).ok()
        assert str(fs.read(folder / "x")) == "x"
        with pytest.raises(ApprovalRequired):
            s.fs.read(served.file("beside.txt", "y"))
        fs.read(folder / "x")
        with pytest.raises(ApprovalRequired):
            fs.read(folder / "x")
        served.desk.run("approvals", "grant", "nothing", *grant[3:], *words).ok(2)
    until(lambda: not served.listed(s), "its end")
    served.desk.run("approvals", "grant", "fs_read", "--session", s.about.tid, *words).ok(2)


def test_granted_ahead_by_whoever_starts_the_proxy(host: Desk, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    file = host.file("policy.toml", 'version = 1\nobligations = ["read_files", "write_files"]\n')
    words = (
        "--profile", "codegen", "--policy", file,
        "--ahead", f"fs_read path={tmp_path} count=2 for=10m",
    )  # fmt: skip
    with serving(host, tmp_path, *words) as made:
        for _ in range(2):  # of each session, not of all
            with made.session() as s:
                s.fs.read("x")
                s.fs.read("x")
                with pytest.raises(ApprovalRequired):
                    s.fs.read("x")
                with pytest.raises(ApprovalRequired):
                    s.fs.write("x", "y")


def test_a_command_of_the_agent_runs_when_a_person_lets_it(served: Served, folder: Path) -> None:
    with served.session("codegen") as s:
        with pytest.raises(ApprovalRequired):
            cmd.run(["echo", "hello"])
        with answered_by(served.desk, lambda _: Approve()):
            done = approve("run", cmd.run, ["sh", "-c", "echo hello; echo oops >&2; exit 3"])
            assert (str(done), done.stderr, done.code, done.ok) == ("hello\n", "oops\n", 3, False)
            assert s.exposure >= done.exposure


def test_who_stops_waiting_gets_nothing_done(served: Served, folder: Path) -> None:
    """Interrupted while it waits, the call is withdrawn: approved later, it does not run."""
    with asking(served, "write_files") as s:
        asked = threading.Event()
        channel: Any = s._channel
        with active.waiting(Waits("write", lambda _: asked.set())):
            number, future = channel.send(asks.write(folder / "x", "text"))
        assert asked.wait(60)
        channel.link.cancel(number)
        rows = served.desk.run("approvals", "list", "--all", "--json").ok().json
        (mine,) = [row for row in rows if row["tid"] == s.about.tid]
        _until(lambda: _status(served.desk, mine["id"]) == "withdrawn")
        words = ("--passphrase-file", served.desk.pass_file)
        served.desk.run("approvals", "approve", mine["id"], *words).ok(2)
        assert not future.done()
    assert not (folder / "x").exists()


def _status(desk: Desk, request: str) -> str:
    rows = desk.run("approvals", "list", "--all", "--json").ok().json
    return next(str(row["status"]) for row in rows if row["id"] == request)


def _until(true: Callable[[], bool]) -> None:
    for _ in range(200):
        if true():
            return
    raise AssertionError("it did not come to pass")

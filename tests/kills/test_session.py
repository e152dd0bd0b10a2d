"""kill -9 of a session's proxy at any point of its life, and of whoever started it.

The program holds a descriptor and finds it ended. The service goes on, another session is not
disturbed, and the next one behind the same wall starts from all that was seen.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from nucleus import NucleusError, Session
from tests.algebra.reference import SCALE
from tests.cli.command import ROOMS, Desk
from tests.house.source import ROOT
from tests.sdk.stage import Served, home, serving

HOOK = """
import sys
from pathlib import Path
point = (Path(__file__).parent / "point").read_text()
if point and "nucleus.hosting" in sys.orig_argv:
    from tests.kills.killing import die_at
    die_at(point)
"""
POLICY = """
version = 1
[wall]
id = "kills"
shows = []
"""
OPENING = ("<Start.decode", "<Batches._commit", ">SessionHost.about#2", ">listed")
READ = "<CachingVerifier.authenticate"
UNDECIDED = (f"{READ}#2 >SqlLedger._commit >Batches._commit", f"{READ}#2")
DECIDED = (
    f"{READ}#2 >SqlLedger._commit <Batches._commit", f"{READ}#2 <FlowState.wrote",
    f"{READ}#2 <posix.rename", f"{READ}#2 >posix.rename",
    f"{READ}#2 >Mediator.outcome <append_record", f"{READ}#2 >Mediator.outcome",
)  # fmt: skip
EACH = 1 if SCALE > 1 else 2  # a process for each


class Run:
    """One host: a home, a workspace, and where its sessions' proxies are killed."""

    def __init__(self, root: Path) -> None:
        self.desk: Desk = home(root / "desk")
        self.workspace = root / "workspace"
        self.workspace.mkdir()
        hook = root / "hook"
        hook.mkdir()
        (hook / "sitecustomize.py").write_text(HOOK)
        self._policy = self.desk.file("policy.toml", POLICY)
        self._point = hook / "point"
        self._point.write_text("")
        self.desk.env["PYTHONPATH"] = os.pathsep.join((str(hook), str(ROOT), ROOMS))

    @contextmanager
    def at(self, point: str) -> Iterator[None]:
        """Sessions that are opened meanwhile are killed there."""
        self._point.write_text(point)
        try:
            yield
        finally:
            self._point.write_text("")

    def serving(self) -> AbstractContextManager[Served]:
        words = ("--profile", "codegen", "--policy", self._policy)
        return serving(self.desk, self.workspace, *words)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("kills")
    (root / "desk").mkdir()
    return Run(root)


@pytest.fixture(scope="module")
def served(run: Run) -> Iterator[Served]:
    with run.serving() as made:
        yield made


@pytest.fixture(scope="module")
def other(served: Served) -> Iterator[Session]:
    """A session beside those that are killed."""
    with served.session() as made:
        yield made


def allowed(served: Served) -> int:
    """How many writes were let through, by a trace that verifies."""
    made = [r["record"] for r in served.trace() if r["record"]["type"] == "decision"]
    verdicts = [r["decision"]["verdict"] for r in made if r["call"]["tool"] == "fs_write"]
    return verdicts.count("allow")


@pytest.mark.parametrize("point", OPENING[::EACH])
def test_killed_while_it_opens(run: Run, served: Served, other: Session, point: str) -> None:
    with run.at(point), pytest.raises(NucleusError, match=r"session\.ended"):
        served.session().open().fs.read("a.txt")
    served.file("a.txt", "a")
    assert str(other.fs.read("a.txt")) == "a"
    with served.session() as again:
        assert str(again.fs.read("a.txt")) == "a"
    served.trace()


@pytest.mark.parametrize("point", [*UNDECIDED[::EACH], *DECIDED[::EACH]])
def test_killed_in_a_call(run: Run, served: Served, other: Session, point: str) -> None:
    served.file("a.txt", "a")
    out = run.workspace / f"out{len(os.listdir(run.workspace))}.txt"
    before = allowed(served)
    with run.at(point):
        s = served.session().open()
        s.fs.read("a.txt")
        with pytest.raises(NucleusError, match=r"session\.ended"):
            s.fs.write(out, "x")
        s.close()
    decided = allowed(served) - before
    assert out.exists() <= decided == (point in DECIDED), "an effect without a decision"
    listed = served.desk.run("session", "list", "--json").ok().json
    assert s.about.tid not in [each["tid"] for each in listed]
    assert str(other.fs.read("a.txt")) == "a", "it is not disturbed"
    with served.session() as again:
        assert again.exposure >= {"private_data"}, "what was seen is not forgotten"
        assert str(again.fs.read("a.txt")) == "a"
    assert allowed(served) == before + decided, "and nothing is done a second time"


def test_killed_with_whoever_started_it(run: Run, served: Served) -> None:
    """Last here: it is the service itself."""
    s = served.session().open()
    served.file("b.txt", "b")
    s.fs.read("b.txt")
    os.kill(served.process.pid, signal.SIGKILL)
    served.process.wait()
    with pytest.raises(NucleusError, match=r"session\.ended"):
        _until_it_ends(s)
    s.close()
    with run.serving() as again, again.session() as next_one:
        assert next_one.exposure >= {"private_data"}
        assert str(next_one.fs.read("b.txt")) == "b"
        again.trace()


def _until_it_ends(s: Session) -> None:
    while True:
        s.fs.read("b.txt")

"""A session reads and writes what its profile grants, says why not, and only gets narrower."""

from __future__ import annotations

import contextvars
import json
import os
import select
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nucleus import (
    ApprovalRequired,
    BudgetExceeded,
    EffectFailed,
    FileHandle,
    NucleusError,
    PolicyDenied,
    Session,
    StateBlocked,
)
from nucleus.tools import fs
from tests.sdk.stage import Served


def test_reads_writes_and_is_told_why_not(served: Served, folder: Path) -> None:
    (folder / "README.md").write_text("hello\n")
    with served.session("safe_pr_fixer") as s:
        readme = fs.read(folder / "README.md")
        assert isinstance(readme, FileHandle)
        written = fs.write(folder / "README.md", readme + "\n")
        assert (folder / "README.md").read_text() == "hello\n\n"
        assert (written.size, written.created) == (7, False)
        with pytest.raises(PolicyDenied) as denied:
            fs.read("/etc/hostname")
        error = denied.value
        assert (error.code, error.step, error.tool) == ("scope.outside", 10, "fs_read")
        assert error.added_by == "issuer local"
        assert json.loads(error.caveat) == ["path", "in", [str(served.workspace)]]
        for part in ("outside the scope", "step 10", str(served.workspace), "Stay inside"):
            assert part in str(error)
        with pytest.raises(EffectFailed, match=r"\[fs.missing\]"):
            fs.read(folder / "nothing")
        assert s.exposure >= {"private_data", "untrusted_content"}


@pytest.mark.parametrize("name", ["safe_pr_fixer", "Safe-PR-Fixer", " safe_pr-fixer "])
def test_a_profile_has_one_name_however_it_is_spelled(served: Served, name: str) -> None:
    with served.session(name) as s:
        assert s.about.profile == "safe-pr-fixer"


def test_bytes_edits_and_searches(served: Served, folder: Path) -> None:
    with served.session("codegen") as s:
        s.fs.write(folder / "a.bin", bytes(range(256)))
        assert s.fs.read_bytes(folder / "a.bin") == bytes(range(256))
        s.fs.write(folder / "deep" / "b.txt", "one two one")
        with pytest.raises(EffectFailed):
            s.fs.edit(folder / "deep" / "b.txt", "one", "1")
        assert s.fs.edit(folder / "deep" / "b.txt", "one", "1", every=True).replaced == 2
        assert s.fs.glob("**/*.txt", folder) == ("deep/b.txt",)
        (match,) = s.fs.grep("TWO", folder, ignore_case=True)
        assert (match["line"], match["text"]) == (1, "1 two 1")
        part = s.fs.read(folder / "deep" / "b.txt", offset=2, limit=3)
        assert (str(part), part.size, part.next) == ("two", 7, 5)


# Which session ----------------------------------------------------------------------------------


def test_tools_act_on_the_innermost_session(served: Served, folder: Path) -> None:
    (folder / "x").write_text("x")
    with pytest.raises(NucleusError, match=r"session\.none"):
        fs.read(folder / "x")
    with served.session("codegen") as outer:
        with served.session("read-only") as inner:
            assert inner.about.tid != outer.about.tid
            with pytest.raises(PolicyDenied, match=r"level\.never"):
                fs.write(folder / "x", "y")
            outer.fs.write(folder / "x", "by name")
        fs.write(folder / "x", "y")
    with pytest.raises(NucleusError, match=r"session\.none"):
        fs.read(folder / "x")
    with pytest.raises(NucleusError, match=r"session\.ended"):
        outer.fs.read(folder / "x")


def test_a_thread_has_no_session_but_by_name_or_by_copy(served: Served, folder: Path) -> None:
    (folder / "x").write_text("x")
    found: list[object] = []

    def read() -> None:
        try:
            found.append(str(fs.read(folder / "x")))
        except NucleusError as error:
            found.append(error.code)

    with served.session("read-only"):
        for target in (read, lambda: contextvars.copy_context().run(read)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        context = contextvars.copy_context()
        thread = threading.Thread(target=lambda: context.run(read))
        thread.start()
        thread.join()
    assert found == ["session.none", "session.none", "x"]


def test_many_threads_share_one_session(served: Served, folder: Path) -> None:
    wanted = [f"text {number} " * (number * 200) for number in range(1, 9)]
    with served.session("codegen") as s:

        def work(number: int) -> None:
            path = folder / f"{number}.txt"
            for _ in range(3):
                s.fs.write(path, wanted[number])
                assert str(s.fs.read(path)) == wanted[number]
            done.append(number)

        done: list[int] = []
        threads = [threading.Thread(target=work, args=(n,)) for n in range(len(wanted))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(done) == list(range(len(wanted)))


# What is not offered ----------------------------------------------------------------------------


def test_without_a_proxy_there_is_no_session(tmp_path: Path) -> None:
    with pytest.raises(NucleusError, match=r"session\.no_proxy.*nucleus session serve"):
        Session("read-only", socket=tmp_path / "nobody.sock").open()


def test_only_what_a_person_offers(served: Served, tmp_path: Path) -> None:
    with pytest.raises(NucleusError, match=r"session\.profile.*Offered: code-review"):
        served.session("root").open()
    with pytest.raises(NucleusError, match=r"session\.profile"):
        served.session().open()  # ten are offered: none is meant
    with pytest.raises(NucleusError, match=r"session\.workspace"):
        Session("read-only", workspace=tmp_path, socket=served.socket).open()
    (served.workspace / "out").symlink_to(tmp_path)
    with pytest.raises(NucleusError, match=r"session\.workspace"):
        Session("read-only", workspace=served.workspace / "out", socket=served.socket).open()


def test_a_session_may_ask_for_less_of_the_workspace(served: Served, folder: Path) -> None:
    (folder / "x").write_text("x")
    served.file("beside", "y")
    with Session("read-only", workspace=folder, socket=served.socket) as s:
        assert str(s.fs.read("x")) == "x"
        with pytest.raises(PolicyDenied):
            s.fs.read("../beside")


# Narrowing --------------------------------------------------------------------------------------


def test_a_session_only_gets_narrower(served: Served, folder: Path) -> None:
    (folder / "x").write_text("x")
    with served.session("codegen") as s:
        before = s.about
        s.attenuate(["tool", "in", ["fs_read"]], ["budget", "calls", 2])
        assert s.about.rid != before.rid
        with pytest.raises(PolicyDenied, match="unattributed"):
            s.fs.write(folder / "x", "y")
        s.attenuate(["tool", "in", ["fs_read", "fs_write"]])
        with pytest.raises(PolicyDenied):
            s.fs.write(folder / "x", "y")
        s.fs.read(folder / "x")
        s.fs.read(folder / "x")
        with pytest.raises(BudgetExceeded) as spent:
            s.fs.read(folder / "x")
        assert spent.value.code == "budget.exhausted"
        with pytest.raises(NucleusError, match=r"caveat\."):
            s.attenuate(["anything", "goes"])
        with pytest.raises(NucleusError, match=r"caveat\.reserved"):
            s.attenuate(["req", {}])
    assert (folder / "x").read_text() == "x"


def test_a_limit_on_exposure_blocks_the_state(served: Served, folder: Path) -> None:
    (folder / "x").write_text("x")
    with served.session("codegen") as s:
        s.attenuate(["exposure", ["private_data"]])
        with pytest.raises(StateBlocked, match=r"exposure\.exceeded"):
            s.fs.read(folder / "x")


def test_a_sub_agent_has_less_and_its_own_pipe(served: Served, folder: Path) -> None:
    (folder / "x").write_text("x")
    with served.session("codegen") as s:
        below = s.delegate("helper", ["tool", "in", ["fs_read"]], purpose="reading", depth=1)
        assert below.about.tid == s.about.tid
        assert str(below.fs.read(folder / "x")) == "x"
        with pytest.raises(PolicyDenied) as denied:
            below.fs.write(folder / "x", "y")
        assert denied.value.added_by == "agent"
        lowest = below.delegate("deeper", ["budget", "calls", 1])
        lowest.fs.read(folder / "x")
        with pytest.raises(BudgetExceeded):
            lowest.fs.read(folder / "x")
        with pytest.raises(NucleusError, match=r"delegate\.depth"):
            lowest.delegate("deepest")
        lowest.close()
        s.fs.write(folder / "x", "y")
        below.close()
        with pytest.raises(NucleusError, match=r"session\.ended"):
            below.fs.read(folder / "x")


def test_a_descriptor_is_the_session(served: Served, folder: Path) -> None:
    """What a sub-agent in another process gets: a narrower session, and nothing else of ours."""
    (folder / "x").write_text("x")
    program = (
        "from nucleus import Session, PolicyDenied\n"
        "from nucleus.tools import fs\n"
        f"with Session(workspace={str(folder)!r}) as s:\n"
        f"    print(s.about.tid, fs.read({str(folder / 'x')!r}))\n"
        "    try:\n"
        f"        fs.write({str(folder / 'x')!r}, 'y')\n"
        "    except PolicyDenied as error:\n"
        "        print(error.code)\n"
    )
    with served.session("codegen") as s:
        below = s.delegate("helper", ["tool", "in", ["fs_read"]])
        number = below.detach()
        done = subprocess.run(
            [sys.executable, "-c", program],
            pass_fds=(number,),
            env={**served.desk.environ(), "NUCLEUS_SESSION_FD": str(number)},
            capture_output=True,
            check=False,
            timeout=60,
        )
        os.close(number)
        assert done.stdout.decode().split() == [s.about.tid, "x", "scope.outside"], done.stderr
        used = s.delegate("helper")
        used.fs.read(folder / "x")
        with pytest.raises(NucleusError, match=r"session\.used"):
            used.detach()
        used.close()


# Asking -----------------------------------------------------------------------------------------


def test_explaining_sends_and_spends_nothing(served: Served, folder: Path) -> None:
    with served.session("safe-pr-fixer") as s:
        s.attenuate(["budget", "calls", 1])
        found = s.explain(fs.write, folder / "new", "text")
        assert (found.verdict, found.step) == ("allow", 14)
        found = s.explain(s.fs.read, "/etc/hostname")
        assert (found.verdict, found.code, found.step) == ("deny", "scope.outside", 10)
        assert found.enough
        assert not (folder / "new").exists()
        with pytest.raises(NucleusError, match=r"explain\.call"):
            s.explain(print, "x")
        assert len(s.trace.lines()) == 1, "nothing but the record that it began"
        fs.write(folder / "new", "text")


def test_what_needs_a_person_is_refused_at_once(served: Served) -> None:
    with served.session("release") as s:
        s.attenuate(["approve", ["read_files"]])
        with pytest.raises(ApprovalRequired) as asked:
            s.fs.read("anything")
        assert asked.value.obligations == ("op:read_files",)
        assert asked.value.step == 13
        assert "op:read_files" in str(asked.value)
    waiting = served.desk.run("approvals", "list", "--all", "--json").ok().json
    assert all(each["tid"] != s.about.tid for each in waiting), "nothing was put on the desk"


def test_the_trace_of_a_session_is_its_part_of_the_hosts(served: Served, folder: Path) -> None:
    (folder / "x").write_text("a secret of the host")
    with served.session("read-only") as other:
        other.fs.read(folder / "x")
        with served.session("read-only") as s:
            s.fs.read(folder / "x")
            lines = s.trace.export_jsonl().splitlines()
            assert lines == list(s.trace.lines())
    records = [json.loads(line)["record"] for line in lines]
    assert [r["type"] for r in records] == ["session", "decision", "outcome"]
    assert records[1]["token"]["tid"] == s.about.tid
    assert "a secret of the host" not in "".join(lines)
    assert str(folder) not in "".join(lines[1:])
    whole = {r["seq"]: r["record"] for r in served.trace()}
    assert all(whole[json.loads(line)["seq"]] == json.loads(line)["record"] for line in lines)


# The proxy's process ----------------------------------------------------------------------------


def test_nothing_secret_is_on_this_side(served: Served) -> None:
    """No token, no key: neither in the arguments, nor the environment, nor what was said."""
    with served.session("codegen") as s:
        (one,) = served.listed(s)
        where = Path(f"/proc/{one['pid']}")
        seen = (where / "cmdline").read_bytes() + (where / "environ").read_bytes()
        assert b"nuc1_" not in seen
        assert one["pid"] != os.getpid()
        listed = json.dumps(one) + repr(vars(s)) + repr(vars(s._channel))
        assert "nuc1_" not in listed
    assert "nuc1_" not in "".join(served.desk.printed)


def test_a_session_ends_with_its_client(served: Served) -> None:
    with served.session("read-only") as s:
        (one,) = served.listed(s)
        process = os.pidfd_open(one["pid"])
    assert select.select([process], [], [], 60)[0], "its proxy is left behind"
    os.close(process)
    assert not served.listed(s)


def test_when_the_person_stops_it_every_session_ends(host: object, tmp_path: Path) -> None:
    from tests.cli.command import Desk
    from tests.sdk.stage import serving

    assert isinstance(host, Desk)
    with serving(host, tmp_path) as made:
        s = made.session().open()
        (tmp_path / "x").write_text("x")
        s.fs.read("x")
        made.process.kill()
        made.process.wait()
        # Its standard input ended with the one who started it.
        with pytest.raises(NucleusError, match=r"session\.ended"):
            _until_it_ends(s)
        s.close()


def _until_it_ends(s: Session) -> None:
    while True:
        s.fs.read("x")

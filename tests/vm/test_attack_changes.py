"""Red team: the machine forges what its agent changed, or the files out here move meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_proxy.answers import Granted, Refusal
from nucleus_proxy.effects import changing, patching
from nucleus_proxy.effects.changing import Change, ChangeSet
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.effects.patching import Pair, Side
from nucleus_proxy.native import NoFileLabels
from nucleus_tokens.errors import CallerError, NucleusError, WorldError
from nucleus_vmhost.vm import changes
from nucleus_vmhost.vm.packing import Copied
from tests.kills.killing import die_at
from tests.proxy.native_stage import NativeStage

COPIED = {
    "a": Copied(hashlib.sha256(b"a").digest()),
    "link": Copied(target="a"),
    "sub/b": Copied(hashlib.sha256(b"b").digest()),
}
END = b'["end"]\n'


def line(*parts: object) -> bytes:
    return json.dumps(parts).encode() + b"\n"


FORGED = {
    "up": line("file", "../x", 0o644, 0),
    "up in the middle": line("folder", "a") + line("file", "a/../../x", 0o644, 0),
    "up by a folder": line("folder", "..") + line("file", "../x", 0o644, 0),
    "a folder of no name": line("folder", "a")
    + line("folder", "a/")
    + line("file", "a//x", 420, 0),
    "the top": line("file", ".", 0o644, 0),
    "absolute": line("file", "/etc/passwd", 0o644, 0),
    "empty": line("file", "", 0o644, 0),
    "doubled": line("folder", "s") + line("file", "s//x", 0o644, 0),
    "dotted": line("file", "./x", 0o644, 0),
    "a nul": line("file", "x\0y", 0o644, 0),
    "twice": line("file", "x", 0o644, 1) + b"1" + line("file", "x", 0o644, 1) + b"2",
    "out of order": line("file", "y", 0o644, 0) + line("file", "x", 0o644, 0),
    "below a file": line("file", "x", 0o644, 0) + line("file", "x/y", 0o644, 0),
    "below a link": line("link", "x", "/etc") + line("file", "x/passwd", 0o644, 0),
    "below nothing": line("file", "x/y", 0o644, 0),
    "a size beyond": line("file", "x", 0o644, 1 << 40),
    "a size below": line("file", "x", 0o644, -1),
    "the same as nothing": line("same", "x", 0o644),
    "the same as a link": line("same", "link", 0o644),
    "a true mode": line("file", "x", True, 0),
    "a kind of its own": line("device", "x"),
    "no line": b"\xff" * 100,
    "a deep line": b"[" * 60_000 + b"\n",
    "an endless line": b"x" * 200_000,
    "a long name": line("file", "x" * 5000, 0o644, 0),
    "more after the end": END + line("file", "x", 0o644, 0),
    "very many": b"".join(line("folder", f"{n:07}") for n in range(200_001)),
}


@pytest.mark.parametrize("said", FORGED.values(), ids=FORGED.keys())
def test_what_no_honest_guest_says_refuses_all_of_it(said: bytes) -> None:
    for ended in (said + END, said):
        with pytest.raises(WorldError) as found:
            changes.read(ended, COPIED)
        assert found.value.code == "vm.changes"


def test_what_ends_too_early_removes_nothing() -> None:
    whole = line("same", "a", 0o644) + END
    for cut in range(len(whole)):
        with pytest.raises(WorldError):
            changes.read(whole[:cut], COPIED)


@pytest.mark.parametrize("name", ["b", "aa", "sub/a", "sub"])
def test_a_name_that_nobody_asked_for_refuses_all_of_it(name: str) -> None:
    above = line("folder", "sub") if name == "sub/a" else b""
    same, copied = line("same", "a", 0o644), {"a": COPIED["a"]}
    changes.read(same + END, copied, ("a",))
    with pytest.raises(WorldError, match=r"vm\.changes"):
        changes.read(same + above + line("file", name, 0o644, 0) + END, copied, ("a",))


_WORDS = st.sampled_from(["file", "same", "link", "folder", "other", "end"])
_NAMES = st.text(st.sampled_from("ab/.\0\u202e\ud800"), max_size=6)
_LINES = st.builds(line, _WORDS, _NAMES, st.integers(-1, 0o7777), st.integers(0, 3))


@given(st.lists(st.one_of(_LINES, st.binary(max_size=8)), max_size=8))
def test_whatever_is_said_a_name_stays_below(parts: list[bytes]) -> None:
    try:
        told = changes.read(b"".join(parts) + END, COPIED)
    except WorldError:
        return
    names = [each.name for each in told.changes]
    assert len(names) == len({*names})
    for name in names:
        assert os.path.normpath(f"/top/{name}") == f"/top/{name}"


def test_links_rights_and_things_of_other_kinds_stay_behind_by_name() -> None:
    said = (
        line("link", "a", "/etc/shadow") + line("file", "link", 0o644, 1) + b"x"
        + line("folder", "sub") + line("other", "sub/b") + line("file", "suid", 0o4755, 1) + b"x"
    )  # fmt: skip
    told = changes.read(said + END, COPIED)
    assert not told.changes
    assert [name for name, _ in told.left] == ["a", "link", "sub/b", "suid"]


def test_of_a_folder_that_nobody_can_look_into_nothing_is_removed() -> None:
    told = changes.read(
        line("same", "a", 0o644) + line("link", "link", "a") + line("other", "sub") + END, COPIED
    )
    assert not told.changes


# Out here ------------------------------------------------------------------------------------


class Stage(NativeStage):
    """A workspace, and changes to it that a machine told of."""

    def offer(self, *found: Change) -> tuple[ChangeSet, changing.Left]:
        token = self.everywhere(["path", "not", [f"{self.workspace}/kept/**"]])
        self.agent = token
        authority = self.mediator.admits(self.sign(token, "fs_read", {}))
        assert authority is not None
        made, left = changing.admitted(self.root, found, authority, (f"{self.workspace}/hidden",))
        row = changing.tool(made, labels=NoFileLabels(), draw=self.draw)
        self.tools[changing.NAME] = row
        self.rebind()
        return made, left

    async def approved(self, made: ChangeSet) -> Granted | Refusal:
        call = asyncio.create_task(self.decide(self.agent, changing.NAME, made.arguments))
        request = await self.asked_by(call)
        self.asked_with = request.shown
        self.approve(request)
        done = await call
        assert isinstance(done, Granted | Refusal)
        return done

    async def written(self, made: ChangeSet) -> str:
        """The code of what became of it."""
        done = await self.approved(made)
        assert isinstance(done, Granted), done
        try:
            await self.tools[changing.NAME].run(done, self.mediator.wall)
        except NucleusError as error:
            return error.code
        return "ok"

    def new(self, name: str, data: bytes = b"new\n", **rest: bool) -> Change:
        return Change(f"{self.workspace}/{name}", data, rest.get("runs", False), None, False)

    def put(self, name: str, data: bytes) -> bytes:
        (self.workspace / name).write_bytes(data)
        return hashlib.sha256(data).digest()

    def changed(self, name: str, was: bytes, data: bytes | None) -> Change:
        path = f"{self.workspace}/{name}"
        return Change(path, data, False, was, False, gone=data is None)


@pytest.mark.parametrize(
    "name",
    [
        ".git/hooks/pre-commit", ".git/config", "sub/.GIT/config", "AGENTS.md",
        ".vscode/tasks.json", ".github/workflows/x.yml", ".envrc", "kept/x", "hidden/x", "hidden",
        "a\u202eb", "a\nb", "cafe\u0301", "a\ud800b", "../beside",
    ],
)  # fmt: skip
async def test_hooks_hidden_places_and_odd_names_are_never_offered(
    tmp_path: Path, name: str
) -> None:
    stage = Stage(tmp_path)
    made, left = stage.offer(stage.new(name), stage.new("plain"))
    assert [each.path for each in made.changes] == [f"{tmp_path}/plain"]
    assert [path for path, _ in left] == [f"{tmp_path}/{name}"]


async def test_a_person_is_always_asked_and_what_they_see_is_what_is_written(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path)
    was = stage.put("old", b"one\ntwo\n")
    made, _ = stage.offer(
        stage.new("run", runs=True), stage.changed("old", was, b"one\n\x1b[2Jthree\n")
    )
    assert await stage.written(made) == "ok"
    shown = json.loads(json.loads(stage.asked_with)["diff"])
    assert "+\x1b[2Jthree" in shown, "as it is: each surface makes it safe"
    assert "run  (CAN BE RUN from then on)" in shown
    assert (tmp_path / "old").read_bytes() == b"one\n\x1b[2Jthree\n"
    assert os.access(tmp_path / "run", os.X_OK)


@pytest.mark.parametrize("how", ["bytes", "path", "rights"])
async def test_what_was_approved_writes_no_other_changes(tmp_path: Path, how: str) -> None:
    stage = Stage(tmp_path)
    other = {
        "bytes": stage.new("x", b"other\n"),
        "path": stage.new("y", b"shown\n"),
        "rights": stage.new("x", b"shown\n", runs=True),
    }
    shown, _ = stage.offer(stage.new("x", b"shown\n"))
    permit = await stage.approved(shown)
    assert isinstance(permit, Granted)
    swapped, _ = stage.offer(other[how])
    row = changing.tool(swapped, labels=NoFileLabels(), draw=stage.draw)
    with pytest.raises(CallerError) as found:
        await row.run(permit, stage.mediator.wall)
    assert found.value.code == "changes.other"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("gone", [False, True])
async def test_a_file_that_changed_meanwhile_refuses_all(tmp_path: Path, gone: bool) -> None:
    stage = Stage(tmp_path)
    was = stage.put("old", b"old\n")
    made, _ = stage.offer(stage.new("first"), stage.changed("old", was, None if gone else b"new\n"))
    done = await stage.approved(made)
    assert isinstance(done, Granted)
    (tmp_path / "old").write_bytes(b"a person's\n")
    with pytest.raises(CallerError) as found:
        await stage.tools[changing.NAME].run(done, stage.mediator.wall)
    assert found.value.code == "changes.conflict"
    assert [p.name for p in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_bytes() == b"a person's\n"
    kept = patching.patch(made.pairs(as_is=True))
    assert b"+new" in kept, "what the agent made is not lost"
    assert b"-a person's" in kept


async def test_a_folder_swapped_for_a_link_leads_nowhere(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "ws"
    for folder in (outside, inside, inside / "sub"):
        folder.mkdir()
    (outside / "old").write_bytes(b"old\n")
    stage = Stage(inside)
    was = stage.put("sub/old", b"old\n")
    made, _ = stage.offer(stage.new("sub/new"), stage.changed("sub/old", was, b"new\n"))
    done = await stage.approved(made)
    assert isinstance(done, Granted)
    (inside / "sub").rename(inside / "aside")
    (inside / "sub").symlink_to(outside)
    with pytest.raises(CallerError) as found:
        await stage.tools[changing.NAME].run(done, stage.mediator.wall)
    assert found.value.code == "changes.conflict"
    assert (outside / "old").read_bytes() == b"old\n"
    assert [p.name for p in outside.iterdir()] == ["old"]


async def test_a_new_file_never_takes_the_place_of_one_that_is_there(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    made, _ = stage.offer(stage.new("x"))
    done = await stage.approved(made)
    assert isinstance(done, Granted)
    (tmp_path / "x").symlink_to("/etc/passwd")
    with pytest.raises(CallerError):
        await stage.tools[changing.NAME].run(done, stage.mediator.wall)
    assert (tmp_path / "x").is_symlink()


async def test_a_token_that_writes_nothing_gets_nothing_out(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    made, _ = stage.offer(stage.new("x"))
    for forbidden in ("write_files", "edit_files"):
        token = stage.everywhere(["cap", {forbidden: "never"}])
        if forbidden == "edit_files":
            made, _ = stage.offer(stage.changed("old", stage.put("old", b"old"), b"new"))
        refused = await stage.decide(token, changing.NAME, made.arguments)
        assert isinstance(refused, Refusal)
        assert refused.code == "level.never"


def test_more_than_anybody_could_look_through_is_not_asked_about(tmp_path: Path) -> None:
    with Root(str(tmp_path)) as root:
        many = [Change(f"{tmp_path}/{n}", b"", False, None, False) for n in range(257)]
        long = [Change(f"{tmp_path}/{n}{'x' * 200}", b"", False, None, False) for n in range(100)]
        for found in (many, long):
            with pytest.raises(CallerError) as error:
                changing.check(ChangeSet(root, found))
            assert error.value.code == "changes.too_many"


@pytest.mark.parametrize("step", range(1, 22))
def test_killed_at_any_step_a_file_is_old_or_new(tmp_path: Path, step: int) -> None:
    """At about every tenth step of the code that writes."""
    old, new = b"old\n" * 5000, b"new\n" * 5000
    was = hashlib.sha256(old).digest()
    found = [Change(f"{tmp_path}/{n}", new, False, was, False) for n in range(2)]
    found.append(Change(f"{tmp_path}/made", new, True, None, False))
    for each in found[:2]:
        Path(each.path).write_bytes(old)
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException), Root(str(tmp_path)) as root:
            die_at(f"any#{step * 10}")
            for each in found:
                changing.put(root, each, lambda **_: None, os.urandom)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    there = {p.name: p.read_bytes() for p in tmp_path.iterdir() if not p.name.startswith(".nuc")}
    assert set(there.values()) <= {old, new}
    assert {"0", "1"} <= set(there) <= {"0", "1", "made"}
    if step == 1:
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        assert there == {"0": old, "1": old}


def test_lines_that_are_slow_to_compare_are_not_compared() -> None:
    """Lines that come again and again, in two orders: all of it is shown all the same."""
    old = b"".join(b"%d\n" % (n % 150) for n in range(40_000))
    new = b"".join(b"%d\n" % (n * 7 % 150) for n in range(40_000))
    text = patching.shown([Pair("x", Side(old, False), Side(new, False))])
    assert text.count("\n+") + text.count("\n-") > 40_000

"""Files through the proxy's own tools: what is given back is what stands there, whole."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from nucleus_proxy.effects import fs
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.native import NativeTool
from nucleus_tokens import labelling
from tests.proxy.native_stage import NativeStage
from tests.proxy.stage import granted
from tests.support import world


@pytest.fixture
def stage(tmp_path: Path) -> NativeStage:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return NativeStage(workspace)


async def test_bytes_come_back_as_they_were_written(stage: NativeStage) -> None:
    token = stage.everywhere()
    for data in (b"", b"\0\xff\n\r", "ü \u2028 😀".encode(), os.urandom(70_000)):
        wrote = await stage.use(
            token, "fs_write", {"path": "x.bin", "base64": base64.b64encode(data).decode()}
        )
        read = await stage.use(token, "fs_read", {"path": "x.bin", "encoding": "base64"})
        assert base64.b64decode(read.structured["content"]) == data
        digest = hashlib.sha256(data).hexdigest()
        assert read.structured["sha256"] == wrote.structured["sha256"] == digest
        assert (stage.workspace / "x.bin").read_bytes() == data


async def test_a_file_can_be_read_in_parts_that_never_cut_a_character(stage: NativeStage) -> None:
    token, text = stage.everywhere(), "aü€😀" * 50
    (stage.workspace / "x").write_text(text, encoding="utf-8")
    parts, offset = [], 0
    while offset is not None:
        part = await stage.use(token, "fs_read", {"path": "x", "offset": offset, "limit": 7})
        parts.append(part.structured["content"])
        offset = part.structured["next"]
    assert "".join(parts) == text


async def test_what_is_no_text_is_not_shown_as_one(stage: NativeStage) -> None:
    (stage.workspace / "x").write_bytes(b"ok\xff")
    assert await stage.code(stage.everywhere(), "fs_read", {"path": "x"}) == "fs.not_text"


async def test_a_write_makes_missing_directories_and_keeps_the_mode(stage: NativeStage) -> None:
    token = stage.everywhere()
    made = await stage.use(token, "fs_write", {"path": "a/b/c.sh", "content": "one"})
    assert made.structured["created"] is True
    file = stage.workspace / "a" / "b" / "c.sh"
    file.chmod(0o4750)
    again = await stage.use(token, "fs_write", {"path": "a/b/c.sh", "content": "two"})
    assert again.structured["created"] is False
    assert file.read_text() == "two"
    assert stat.S_IMODE(file.stat().st_mode) == 0o750  # a setuid bit does not survive new content
    assert sorted(p.name for p in file.parent.iterdir()) == ["c.sh"]


async def test_an_edit_replaces_what_is_there_once(stage: NativeStage) -> None:
    token, file = stage.everywhere(), stage.workspace / "x"
    file.write_text("one two two")

    async def edit(old: str, **more: bool) -> str:
        return await stage.code(token, "fs_edit", {"path": "x", "old": old, "new": "2", **more})

    assert await edit("three") == "fs.no_match"
    assert await edit("two") == "fs.many_matches"
    assert await edit("") == "fs.arguments"
    assert file.read_text() == "one two two"
    assert await edit("two", all=True) == "ok"
    assert file.read_text() == "one 2 2"
    assert await edit("one") == "ok"


async def test_a_file_that_changed_under_an_edit_is_left_alone(
    stage: NativeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = stage.workspace / "x"
    file.write_text("one")
    whole = fs.replace

    def late(*args: object) -> None:
        file.write_text("somebody else's work")
        whole(*args)  # type: ignore[arg-type]  # what it was called with

    monkeypatch.setattr(fs, "replace", late)
    token = stage.everywhere()
    assert await stage.code(token, "fs_edit", {"path": "x", "old": "one", "new": "2"}) == (
        "fs.changed"
    )
    assert file.read_text() == "somebody else's work"
    assert [p.name for p in stage.workspace.iterdir()] == ["x"]


async def test_a_disk_that_is_full_leaves_the_old_content(
    stage: NativeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = stage.workspace / "x"
    file.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    token = stage.everywhere()
    assert await stage.code(token, "fs_write", {"path": "x", "content": "new"}) == "fs.failed"
    assert file.read_text() == "old"
    assert [p.name for p in stage.workspace.iterdir()] == ["x"]


async def test_labels_go_with_content(stage: NativeStage) -> None:
    class Known:
        def __init__(self) -> None:
            self.written: dict[tuple[str, bytes], int] = {}

        def of(self, path: str, digest: bytes) -> int:
            return self.written.get((path, digest), labelling.EXISTING_FILE)

        def wrote(self, path: str, digest: bytes, label: int) -> None:
            self.written[path, digest] = label

        def ran(self, writable: Sequence[str], label: int) -> None:
            raise AssertionError(label)

        def held(self, paths: Sequence[str]) -> int:
            raise AssertionError(paths)

    known = Known()
    with Root(str(stage.workspace)) as root:
        rows: dict[str, NativeTool] = dict(fs.tools(root, draw=stage.draw, labels=known))
        stage.tools = rows
        token = stage.everywhere()
        stage.ledger.open_cell("wall:test", 2)  # the session saw the web
        wrote = await stage.use(token, "fs_write", {"path": "x", "content": "from the web"})
        assert wrote.label & labelling.WEB_CONTENT == labelling.WEB_CONTENT
        read = await stage.use(token, "fs_read", {"path": "x"})
        assert read.label == wrote.label
        (stage.workspace / "x").write_text("by hand")
        assert (await stage.use(token, "fs_read", {"path": "x"})).label == labelling.EXISTING_FILE
        found = await stage.use(token, "fs_grep", {"directory": ".", "text": "hand"})
        assert found.label == labelling.EXISTING_FILE


# Searching ------------------------------------------------------------------------------------


async def test_a_search_finds_names_and_lines(stage: NativeStage) -> None:
    for name in ("a.py", "s/b.py", "s/t/c.py", "s/t/c.txt"):
        (stage.workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (stage.workspace / name).write_text(f"x\nName = {name}\n")
    token = stage.everywhere()

    async def glob(directory: str, pattern: str) -> list[str]:
        found = await stage.use(token, "fs_glob", {"directory": directory, "pattern": pattern})
        paths: list[str] = found.structured["paths"]
        return paths

    assert await glob(".", "*.py") == ["a.py"]
    assert await glob(".", "**/*.py") == ["a.py", "s/b.py", "s/t/c.py"]
    assert await glob("s", "t/*") == ["t/c.py", "t/c.txt"]
    found = await stage.use(
        token,
        "fs_grep",
        {"directory": ".", "text": "NAME", "glob": "**/*.txt", "ignore_case": True},
    )
    assert found.structured["matches"] == [
        {"path": "s/t/c.txt", "line": 2, "text": "Name = s/t/c.txt"}
    ]
    assert await stage.code(token, "fs_glob", {"directory": ".", "pattern": "a**b"}) == "fs.pattern"
    assert await stage.code(token, "fs_glob", {"directory": ".", "pattern": "../*"}) == "fs.pattern"
    assert await stage.code(token, "fs_glob", {"directory": "a.py", "pattern": "*"}) == (
        "fs.not_directory"
    )


async def test_what_a_scope_blocks_shows_in_no_search(stage: NativeStage) -> None:
    """Neither its name nor its lines nor anything below it, in whatever case."""
    for name in ("src/a.txt", "src/.env", "src/.ENV", "src/secrets/k/a.txt", "src/sub/.env.local"):
        (stage.workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (stage.workspace / name).write_text("needle")
    token = stage.everywhere(["path", "not", ["**/.env", "**/.env.*", "**/secrets"]])
    found = await stage.use(token, "fs_glob", {"directory": ".", "pattern": "**"})
    assert found.structured["paths"] == ["src", "src/a.txt", "src/sub"]
    lines = await stage.use(token, "fs_grep", {"directory": ".", "text": "needle"})
    assert [m["path"] for m in lines.structured["matches"]] == ["src/a.txt"]
    assert "env" not in lines.text + found.text


async def test_a_search_shows_only_what_every_scope_admits(stage: NativeStage) -> None:
    for name in ("a.py", "a.txt", "d/b.py", "d/b.txt"):
        (stage.workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (stage.workspace / name).write_text("needle")
    root = str(stage.workspace)
    token = stage.everywhere(["path", "in", [root, f"{root}/**/*.py"]])
    narrow = world.narrow(token, ["path", "in", [f"{root}/**/*.py", root + "/d"]])
    # The directory itself must be admitted, or there is no search.
    assert await stage.code(narrow, "fs_glob", {"directory": ".", "pattern": "**"}) == (
        "scope.outside"
    )
    found = await stage.use(narrow, "fs_glob", {"directory": "d", "pattern": "**"})
    assert found.structured["paths"] == ["b.py", "b.txt"]
    only = world.narrow(narrow, ["path", "not", [f"{root}/**/*.txt"]])
    found = await stage.use(only, "fs_grep", {"directory": "d", "text": "needle"})
    assert [m["path"] for m in found.structured["matches"]] == ["b.py"]


async def test_no_text_makes_a_search_slow(stage: NativeStage) -> None:
    """There is no regular expression to blow up: a text is a text, a pattern the kernel's own."""
    (stage.workspace / "x").write_text("a" * 100_000 + "\n")
    token = stage.everywhere()
    found = await stage.use(token, "fs_grep", {"directory": ".", "text": "(a+)+$"})
    assert found.structured["matches"] == []
    stars = "*a*a*a*a*a*a*a*a*b"
    assert await stage.code(token, "fs_glob", {"directory": ".", "pattern": stars}) in (
        "ok",
        "fs.pattern",
    )


async def test_a_result_that_is_too_long_says_so(
    stage: NativeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nucleus_proxy.effects.searching.RESULTS", 3)
    for number in range(5):
        (stage.workspace / f"f{number}").write_text("needle\nneedle\n")
    token = stage.everywhere()
    found = await stage.use(token, "fs_glob", {"directory": ".", "pattern": "*"})
    assert (len(found.structured["paths"]), found.structured["truncated"]) == (3, True)
    lines = await stage.use(token, "fs_grep", {"directory": ".", "text": "needle"})
    assert (len(lines.structured["matches"]), lines.structured["truncated"]) == (3, True)


async def test_a_permit_for_one_path_opens_no_other(stage: NativeStage) -> None:
    """What an effect acts on comes from the call alone."""
    (stage.workspace / "x").write_text("x")
    done = granted(await stage.decide(stage.everywhere(), "fs_read", {"path": "x"}))
    assert done.call.resolved == {"/path": str(stage.workspace / "x")}

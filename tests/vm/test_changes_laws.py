"""What is told of a copy is exactly what differs, and the kept patch makes the same of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_proxy.effects import patching
from nucleus_proxy.effects.patching import Pair, Side
from nucleus_vmhost.vm import changes, packing
from nucleus_vmhost.vm.changes import Change
from nucleus_vmhost.vm.guest import changes as guest

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))
_NAMES = st.sampled_from(["a", "b c", "sub/a", "sub/deep/b", 'q"uote', "back\\slash", "ünï"])
_LINES = st.lists(st.sampled_from(["one", "two", "", "x\r", "+++ a"]), max_size=8)
_TEXTS = st.builds(
    lambda ls, end: ("\n".join(ls) + end).encode(), _LINES, st.sampled_from(["", "\n"])
)
_BYTES = st.one_of(_TEXTS, st.binary(max_size=70))
_FILES = st.dictionaries(_NAMES, st.tuples(_BYTES, st.booleans()), max_size=5)

Files = dict[str, tuple[bytes, bool]]


def put(folder: Path, files: Files) -> None:
    for name, (data, runs) in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755 if runs else 0o644)


def there(folder: Path) -> Files:
    return {
        str(p.relative_to(folder)): (p.read_bytes(), bool(p.stat().st_mode & 0o100))
        for p in folder.rglob("*")
        if p.is_file()
    }


def told_of(before: Files, after: Files) -> changes.Told:
    """By the guest's own program, of a real folder."""
    with tempfile.TemporaryDirectory() as name:
        was, now = Path(name, "was"), Path(name, "now")
        was.mkdir()
        now.mkdir()
        put(was, before)
        put(now, after)
        copied = packing.packed(str(was), (), 1 << 20).files
        known = {n: one.digest.hex() for n, one in copied.items()}
        done = subprocess.run(
            [sys.executable, "-ISB", guest.__file__],
            input=json.dumps({"known": known, "only": []}).encode(), cwd=now,
            capture_output=True, check=True,
        )  # fmt: skip
        return changes.read(done.stdout, copied)


def made_of(before: Files, told: tuple[Change, ...]) -> Files:
    """The slow reference: change by change."""
    files = dict(before)
    for each in told:
        if each.gone:
            del files[each.name]
        else:
            data = files[each.name][0] if each.data is None else each.data
            files[each.name] = (data, each.runs)
    return files


@settings(max_examples=25 * SCALE)
@given(_FILES, _FILES)
def test_what_is_told_makes_one_folder_of_the_other_and_nothing_else(
    before: Files, after: Files
) -> None:
    told = told_of(before, after)
    assert not told.left
    assert made_of(before, told.changes) == after
    differing = {n for n in before.keys() | after.keys() if before.get(n) != after.get(n)}
    assert {each.name for each in told.changes} == differing


def side(files: Files, name: str) -> Side | None:
    return Side(*files[name]) if name in files else None


@settings(max_examples=25 * SCALE)
@given(_FILES, _FILES)
def test_git_makes_the_same_of_the_patch(before: Files, after: Files) -> None:
    names = sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
    pairs = [Pair(name, side(before, name), side(after, name)) for name in names]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        put(folder, before)
        if pairs:
            argv = ["git", "apply", "--whitespace=nowarn", "-"]
            done = subprocess.run(
                argv, input=patching.patch(pairs), cwd=folder, capture_output=True, check=False
            )
            assert done.returncode == 0, (done.stderr, patching.patch(pairs))
        assert there(folder) == after

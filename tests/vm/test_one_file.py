"""A token for single files: each is copied alone into its place, and comes out alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nucleus_vmhost.vm import changes, packing
from nucleus_vmhost.vm.image import Image
from tests.vm.machines import copied
from tests.vm.test_run_vm import ASKED
from tests.walled.place import Place, code

ODD = "-o dd 'ü\" $(x).txt"


@pytest.fixture
def files(place: Place) -> Place:
    """Files of each kind, a token that is scoped to some of them, and more beside them."""
    folder = place.folder
    for name in ("a/one.txt", "a/beside.txt", "a/two.txt", "b/read-only", f"b/{ODD}"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"{name}\n")
    (folder / "b/read-only").chmod(0o400)
    named = ("a/one.txt", "a/two.txt", "b/read-only", f"b/{ODD}", "b/not-yet")
    words = [word for name in named for word in ("--path", folder / name)]
    place.desk.issue("files", "--bearer", *words)
    return place


def test_the_agent_has_those_files_alone_and_what_it_changes_in_them_comes_out(
    files: Place,
) -> None:
    odd = f"b/{ODD}"
    script = """
set -e
find . -type f | sort
cat a/one.txt b/read-only > /tmp/read; cat /tmp/read
echo more >> a/one.txt
chmod u+w b/read-only; echo more >> b/read-only
echo more >> "b/-o dd 'ü\\" \\$(x).txt"
echo new > b/not-yet
rm a/two.txt
echo stays > a/beside.txt; mkdir -p b/more; echo stays > b/more/x
"""
    out, status = files.typed(
        "--workspace", "rw", "--", "sh", "-c", script, dialogue=[(ASKED, code)], holds="files"
    )
    text, folder = out.decode().replace("\r", ""), files.folder
    assert status == 0, text
    named = sorted(("a/one.txt", "a/two.txt", "b/read-only", odd))
    assert [f"./{name}" for name in named] == text.splitlines()[: len(named)]
    assert "a/one.txt\nb/read-only\n" in text
    for name in ("a/one.txt", "b/read-only", odd):
        assert (folder / name).read_text() == f"{name}\nmore\n"
    assert (folder / "b/read-only").stat().st_mode & 0o777 == 0o400
    assert (folder / "b/not-yet").read_text() == "new\n"
    assert not (folder / "a/two.txt").exists()
    assert (folder / "a/beside.txt").read_text() == "a/beside.txt\n"
    assert not (folder / "b/more").exists()
    assert "beside.txt" not in text.partition("were changed inside")[2], "nobody looked at it"
    files.desk.run("trace", "verify").ok()


def test_of_a_name_that_was_asked_for_the_guest_tells_and_of_no_other(
    image: Image, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    copy = packing.packed(f"{tmp_path}/one", (), 1 << 20)
    assert (copy.folder, copy.alone, [*copy.files]) == (str(tmp_path), "one", ["one"])

    async def main() -> None:
        async with copied(image) as (vm, _):
            await vm.run(packing.UNPACK, copy.archive, cwd=copy.folder, own=True)
            for script, found in (
                ("cat one; echo new > beside", []),
                ("rm one", ["one"]),
                ("mkdir one; echo x > one/below", ["one/below"]),
            ):
                await vm.run(("sh", "-ec", script), b"", cwd=copy.folder)
                told = await changes.told(vm, copy)
                assert [change.name for change in told.changes] == found

    asyncio.run(main())

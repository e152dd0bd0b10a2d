"""What an agent changed in its copy comes out as one question, and is written as it was shown."""

from __future__ import annotations

import re
import stat
import subprocess
from pathlib import Path

from tests.vm.machines import said
from tests.vm.test_run_vm import ASKED
from tests.walled.place import Place, code

AGENT = """
set -e
echo more >> README.md
mkdir -p new/deep && echo 'made inside' > new/deep/file.txt
printf '#!/bin/sh\\necho ran\\n' > tool && chmod 755 tool
rm old.txt
printf '\\000\\001\\002' > picture.bin
chmod +x script
mkdir -p .git/hooks && echo evil > .git/hooks/pre-commit && echo evil > AGENTS.md
ln -s /etc/passwd link
"""


def prepared(place: Place) -> None:
    (place.folder / "old.txt").write_text("old\n")
    (place.folder / "script").write_text("#!/bin/sh\n")
    (place.folder / "same.txt").write_text("same\n")


def kept(text: str) -> Path:
    found = re.findall(r"(/\S+\.patch)", text)
    assert found, text
    return Path(found[-1].rstrip(";"))


def test_changes_are_one_question_with_a_diff_and_are_written_as_shown(place: Place) -> None:
    prepared(place)
    out, status = place.typed(
        "--workspace", "rw", "--", "sh", "-c", AGENT, dialogue=[(ASKED, code)]
    )
    text = out.decode().replace("\r", "")
    assert status == 0, text
    folder = place.folder
    assert (folder / "README.md").read_text() == "hello\nmore\n"
    assert (folder / "new/deep/file.txt").read_text() == "made inside\n"
    assert stat.S_IMODE((folder / "tool").stat().st_mode) == 0o755
    assert (folder / "script").stat().st_mode & 0o111
    assert (folder / "picture.bin").read_bytes() == b"\0\1\2"
    assert not (folder / "old.txt").exists()
    for word in ("diff    +more", "diff    -old", "tool  (CAN BE RUN", "no text: 3 bytes"):
        assert word in text
    for name in (".git", "AGENTS.md", "link"):
        assert not (folder / name).exists()
        assert name in text, "and it is said"
    assert not kept(text).exists(), "it is written: nothing is kept"
    place.desk.run("trace", "verify").ok()
    assert "workspace_apply" in str(place.desk.run("trace", "show", "--json").ok().json)


def test_what_nobody_approves_is_not_written_and_is_kept_as_a_patch(place: Place) -> None:
    prepared(place)
    before = {p: p.read_bytes() for p in place.folder.rglob("*") if p.is_file()}
    done = place.run("--workspace", "rw", "--ask-for", "1s", "--", "sh", "-c", AGENT)
    assert done.code != 0
    assert "approval.expired" in done.err
    assert {p: p.read_bytes() for p in place.folder.rglob("*") if p.is_file()} == before
    patch = kept(done.err)
    subprocess.run(["git", "apply", patch], cwd=place.folder, check=True)
    assert (place.folder / "README.md").read_text() == "hello\nmore\n"
    assert (place.folder / "picture.bin").read_bytes() == b"\0\1\2"
    assert not (place.folder / "old.txt").exists()
    assert (place.folder / "tool").stat().st_mode & 0o111


def test_a_file_that_changed_out_here_refuses_all_and_what_was_made_is_kept(place: Place) -> None:
    script = "echo inside >> README.md; echo new > new; echo made; read line"
    running = place.start("--workspace", "rw", "--", "sh", "-c", script)
    said(running, b"made\n")
    (place.folder / "README.md").write_text("by a person\n")
    _, err = running.communicate(b"\n", timeout=60)
    assert running.returncode != 0
    assert b"changes.conflict" in err, err
    assert [p.name for p in place.folder.iterdir()] == ["README.md"]
    assert (place.folder / "README.md").read_text() == "by a person\n"
    patch = kept(err.decode()).read_text()
    for line in ("-by a person", "+inside", "+new"):
        assert f"\n{line}\n" in patch

"""Red team: to files that were not given."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from nucleus_tokens.errors import WorldError
from nucleus_vmhost import cell
from nucleus_vmhost.work import Limits
from tests.redteam_wall.attacks import attack
from tests.vmhost.cells import Job, ran, shell


async def test_a_link_in_the_workspace_leads_nowhere(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "ws"
    outside.mkdir()
    inside.mkdir()
    (outside / "secret").write_text("leaked")
    (inside / "absolute").symlink_to(outside / "secret")
    (inside / "relative").symlink_to("../outside/secret")
    (inside / "folder").symlink_to(outside)
    await attack(
        f"""
        os.chdir("{inside}")
        os.symlink("{outside}", "made")
        for path in ("absolute", "relative", "folder/secret", "made/secret", "../outside/secret",
                     "/proc/self/cwd/../outside/secret", "/proc/1/cwd{outside}/secret"):
            attempt(path, lambda: open(path).read())
            attempt("w:" + path, lambda: open(path, "w"))
        """,
        writable=(str(inside),),
    )
    assert (outside / "secret").read_text() == "leaked"


async def test_nothing_outside_of_what_is_writable_is_written(tmp_path: Path) -> None:
    (tmp_path / "ro").mkdir()
    (tmp_path / "ro" / "file").write_text("kept")
    refused = await attack(
        f"""
        for path in ("/x", "/usr/x", "/usr/bin/x", "/etc/x", "/etc/passwd", "/lib/x", "/dev/x",
                     "/run/x", "/run/nucleus/x", "/run/nucleus/inside.py", "/var/x", "/home/x",
                     "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/comm",
                     "/proc/sys/vm/overcommit_memory", "{tmp_path}/ro/x", "{tmp_path}/ro/file"):
            attempt(path, lambda: open(path, "a"))
            attempt("mkdir:" + path, lambda: os.mkdir(path + "d"))
        attempt("unlink", lambda: os.unlink("{tmp_path}/ro/file"))
        attempt("chmod", lambda: os.chmod("{tmp_path}/ro/file", 0o777))
        attempt("truncate", lambda: os.truncate("{tmp_path}/ro/file", 0))
        attempt("utime", lambda: os.utime("{tmp_path}/ro/file"))
        """,
        readable=(f"{tmp_path}/ro",),
    )
    assert set(refused.values()) <= {"EROFS", "EACCES", "ENOENT", "EPERM"}
    assert (tmp_path / "ro" / "file").read_text() == "kept"


async def test_a_read_only_file_is_not_written_through_another_name(tmp_path: Path) -> None:
    """Links, renames and descriptors across the border of two mounts of one folder."""
    (tmp_path / "keep").write_text("kept")
    await attack(
        f"""
        os.chdir("{tmp_path}")
        attempt("link", lambda: os.link("keep", "other") or "linked")
        attempt("rename", lambda: os.rename("keep", "other") or "renamed")
        attempt("replace", lambda: (open("n", "w"), os.rename("n", "keep")))
        fd = os.open("keep", os.O_RDONLY)
        attempt("reopen", lambda: os.open(f"/proc/self/fd/{{fd}}", os.O_RDWR))
        """,
        writable=(str(tmp_path),),
        readable=(f"{tmp_path}/keep",),
    )
    assert (tmp_path / "keep").read_text() == "kept"


async def test_setuid_and_file_capabilities_give_nothing(tmp_path: Path) -> None:
    """A root-owned setuid shell in a shown folder, and those of the system."""
    program = tmp_path / "id"
    shutil.copy("/usr/bin/id", program)
    program.chmod(0o6755)
    done = await ran(
        shell(
            f"{program}; id; for p in su mount passwd newgrp; do command -v $p; done;"
            "grep -E 'NoNewPrivs|Cap' /proc/self/status; mount | grep -v nosuid | grep -v /dev/pts",
            readable=(str(tmp_path),),
        )
    )
    text = done.stdout.decode()
    assert text.count("uid=1000(agent) gid=1000(agent)") == 2
    assert "euid" not in text
    assert "NoNewPrivs:\t1" in text
    assert {line.split("\t")[1] for line in text.splitlines() if line.startswith("Cap")} == {
        "0" * 16
    }


async def test_a_device_is_not_made_nor_opened(tmp_path: Path) -> None:
    await attack(
        f"""
        os.chdir("{tmp_path}")
        for name, kind, number in (("disk", 0o060600, (254, 0)), ("mem", 0o020600, (1, 1)),
                                   ("null", 0o020600, (1, 3))):
            attempt(name, lambda: os.mknod(name, kind, os.makedev(*number)) or "made")
        for path in ("/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/sda", "/dev/kvm", "/dev/fuse",
                     "/dev/net/tun", "/dev/core", "/proc/kcore", "/proc/kmsg"):
            attempt(path, lambda: os.open(path, os.O_RDONLY))
        """,
        writable=(str(tmp_path),),
    )


async def test_a_folder_swapped_for_a_link_while_the_cell_is_made_widens_nothing(
    tmp_path: Path,
) -> None:
    """Between looking and mounting, somebody swaps the folder for a link to a secret one, as fast
    as it can, while cells are made. Each is refused or shows the folder; none the secret."""
    shown, secret = tmp_path / "shown", tmp_path / "secret"
    shown.mkdir()
    secret.mkdir()
    (shown / "mark").write_text("shown")
    (secret / "mark").write_text("secret")
    (tmp_path / "link").symlink_to(secret)
    swap = (
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None)\n"
        f"a, b = {os.fsencode(shown)!r}, {os.fsencode(tmp_path / 'link')!r}\n"
        "print('up', flush=True)\n"
        "while True: libc.renameat2(-100, a, -100, b, 2)\n"
    )
    swapper = await asyncio.create_subprocess_exec(
        "/usr/bin/python3", "-c", swap, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert swapper.stdout is not None
        await swapper.stdout.readline()
        seen: list[bytes] = []
        while seen.count(b"shown") < 10 and len(seen) < 20_000:
            try:
                done = await ran(Job(("cat", f"{shown}/mark"), readable=(str(shown),)))
                seen.append(done.stdout)
            except WorldError as error:
                seen.append(error.code.encode())
        assert set(seen) <= {b"shown", b"wall.moved", b"wall.cell", b"wall.mount"}
        assert b"shown" in seen
    finally:
        swapper.kill()
        await swapper.wait()


async def test_a_cell_that_is_not_one_never_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bubblewrap that forgets a wall: the launcher looks, and nothing runs."""
    forgets = {
        "--unshare-net": "network",
        "--remount-ro": "can be written",
        "--seccomp": "filter",
        "--unshare-pid": "processes",
    }
    whole = cell.arguments.options
    for word, says in forgets.items():

        def weak(*args: object, _word: str = word, **more: object) -> list[str]:
            said = whole(*args, **more)  # type: ignore[arg-type]
            while _word in said:
                at = said.index(_word)
                del said[at : at + (1 if _word.startswith("--unshare") else 2)]
            return said

        monkeypatch.setattr(cell.arguments, "options", weak)
        with pytest.raises(WorldError, match=says):
            await ran(Job(("true",)), Limits())

"""Red team: filling what the machine has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nucleus_vmhost import groups
from nucleus_vmhost.work import Limits
from tests.redteam_wall.attacks import attack
from tests.vmhost.cells import python, ran

SMALL = Limits(tmp_bytes=4 << 20, file_bytes=64 << 20, data_bytes=256 << 20, files=32)


async def test_every_place_that_can_be_filled_is_bounded() -> None:
    refused = await attack(
        """
        for folder in ("/tmp", "/dev/shm", os.environ["HOME"], "/var/tmp"):
            def fill():
                total = 0
                with open(f"{folder}/big", "wb", 0) as file:
                    while total < 40 << 20:
                        total += file.write(bytes(1 << 20))
                return total
            attempt(folder, fill)
            if folder != "/var/tmp": os.unlink(f"{folder}/big")
        for folder in ("/", "/dev", "/run", "/etc", "/home", "/var", "/run/nucleus"):
            attempt(folder, lambda: open(f"{folder}/big", "wb"))
        """,
        limits=SMALL,
    )
    assert {refused[folder] for folder in ("/tmp", "/dev/shm", "/home/agent")} == {"ENOSPC"}
    assert {refused[folder] for folder in ("/", "/dev", "/run", "/etc", "/home")} <= {
        "EROFS",
        "EACCES",
    }


async def test_one_file_is_bounded(tmp_path: object) -> None:
    program = """
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        attempt("file", lambda: os.truncate(os.open("./big", os.O_CREAT | os.O_RDWR), 65 << 20))
    """
    refused = await attack(program, limits=SMALL, writable=(str(tmp_path),), cwd=str(tmp_path))
    assert refused == {"file": "EFBIG"}


async def test_memory_and_open_files_are_bounded() -> None:
    done = await ran(python("x = [bytearray(1 << 20) for _ in range(1000)]"), SMALL)
    assert b"MemoryError" in done.stderr
    assert await attack(
        'attempt("open", lambda: [os.dup(0) for _ in range(100)])', limits=SMALL
    ) == {"open": "EMFILE"}


async def test_a_limit_is_not_raised_again() -> None:
    await attack(
        """
        import resource
        for name in ("NPROC", "DATA", "NOFILE", "FSIZE", "CPU", "AS"):
            kind = getattr(resource, "RLIMIT_" + name)
            soft, hard = resource.getrlimit(kind)
            try:
                resource.setrlimit(kind, (hard + 1, hard + 1)); print("GOT", name)
            except (ValueError, OSError): print("no", name, "refused")
        """,
        limits=SMALL,
    )


HOG = """
import os, sys
pids = []
for _ in range(8):
    if (pid := os.fork()) == 0:
        held = []
        try:
            while len(held) < 64: held.append(os.urandom(1 << 20))
        except MemoryError: os._exit(9)
        os.write(1, b"full ")
        sys.stdin.read()
        os._exit(0)
    pids.append(pid)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
print(codes)
"""
FILES = """
import os
held = []
for number in range(400):
    fd = os.memfd_create("x")
    os.write(fd, os.urandom(1 << 20)); held.append(fd)
print("all")
"""


def _memory_groups() -> bool:
    made = groups.Groups.make(Limits(), "probe")
    made.remove()
    return made.memory


@pytest.mark.skipif(not _memory_groups(), reason="no memory cgroup is to be had here")
async def test_memory_of_all_processes_and_of_files_in_it_is_bounded_together() -> None:
    """Each of the eight stays far below its own limit."""
    limits = replace(SMALL, memory_bytes=192 << 20, files=1024)
    done = await ran(python(HOG), limits)
    assert done.stdout.count(b"full") < 8
    done = await ran(python(FILES), limits)
    assert b"all" not in done.stdout
    assert done.code != 0
    # Neither is a limit of the machine: with room for all, all is well.
    done = await ran(python(HOG), replace(limits, memory_bytes=2 << 30))
    assert done.stdout.count(b"full") == 8, done


async def test_the_disk_below_what_may_be_written_is_bounded_over_all_files(
    tmp_path: Path,
) -> None:
    program = """
        import os
        data = os.urandom(1 << 20)
        for number in range(100000):
            with open(f"./{number}", "wb") as file: file.write(data)
        print("all")
    """
    limits = replace(SMALL, disk_bytes=64 << 20)
    done = await ran(python(program, writable=(str(tmp_path),), cwd=str(tmp_path)), limits)
    assert (done.code, done.stdout, done.timed_out) == (128 + 9, b"", False)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) > 60 << 20

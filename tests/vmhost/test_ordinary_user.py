"""An ordinary user has the same cells as root, from copies of our files that this user can read."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import PACKAGES
from tests.vmhost.cells import PYTHON

NOBODY = 65534
PROGRAM = """
import asyncio, dataclasses, sys
from nucleus_vmhost.bubblewrap import Bubblewrap
from nucleus_vmhost.work import Limits
@dataclasses.dataclass(frozen=True)
class Job:
    argv: tuple; cwd: str = "/tmp"; env: dict = dataclasses.field(default_factory=dict)
    readable: tuple = (); writable: tuple = (); masked: tuple = (); stdin: bytes = b""
    seconds: float = 60; output_bytes: int = 100000; network: bool = False; socket: str = None
limits = Limits(processes=40, memory_bytes=128 << 20)
done = asyncio.run(Bubblewrap(limits).run(Job(("/bin/sh", "-c", sys.argv[1]))))
sys.stdout.buffer.write(done.stdout); sys.stderr.buffer.write(done.stderr); sys.exit(done.code)
"""


@pytest.fixture
def rooms() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="nucleus-test-"))
    try:
        for package in ("nucleus_tokens", "nucleus_vmhost"):
            shutil.copytree(PACKAGES[package], folder / package)
        subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
        yield folder
    finally:
        shutil.rmtree(folder)


def _as_nobody(
    rooms: Path, script: str, group: Path | None = None
) -> subprocess.CompletedProcess[str]:
    enter = 'echo 0 > "$0/cgroup.procs" && exec "$@"'
    first = [] if group is None else ["/bin/sh", "-c", enter, str(group)]
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return subprocess.run(
        [*first, *(drop if os.geteuid() == 0 else []), PYTHON, "-c", PROGRAM, script],
        env={"PYTHONPATH": str(rooms), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False, cwd="/", timeout=120,
    )  # fmt: skip


def test_the_cell_is_the_same(rooms: Path) -> None:
    done = _as_nobody(rooms, "id -u; cat /proc/net/dev | grep -c :; touch /usr/x; echo y > /tmp/z")
    assert done.returncode == 0, done
    assert done.stdout.split() == ["1000", "1"]
    assert "Read-only file system" in done.stderr


def test_a_fork_bomb_is_bounded_without_a_cgroup(rooms: Path) -> None:
    done = _as_nobody(rooms, "i=0; while [ $i -lt 200 ]; do sleep 5 & i=$((i+1)); done; echo all")
    assert "all" not in done.stdout
    assert "fork" in done.stderr


OLD = Path("/sys/fs/cgroup/memory")


@pytest.mark.skipif(
    os.geteuid() != 0 or not os.access(OLD / "cgroup.procs", os.W_OK), reason="no cgroup to give"
)
def test_memory_is_bounded_for_whom_a_group_was_given(rooms: Path) -> None:
    group = OLD / f"given-{os.getpid()}"
    group.mkdir()
    try:
        for path in (group, group / "cgroup.procs"):
            os.chown(path, NOBODY, NOBODY)
        hog = "head -c 300m /dev/zero | tail -c 299m | tail -c 1"
        assert _as_nobody(rooms, f"{hog}; echo over", group).stdout.strip("\0") == "over\n"
        assert "\0" not in _as_nobody(rooms, hog, group).stdout
        assert "\0" in _as_nobody(rooms, hog).stdout
    finally:
        group.rmdir()

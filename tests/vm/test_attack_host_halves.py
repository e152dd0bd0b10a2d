"""Red team: a host half was taken over by its guest, and turns to the one beside it, to the pool
and to their QEMUs. Its own process runs the attacker's code."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nucleus_vmhost import secluded
from tests.cli.command import ROOMS
from tests.vm.machines import emulators, until
from tests.walled.place import Place

# Loaded before anything of ours; on a signal it runs in the midst of whatever the process does.
TAKEN_OVER = """
import ctypes, json, os, signal
libc = ctypes.CDLL(None, use_errno=True)
class Span(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("size", ctypes.c_size_t)]
def first(pid):
    for line in open(f"/proc/{pid}/maps"):
        if line.split()[1].startswith("r") and "[v" not in line:
            return int(line.split("-")[0], 16)
def mem(pid):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        file.seek(first(pid))
        return len(file.read(8)) == 8
def readv(pid, address):
    into = ctypes.create_string_buffer(8)
    here, there = Span(ctypes.addressof(into), 8), Span(address, 8)
    return libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) == 8
def trace(pid):
    if libc.ptrace(0x4206, pid, None, None):  # PTRACE_SEIZE: it is not stopped
        return False
    libc.ptrace(0x4207, pid, None, None)
    os.waitpid(pid, 0x40000000)
    libc.ptrace(17, pid, None, None)
    return True
def descriptor(pid):
    return libc.syscall(438, os.pidfd_open(pid), 0, 0) >= 0  # pidfd_getfd
def tried(what, *args):
    try:
        return bool(what(*args))
    except OSError:
        return False
def attack(*_):
    said = {}
    for pid, address in json.load(open(os.environ["VICTIMS"])).items():
        pid = int(pid)
        said[pid] = {
            "mem": tried(mem, pid), "readv": tried(readv, pid, address),
            "ptrace": tried(trace, pid), "pidfd": tried(descriptor, pid),
            "files": tried(os.listdir, f"/proc/{pid}/cwd/"),
            "environ": tried(lambda: open(f"/proc/{pid}/environ").read()),
            "signal": tried(lambda: os.kill(pid, 0) is None),
        }
    said["dumpable"] = libc.prctl(3, 0, 0, 0, 0)
    with open(os.environ["VICTIMS"] + ".new", "w") as out:
        json.dump(said, out)
    os.rename(out.name, os.environ["VICTIMS"] + ".said")
signal.signal(signal.SIGUSR1, attack)
"""
ROADS = {"mem", "readv", "ptrace", "pidfd", "files", "environ", "signal"}
# Newer kernels show it to whoever may look at how all processes run (CAP_PERFMON). No token or key
# of ours is there.
ROOTS = {"environ"} if os.geteuid() == 0 else set[str]()

apart = pytest.mark.skipif(not secluded.able(), reason="Landlock of Linux 6.12 is not here")


@pytest.fixture
def taken() -> Iterator[dict[str, str]]:
    """The environment of a process that is the attacker's, whoever that is later."""
    with tempfile.TemporaryDirectory(prefix="n") as name:
        Path(name).chmod(0o777)
        Path(name, "sitecustomize.py").write_text(TAKEN_OVER)
        yield {"PYTHONPATH": f"{name}:{ROOMS}", "VICTIMS": f"{name}/victims"}


def attacked(taken: dict[str, str], attacker: int, victims: list[int]) -> dict[str, Any]:
    """What the attacker reached of each, and whether it can be looked into itself."""
    spans = {}
    for pid in victims:
        spans[pid] = 0
        with contextlib.suppress(PermissionError):  # where it is closed to us as well
            lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
            spans[pid] = int(next(line for line in lines if " r" in line).split("-")[0], 16)
    Path(taken["VICTIMS"]).write_text(json.dumps(spans))
    said = Path(taken["VICTIMS"] + ".said")
    os.kill(attacker, signal.SIGUSR1)
    asyncio.run(until(said.exists))
    found: dict[str, Any] = json.loads(said.read_text())
    return found


@pytest.fixture
def begun(place: Place, taken: dict[str, str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two runs; the first is taken over."""
    runs = []
    for more in (taken, {}):
        runs.append(
            subprocess.Popen(
                place.argv("--", "sh", "-c", "echo begun; cat"),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                cwd=place.folder, env=place.desk.environ(more), start_new_session=True,
            )
        )  # fmt: skip
    try:
        for run in runs:
            assert run.stdout is not None
            assert run.stdout.readline() == b"begun\n"
        yield runs
    finally:
        for run in runs:
            run.communicate(b"", timeout=60)


@apart
def test_a_host_half_reaches_no_other_one_no_pool_and_none_of_their_machines(
    pool: subprocess.Popen[bytes],
    begun: list[subprocess.Popen[bytes]],
    taken: dict[str, str],
) -> None:
    one, other = (run.pid for run in begun)
    victims = [other, pool.pid, *emulators(other), *emulators(pool.pid), os.getpid()]
    assert len(victims) >= 5
    said = attacked(taken, one, victims)
    assert said.pop("dumpable") == 0
    for pid, roads in said.items():
        assert set(roads) == ROADS
        assert {road for road, reached in roads.items() if reached} <= ROOTS, pid


SCRIPT = """
import ctypes, os
from nucleus_vmhost import secluded
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
libc = ctypes.CDLL(None)
libc.prctl(4, 1, 0, 0, 0)  # as after an exec
libc.prctl(0x59616d61, ctypes.c_ulong(-1), 0, 0, 0)  # as without Yama
{}
print("there", flush=True)
input()
"""


@pytest.mark.parametrize(
    ("attackers", "victims", "open_roads"),
    [
        ("", "", ROADS),  # or the others would say nothing
        ("", "secluded.unseen()", {"signal"}),
        pytest.param("secluded.alone()", "", set[str](), marks=apart),
    ],
)
def test_which_roads_lead_from_one_process_to_another_of_its_user(
    taken: dict[str, str], attackers: str, victims: str, open_roads: set[str]
) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(does)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **more}, cwd="/",
        )
        for does, more in ((attackers, taken), (victims, {"PYTHONPATH": ROOMS}))
    ]  # fmt: skip
    try:
        for each in processes:
            assert each.stdout is not None
            assert each.stdout.readline() == b"there\n"
        attacker, victim = (each.pid for each in processes)
        roads = attacked(taken, attacker, [victim])[str(victim)]
    finally:
        for each in processes:
            each.communicate(b"\n", timeout=60)
    assert set(roads) == ROADS
    assert {road for road, reached in roads.items() if reached} == open_roads

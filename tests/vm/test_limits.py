"""A microVM has the memory, CPU time and life that were asked for, and ends where they do."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from nucleus_tokens.errors import CallerError, WorldError
from nucleus_vmhost import secluded
from nucleus_vmhost.vm import jailer
from nucleus_vmhost.vm.driver import MOST_SECONDS
from nucleus_vmhost.vm.image import Image
from nucleus_vmhost.vm.wanted import Wanted
from tests.vm.conftest import pooling
from tests.vm.machines import CACHE, alive, children, pool_says, qemu_of
from tests.walled.place import Place

SPINS = ("sh", "-c", "echo begun; while :; do :; done")


def _ended(place: Place, running: subprocess.Popen[bytes], code: str) -> bytes:
    """It ended by itself, with a code; nothing of it is left, and the trace stands."""
    family = children(running.pid)
    try:
        out, err = running.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        running.kill()
        raise
    assert f"[{code}]".encode() in err, err
    assert running.returncode == 2
    assert not [pid for pid in family if alive(pid)]
    assert place.desk.run("vm", "list", "--json").ok().json == []
    place.desk.run("trace", "verify").ok()
    return out


def test_at_the_end_of_its_life_a_machine_ends(place: Place) -> None:
    running = place.start("--life", "5s", "--", "sleep", "9999")
    _ended(place, running, "vm.life")


def test_a_guest_that_spins_ends_with_its_cpu_time(place: Place) -> None:
    running = place.start("--cpu-seconds", "6", "--", *SPINS)
    assert _ended(place, running, "vm.cpu") == b"begun\n"


def test_a_machine_has_the_memory_that_was_asked_for(place: Place, image: Image) -> None:
    asked = image.memory_mib + 128
    done = place.run("--memory", asked, "--", "grep", "MemTotal", "/proc/meminfo")
    assert done.code == 0, done.err
    (kib,) = re.findall(r"MemTotal: +(\d+) kB", done.out)
    assert image.memory_mib < int(kib) >> 10 <= asked


def test_of_a_pool_only_what_was_asked_for_is_taken_and_its_cpu_time_ends_it(
    place: Place,
) -> None:
    with pooling(place.desk, "--cpu-seconds", "6") as pool:
        assert place.run("--", "true").code == 0
        assert place.run("--cpu-seconds", "7", "--", "true").code == 0
        pool_says(place.desk, served=0, warm=1)
        machine = qemu_of(pool.pid)
        running = place.start("--cpu-seconds", "6", "--", *SPINS)
        assert _ended(place, running, "vm.cpu") == b"begun\n"
        pool_says(place.desk, served=1, claimed=0, warm=1)
        assert not alive(machine)


HOST_MIB = (os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) >> 20


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted(cpu_seconds=0), f"--cpu-seconds is 1 to {MOST_SECONDS} seconds."),
        (Wanted(cpu_seconds=MOST_SECONDS + 1), f"--cpu-seconds is 1 to {MOST_SECONDS} seconds."),
        (Wanted(life_seconds=MOST_SECONDS + 1), f"--life is 1 to {MOST_SECONDS} seconds."),
        (Wanted(memory_mib=-1), "--memory is "),
        (Wanted(memory_mib=HOST_MIB + 1), f" to {HOST_MIB} MiB for this image."),
    ],
)
def test_what_is_out_of_bounds_is_one_sentence(image: Image, wanted: Wanted, says: str) -> None:
    with pytest.raises(CallerError) as found:
        wanted.chosen(CACHE)
    assert found.value.code == "vm.size"
    assert says in found.value.message
    least = f"{image.memory_mib} to"
    assert wanted.memory_mib is None or least in found.value.message


def test_behind_the_local_wall_there_is_nothing_to_bound(place: Place) -> None:
    for option in (["--memory", "512"], ["--cpu-seconds", "9"], ["--life", "1h"]):
        words = ["run", "--local", "--token", place.desk.root / "agent.token", *option, "--", "x"]
        done = place.desk.run(*words).ok(2)
        assert "[run.where]" in done.err


def test_firecracker_is_chosen_where_all_it_needs_is_there_or_is_said_to_miss(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Wanted(image="default", driver="firecracker")
    with pytest.raises(CallerError) as unknown:
        Wanted(driver="virtualbox").chosen(CACHE)
    assert unknown.value.code == "vm.driver"
    monkeypatch.setattr(jailer, "DEVICE", os.fspath(tmp_path / "kvm"))
    with pytest.raises(WorldError) as found:
        wanted.chosen(CACHE)
    assert found.value.code == "vm.driver"
    for lacking in ("there is no firecracker", "there is no jailer", "kvm cannot be opened"):
        assert lacking in found.value.message
    assert ("by root" in found.value.message) == (os.geteuid() != 0)
    for name in ("firecracker", "jailer"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "kvm").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert wanted.chosen(CACHE).driver.name == "firecracker"


def test_doctor_says_whether_firecracker_can_be_chosen_and_what_keeps_host_halves_apart(
    place: Place,
) -> None:
    said = place.desk.run("vm", "doctor").ok().out.splitlines()
    lacks = ", ".join(jailer.lacking())
    (found,) = (line for line in said if "Firecracker: " in line)
    assert found.endswith(f"cannot be chosen: {lacks}" if lacks else "--driver firecracker")
    (found,) = (line for line in said if "host halves apart: " in line)
    assert found.startswith("ok") == secluded.able()

"""A kept pool: a run claims a warm machine of it, another home's run none, and a kill of either
side leaves nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

from nucleus_vmhost.vm import claims
from tests.cli.command import Desk
from tests.vm.machines import (
    alive,
    all_gone,
    children,
    emulators,
    gone,
    pool_says,
    qemu_of,
    said,
    until,
)
from tests.walled.place import Place


def test_a_run_claims_a_machine_and_another_is_made(
    place: Place, pool: subprocess.Popen[bytes]
) -> None:
    assert place.desk.run("vm", "pool", "status", "--json").ok().json[0]["pid"] == pool.pid
    done = place.run(
        "--", "sh", "-c", "cat README.md; cat; ls /sys/class/net; exit 5", stdin=b"in\n"
    )
    assert (done.code, done.out) == (5, "hello\nin\nlo\n"), done.err
    pool_says(place.desk, served=1, claimed=0, warm=1)
    assert "vm.pool" in place.desk.process("vm", "pool", "serve").ok(2).err, "one for each image"


def test_another_homes_run_has_a_machine_of_its_own(
    place: Place, pool: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    other = Desk(tmp_path)
    assert other.run("vm", "pool", "status", "--json").ok().json == []
    (key,) = asyncio.run(claims.pools(place.desk.home / "state"))
    assert asyncio.run(claims.claimed(other.home / "state", str(key["key"]))) is None


def test_a_run_that_is_killed_ends_its_machine_and_not_the_pool(
    place: Place, pool: subprocess.Popen[bytes]
) -> None:
    first = qemu_of(pool.pid)
    running = place.start("--", "sh", "-c", "echo begun; cat")
    said(running, b"begun\n")
    pool_says(place.desk, claimed=1, warm=1)
    running.kill()
    running.communicate()
    pool_says(place.desk, claimed=0, warm=1)
    assert not alive(first), "it served one session"
    assert qemu_of(pool.pid) != first
    place.desk.run("trace", "verify").ok()


def test_a_pool_that_is_killed_takes_its_machines_along(
    place: Place, pool: subprocess.Popen[bytes]
) -> None:
    running = place.start("--", "sh", "-c", "echo begun; cat")
    said(running, b"begun\n")
    pool_says(place.desk, claimed=1, warm=1)
    family = children(pool.pid)
    assert len(family) > 4
    pool.kill()
    _, err = running.communicate(timeout=60)
    assert b"[vm.ended]" in err, err
    asyncio.run(all_gone(family[1:]))
    assert place.desk.run("vm", "pool", "status", "--json").ok().json == []
    place.desk.run("trace", "verify").ok()


def test_a_machine_that_dies_while_it_waits_is_replaced(
    place: Place, pool: subprocess.Popen[bytes]
) -> None:
    first = qemu_of(pool.pid)
    os.kill(first, signal.SIGKILL)
    asyncio.run(gone(first))
    asyncio.run(until(lambda: bool(emulators(pool.pid) - {first})))
    pool_says(place.desk, warm=1, served=0)

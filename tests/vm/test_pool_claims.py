"""A kept pool: a run claims a warm machine of it, another user's process none, and a kill of either
side leaves nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from nucleus_vmhost.vm import claims
from tests.cli.command import PROGRAM, Desk
from tests.vm.machines import alive, children, emulators, gone, qemu_of, until
from tests.vmhost.cells import PYTHON
from tests.walled.place import Place


@pytest.fixture
def pool(desk: Desk) -> Iterator[subprocess.Popen[bytes]]:
    """The process that keeps one warm."""
    with subprocess.Popen(
        [*PROGRAM, *desk.argv("vm", "pool", "serve", "--size", "1")],
        stderr=subprocess.PIPE,
        env=desk.environ(),
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        try:
            assert b"are warm" in process.stderr.readline()
            yield process
        finally:
            family = children(process.pid)
            process.terminate()
            process.wait(60)
            asyncio.run(all_gone(family))


async def all_gone(pids: list[int]) -> None:
    for pid in pids:
        await gone(pid)


def status(**wanted: int) -> dict[str, object]:
    """What the one pool says, once it says what is wanted."""

    async def asked() -> dict[str, object]:
        async with asyncio.timeout(60):
            while True:
                (found,) = await claims.pools()
                if all(found[name] == value for name, value in wanted.items()):
                    return found
                await asyncio.sleep(0.02)

    return asyncio.run(asked())


def test_a_run_claims_a_machine_and_another_is_made(
    place: Place, pool: subprocess.Popen[bytes]
) -> None:
    assert place.desk.run("vm", "pool", "status", "--json").ok().json[0]["pid"] == pool.pid
    done = place.run(
        "--", "sh", "-c", "cat README.md; cat; ls /sys/class/net; exit 5", stdin=b"in\n"
    )
    assert (done.code, done.out) == (5, "hello\nin\nlo\n"), done.err
    status(served=1, claimed=0, warm=1)
    assert "vm.pool" in place.desk.run("vm", "pool", "serve").ok(2).err, "one for each image"


def test_a_run_that_is_killed_ends_its_machine_and_not_the_pool(
    place: Place, pool: subprocess.Popen[bytes]
) -> None:
    first = qemu_of(pool.pid)
    running = place.start("--", "sh", "-c", "echo begun; cat")
    assert running.stdout is not None
    assert running.stdout.readline() == b"begun\n"
    status(claimed=1, warm=1)
    running.kill()
    running.communicate()
    status(claimed=0, warm=1)
    assert not alive(first), "it served one session"
    assert qemu_of(pool.pid) != first
    place.desk.run("trace", "verify").ok()


def test_a_pool_that_is_killed_takes_its_machines_along(
    place: Place, pool: subprocess.Popen[bytes]
) -> None:
    running = place.start("--", "sh", "-c", "echo begun; cat")
    assert running.stdout is not None
    assert running.stdout.readline() == b"begun\n"
    status(claimed=1, warm=1)
    family = children(pool.pid)
    assert len(family) > 4
    pool.kill()
    _, err = running.communicate(timeout=60)
    assert b"[vm.ended]" in err, err
    asyncio.run(all_gone(family[1:]))
    assert place.desk.run("vm", "pool", "status", "--json").ok().json == []
    place.desk.run("trace", "verify").ok()


def test_a_machine_that_dies_while_it_waits_is_replaced(
    pool: subprocess.Popen[bytes],
) -> None:
    first = qemu_of(pool.pid)
    os.kill(first, signal.SIGKILL)
    asyncio.run(gone(first))
    asyncio.run(until(lambda: bool(emulators(pool.pid) - {first})))
    status(warm=1, served=0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is two users")
def test_another_user_gets_no_machine_and_offers_none(
    pool: subprocess.Popen[bytes],
) -> None:
    name = claims._name(str(status()["key"]))
    asking = "s.connect(name); s.send(b'claim\\n'); print(s.recvmsg(100, 100)[:2])"
    with other(asking, name) as process:
        assert process.communicate()[0] in (b"(b'', [])\n", b"")
    status(served=0, warm=1)
    lying = "s.bind(name); s.listen(); print('listens', flush=True); [s.accept() for _ in range(9)]"
    with other(lying, claims._name("f" * 32)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"listens\n"
        assert asyncio.run(claims.claimed("f" * 32)) is None
        assert len(asyncio.run(claims.pools())) == 1
        process.kill()


def other(script: str, name: str) -> subprocess.Popen[bytes]:
    """Another user's process, with a unix socket."""
    start = "import socket, sys; s = socket.socket(socket.AF_UNIX); name = '\\0' + sys.argv[1]; "
    return subprocess.Popen(
        [PYTHON, "-c", start + script, name[1:]],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, user=65534, cwd="/",
    )  # fmt: skip

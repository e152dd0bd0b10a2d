"""Red team: another user of the machine finds the name of a pool's socket."""

from __future__ import annotations

import asyncio
import os
import subprocess

import pytest

from nucleus_vmhost.vm import claims
from tests.cli.command import Desk
from tests.vm.machines import pool_says
from tests.vmhost.cells import PYTHON


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is two users")
def test_another_user_gets_no_machine_and_offers_none(
    desk: Desk,
    pool: subprocess.Popen[bytes],
) -> None:
    home = desk.home / "state"
    name = claims._name(home, str(pool_says(desk)["key"]))
    asking = "s.connect(name); s.send(b'claim\\n'); print(s.recvmsg(100, 100)[:2])"
    with other(asking, name) as process:
        assert process.communicate()[0] in (b"(b'', [])\n", b"")
    pool_says(desk, served=0, warm=1)
    lying = "s.bind(name); s.listen(); print('listens', flush=True); [s.accept() for _ in range(9)]"
    with other(lying, claims._name(home, "f" * 32)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"listens\n"
        assert asyncio.run(claims.claimed(home, "f" * 32)) is None
        assert len(asyncio.run(claims.pools(home))) == 1
        process.kill()


def other(script: str, name: str) -> subprocess.Popen[bytes]:
    """Another user's process, with a unix socket."""
    start = "import socket, sys; s = socket.socket(socket.AF_UNIX); name = '\\0' + sys.argv[1]; "
    return subprocess.Popen(
        [PYTHON, "-c", start + script, name[1:]],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, user=65534, cwd="/",
    )  # fmt: skip

"""Red team: what a cell could inherit: variables, descriptors, arguments, what is in memory."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from nucleus_vmhost import cell
from nucleus_vmhost.work import Limits
from tests.redteam_wall.attacks import attack
from tests.vmhost.cells import Job, ran, running, said, shell


async def test_no_descriptor_is_inherited(tmp_path: Path) -> None:
    """Not even one that was opened to be inherited, and none of the files and sockets by which
    the cell was made."""
    (tmp_path / "key").write_text("leaked")
    fd = os.open(tmp_path / "key", os.O_RDONLY)
    os.set_inheritable(fd, True)
    with socket.socket(socket.AF_UNIX) as near:
        near.set_inheritable(True)
        try:
            await attack("""
                for n in range(3, 4096):
                    try: print("GOT", n, os.readlink(f"/proc/self/fd/{n}"))
                    except OSError: pass
                print("ok")
            """)
        finally:
            os.close(fd)


async def test_streams_that_were_handed_in_have_no_other_number() -> None:
    read, write = os.pipe()
    with os.fdopen(read) as out:
        extras = cell.Extras(streams=(read, write, write))
        async with cell.opened(shell("ls /proc/self/fd"), Limits(), extras) as process:
            assert await process.wait() == 0
        os.close(write)
        assert out.read().split() == ["0", "1", "2", "3"], "3 is the listing's own"


async def test_no_variable_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    names = "API_TOKEN LD_PRELOAD PYTHONPATH BASH_ENV HTTP_PROXY SSH_AUTH_SOCK"
    for name in names.split():
        monkeypatch.setenv(name, "leaked")
    assert "leaked" not in await said(shell("env; cat /proc/*/environ 2>/dev/null; true"))


async def test_a_variable_of_a_cell_is_in_no_argument_list() -> None:
    """What a server is given may be a secret; every user of the machine can read arguments."""
    job = shell("cat /proc/*/cmdline | tr '\\0' ' '; sleep 0.2", env={"KEY": "s3cr3t-value"})
    done = await ran(job)
    assert b"s3cr3t-value" not in done.stdout
    assert not running("s3cr3t-value")


async def test_what_a_variable_loads_does_not_load_into_the_launcher(tmp_path: Path) -> None:
    """LD_PRELOAD and PYTHON* of the work mean nothing before the last wall stands."""
    (tmp_path / "sitecustomize.py").write_text("print('GOT loaded')")
    env = {"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": f"{tmp_path}/sitecustomize.py",
           "PYTHONINSPECT": "1", "LD_DEBUG": "libs"}  # fmt: skip
    done = await ran(Job(("/bin/true",), env=env, readable=(str(tmp_path),)))
    assert b"GOT" not in done.stdout + done.stderr
    assert b"python" not in done.stderr, "the loader spoke of the launcher"


async def test_keys_and_state_of_a_home_are_not_there(tmp_path: Path) -> None:
    home = tmp_path / "home" / "data" / "keys"
    home.mkdir(parents=True)
    (home / "audience.key").write_text("leaked")
    (tmp_path / "ws").mkdir()
    await attack(
        f"""
        attempt("key", lambda: open("{home}/audience.key").read())
        attempt("home", lambda: os.listdir("{tmp_path}/home"))
        found = [f for place in ("/home", "/root", "/tmp", "/run", "/etc", "/var", "/dev")
                 for top, _, names in os.walk(place) for f in names if f == "audience.key"]
        print("ok" if not found else f"GOT {{found}}")
        """,
        writable=(f"{tmp_path}/ws",),
    )

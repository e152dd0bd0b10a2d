"""Red team: other processes, of the machine and of the cell's own makers."""

from __future__ import annotations

import asyncio
import sys

from nucleus_vmhost.work import Limits
from tests.redteam_wall.attacks import attack
from tests.vmhost.cells import mark, python, ran, running, shell


async def test_the_machines_processes_are_not_seen_read_or_signalled() -> None:
    secret = "NUCLEUS_OUTSIDE_SECRET"
    outside = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE, env={secret: "leaked"}
    )
    try:
        refused = await attack(f"""
            pid = {outside.pid}
            for name in ("environ", "cmdline", "maps", "mem", "status"):
                attempt(name, lambda: open(f"/proc/{{pid}}/{{name}}", "rb").read(10))
            attempt("root", lambda: os.listdir(f"/proc/{{pid}}/root"))
            attempt("kill", lambda: os.kill(pid, 9))
            attempt("group", lambda: os.killpg(os.getpgid(pid), 9))
            for each in [p for p in os.listdir("/proc") if p.isdigit()]:
                try: data = open(f"/proc/{{each}}/environ", "rb").read()
                except OSError: data = b""
                if b"{secret}" in data: print("GOT environ of", each)
        """)
        assert set(refused.values()) <= {"ENOENT", "ESRCH"}
        assert outside.returncode is None
    finally:
        outside.kill()
        await outside.wait()


async def test_the_first_process_of_the_cell_shows_no_other_root() -> None:
    """/proc/1/root is the classic way out of a chroot."""
    await attack("""
        for base in ("/proc/1/root", "/proc/self/root", "/proc/1/cwd", "/proc/self/root/../.."):
            attempt(base + "/etc/shadow", lambda: open(base + "/etc/shadow").read(1))
            for name in ("root", "srv", "boot", "mnt"):
                try: entries = os.listdir(f"{base}/{name}")
                except OSError: entries = []
                if set(entries) - {".pyenv", ".local"}: print("GOT", base, name, entries)
        for name in ("mem", "environ", "maps"):
            attempt(f"1/{name}", lambda: open(f"/proc/1/{name}", "rb").read(1))
        attempt("1/fd", lambda: [os.readlink(f"/proc/1/fd/{n}") for n in os.listdir("/proc/1/fd")])
    """)


async def test_nobody_is_traced() -> None:
    refused = await attack("""
        child = os.fork()
        if child == 0:
            import time; time.sleep(30)
        import platform
        number = {"x86_64": 101, "aarch64": 117}[platform.machine()]
        for name, request, pid in (("attach", 16, child), ("seize", 0x4206, child), ("init", 16, 1),
                                   ("traceme", 0, 0)):
            call(name, number, request, pid, 0, 0)
        os.kill(child, 9)
    """)
    assert set(refused.values()) == {"EPERM"}


async def test_no_process_hides_behind_the_end() -> None:
    """Daemonised, in a session of its own, ignoring every signal: it ends with the cell."""
    program = f"""
        import os, signal, time
        for number in range(1, 65):
            if number == signal.SIGCHLD: continue
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execvp("sleep", ["sleep", "{mark(71250)}"])
            os._exit(0)
        os.wait()
        time.sleep(0.1)
    """
    done = await ran(python(program))
    assert done.code == 0, done
    assert not running(mark(71250))


async def test_when_a_cell_has_ended_nothing_of_it_still_runs() -> None:
    """Whoever looks at what it left behind must not race with it: many take a while to end."""
    it = mark(71251)
    program = f"""
        import os
        block = bytearray(os.urandom(1 << 20) * 32)
        for _ in range(100):
            if os.fork() == 0:
                os.setsid()
                block[::4096] = bytes(len(block) // 4096)
                os.execvp("sleep", ["sleep", "{it}"]) if _ % 2 else os.read(os.pipe()[0], 1)
        import time; time.sleep(0.5)
    """
    done = await ran(python(program))
    assert done.code == 0, done
    assert not running(it)


async def test_a_fork_bomb_is_bounded() -> None:
    limits = Limits(processes=40)
    text = """
        count = 0
        try:
            while count < 500:
                if os.fork() == 0:
                    import time; time.sleep(60)
                    os._exit(0)
                count += 1
        except OSError as error:
            print("no", "fork", errno.errorcode[error.errno])
        print("GOT" if count > 45 else "ok", count)
    """
    refused = await attack(text, limits=limits)
    assert refused == {"fork": "EAGAIN"}
    done = await ran(shell("b() { b | b & }; b; sleep 1", seconds=3), limits)
    assert done.code in (0, 2, 137), done

"""Where a person sits at a terminal, the agent in the machine has one of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable

from tests.walled.place import Place

# Signals are waited for: a handler may come between the bytes of a line, or before the wait.
AGENT = """
import os, signal, sys
size = lambda: tuple(os.get_terminal_size(0))
waited = {signal.SIGWINCH, signal.SIGINT}
signal.pthread_sigmask(signal.SIG_BLOCK, waited)
print("are", *(os.isatty(n) for n in range(3)), *size(), os.ttyname(0), flush=True)
print("line", repr(input("name? ")), flush=True)
print("waits", flush=True)
while signal.sigwait(waited) == signal.SIGWINCH:
    print("size", *size(), flush=True)
print("interrupted", flush=True)
sys.exit(3)
"""


def sized(screen: int, rows: int, columns: int) -> None:
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def test_keys_size_and_signals_reach_the_agents_own_terminal(place: Place) -> None:
    (place.folder / "agent.py").write_text(AGENT)
    screen, mine = pty.openpty()
    sized(screen, 33, 77)
    before = termios.tcgetattr(mine)
    pid = os.fork()
    if pid == 0:
        os.chdir(place.folder)
        _sit(mine)
        argv = place.argv("--", "python3", "agent.py")
        os.execvpe(argv[0], argv, place.desk.environ())  # noqa: S606  the child of a fork becomes it

    def another_size() -> None:
        sized(screen, 40, 120)
        os.kill(pid, signal.SIGWINCH)

    steps: list[tuple[bytes, Callable[[], object]]] = [
        (b"name? ", lambda: os.write(screen, b"an agenf\x7ft\r")),
        (b"waits", another_size),
        (b"size 120 40", lambda: os.write(screen, b"\x03")),
    ]
    out = b""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if not select.select([screen], [], [], 0.1)[0]:
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                break
            continue
        out += os.read(screen, 65536)
        if steps and steps[0][0] in out:
            steps.pop(0)[1]()
    _, status = os.waitpid(pid, 0)
    assert not steps, out
    assert b"are True True True 77 33 /dev/pts/" in out
    assert b"line 'an agent'" in out, "its terminal edits lines"
    assert b"interrupted" in out
    assert os.waitstatus_to_exitcode(status) == 3, out
    assert termios.tcgetattr(mine) == before, "and ours is what it was"
    os.close(screen)
    os.close(mine)


def _sit(terminal: int) -> None:
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for number in range(3):
        os.dup2(terminal, number)

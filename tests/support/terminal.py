"""A real terminal with somebody at it, who waits for a text and types an answer."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Said = bytes | Callable[[bytes], bytes]
_PATIENCE = 60.0  # seconds


def typed(
    argv: list[str],
    dialogue: Sequence[tuple[bytes, Said]],
    *,
    env: Mapping[str, str],
    folder: Path,
    size: tuple[int, int] = (0, 0),
) -> tuple[bytes, int]:
    """All that a command wrote, and its exit code. Each of the dialogue's texts is looked for in
    what came after the one before. `size` is in lines and columns."""
    pid, screen = pty.fork()
    if pid == 0:
        os.chdir(folder)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        os.execvpe(argv[0], argv, env)  # noqa: S606  the child of a fork becomes the program
    out, seen, left = b"", 0, list(dialogue)
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if select.select([screen], [], [], 0.1)[0]:
            try:
                data = os.read(screen, 65536)
            except OSError:
                break
            if not data:
                break
            out += data
        if left and left[0][0] in out[seen:]:
            _, said = left.pop(0)
            seen = len(out)
            os.write(screen, said if isinstance(said, bytes) else said(out))
    else:
        os.kill(pid, 9)
    _, status = os.waitpid(pid, 0)
    os.close(screen)
    assert not left, out.decode(errors="replace")
    return out, os.waitstatus_to_exitcode(status)

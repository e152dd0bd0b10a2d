"""Law: a cell has ended when its first process is gone, not when its starter is.

bubblewrap ends, its first process is killed for it, and the kernel ends all others before that one
counts as gone. Until then something in the cell may still write. We wait for exactly that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path
from typing import Final

from nucleus_tokens.errors import WorldError

_ENDS_SECONDS: Final = 30.0
_TOLD_BYTES: Final = 4096


class First:
    """The first process of one cell."""

    def __init__(self) -> None:
        self._told = -1
        self._fd = -1

    def told(self) -> int:
        """The descriptor on which bubblewrap says its number; it is the caller's."""
        self._told, theirs = os.pipe2(os.O_CLOEXEC)
        return theirs

    def open(self) -> None:
        """Take hold of it. Call it once the cell has said that it began: it was told before.

        Raises WorldError `wall.cell`.
        """
        try:
            pid = int(json.loads(os.read(self._told, _TOLD_BYTES))["child-pid"])
        except (ValueError, KeyError, TypeError) as error:
            raise WorldError("wall.cell", "bubblewrap did not say which cell it made.") from error
        try:
            self._fd = os.pidfd_open(pid)
            # A number is used again: the first process of a cell is number 1 in there.
            if not _is_first(pid):
                self._drop()
        except ProcessLookupError:
            return  # it has come and gone

    async def ended(self) -> None:
        """Call it when bubblewrap has ended: kill the cell's first process, should its death not
        have done so, and wait until nothing of the cell runs. Raises WorldError `wall.ends`."""
        if self._fd < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, signal.SIGKILL)
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._fd, over.set)
        try:
            async with asyncio.timeout(_ENDS_SECONDS):
                await over.wait()
        except TimeoutError as error:
            raise WorldError("wall.ends", "A cell did not end when it was told to.") from error
        finally:
            loop.remove_reader(self._fd)

    def close(self) -> None:
        """Let go of it. Safe to call again."""
        self._drop()
        if self._told >= 0:
            os.close(self._told)
            self._told = -1

    def _drop(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _is_first(pid: int) -> bool:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return False
    return any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in lines.split("\n"))

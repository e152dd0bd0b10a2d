"""Law: what a machine prints is for a person who looks for a fault: bounded, and nothing is
decided by it but that its guest half listens.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable
from typing import Final

from nucleus_vmhost.vm.guest.names import READY

# Called with what a machine prints, as it does.
Said = Callable[[bytes], None]
CONSOLE_BYTES: Final = 256 * 1024
_PIECE: Final = 65536
_LAST_PIECES: Final = 16  # as much as a pipe can hold, and more


def unheard(data: bytes) -> None:
    """Nobody listens."""


class Console:
    """What a machine prints into a pipe, which is ours from now on; the last of it is kept."""

    def __init__(self, pipe: int, said: Said) -> None:
        self._pipe, self._said = pipe, said
        self._kept = bytearray()
        self.ready = asyncio.Event()  # its guest half listens
        self.over = asyncio.Event()  # nothing more comes here
        os.set_blocking(pipe, False)
        asyncio.get_running_loop().add_reader(pipe, self._readable)

    @property
    def text(self) -> bytes:
        """The last of what came."""
        return bytes(self._kept)

    @property
    def last(self) -> str:
        """The last line, as plain text."""
        lines = self.text.decode("ascii", errors="replace").split("\n")
        said = [clean for line in lines if (clean := "".join(c for c in line if c.isprintable()))]
        return said[-1][:200] if said else ""

    def left(self) -> int:
        """Leave the pipe to another."""
        asyncio.get_running_loop().remove_reader(self._pipe)
        pipe, self._pipe = self._pipe, -1
        self.over.set()
        return pipe

    def close(self) -> None:
        """Read what is still in the pipe, and no more."""
        for _ in range(_LAST_PIECES):
            if self._pipe < 0 or not select.select([self._pipe], [], [], 0)[0]:
                break
            self._readable()
        if self._pipe >= 0:
            os.close(self.left())

    def _readable(self) -> None:
        data = os.read(self._pipe, _PIECE)
        if not data:
            os.close(self.left())
            return
        self._kept += data
        del self._kept[: max(0, len(self._kept) - CONSOLE_BYTES)]
        if not self.ready.is_set() and READY.encode() in self._kept:
            self.ready.set()
        self._said(data)

"""Law: a cell does not fill the disks that it may write to.

No kernel we ask of bounds a folder's size for an ordinary user. So while a cell runs we look at how
much room there is below what it may write, and end it when that has shrunk by more than it was
given, or by half of what was there. Whoever else writes there meanwhile counts as the cell.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

LOOK_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class _Disk:
    path: str
    least_bytes: int
    least_files: int


class Filling:
    """The disks of one cell."""

    def __init__(self, folders: Iterable[str], most_bytes: int) -> None:
        disks: dict[int, _Disk] = {}
        for path in folders:
            found = os.statvfs(path)
            room = found.f_bavail * found.f_frsize
            least = max(room - most_bytes, room // 2)
            disks.setdefault(os.stat(path).st_dev, _Disk(path, least, found.f_favail // 2))
        self._disks = tuple(disks.values())

    def full(self) -> bool:
        """Whether a cell may write no more."""
        for disk in self._disks:
            try:
                found = os.statvfs(disk.path)
            except OSError:
                continue  # it was there when the cell began; what is gone cannot be filled
            if found.f_bavail * found.f_frsize < disk.least_bytes:
                return True
            if found.f_files and found.f_favail < disk.least_files:
                return True
        return False

    async def watch(self, end: Callable[[], None]) -> None:
        """Look until cancelled, and call `end` when it is full."""
        while self._disks:
            await asyncio.sleep(LOOK_SECONDS)
            if await asyncio.to_thread(self.full):
                end()
                return

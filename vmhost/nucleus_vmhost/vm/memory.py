"""Law: what copies share none of them can change.

Memory files without a name. Sealed, one can be mapped by anybody who was handed it, and each sees
writes of its own only: the kernel refuses a shared writable mapping, and a write.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from pathlib import Path
from typing import Final

_SEALS: Final = (
    fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
)  # fmt: skip
_CHUNK: Final = 1 << 20
_NO_HUGE_PAGES: Final = 41  # PR_SET_THP_DISABLE, prctl(2)


def sparingly() -> None:
    """No huge pages for this process and what it starts: QEMU asks for some, and of those of a
    machine that waits a good part is air."""
    ctypes.CDLL(None).prctl(_NO_HUGE_PAGES, 1, 0, 0, 0)


def made(size: int) -> int:
    """A memory file of so many zeros."""
    fd = os.memfd_create("guest", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    return fd


def seal(fd: int) -> None:
    """From now on it is what it is. Nobody may have it mapped to write."""
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)


def again(fd: int, flags: int = os.O_RDONLY) -> int:
    """The same file, with a place of its own to read at."""
    return os.open(f"/proc/self/fd/{fd}", flags | os.O_CLOEXEC)


def written(fd: int, path: Path) -> None:
    """Keep a memory file on the disk; where it holds zeros, so does a hole."""
    size = os.fstat(fd).st_size
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(out, size)
        for start in range(0, size, _CHUNK):
            data = os.pread(fd, _CHUNK, start)
            if data.count(0) != len(data):
                os.pwrite(out, data, start)
    finally:
        os.close(out)


def read(path: Path) -> int:
    """A sealed memory file with what a file holds, its holes left out."""
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(source).st_size
        fd = made(size)
        at = 0
        while at < size:
            try:
                start = os.lseek(source, at, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                break  # nothing but zeros
            at = os.lseek(source, start, os.SEEK_HOLE)
            os.lseek(fd, start, os.SEEK_SET)
            while start < at and (sent := os.sendfile(fd, source, start, min(at - start, _CHUNK))):
                start += sent
        seal(fd)
        return fd
    finally:
        os.close(source)

"""Law: what is mounted is what was opened; a name is looked up once, and never through a link.

openat2(2) with RESOLVE_NO_SYMLINKS gives a descriptor that cannot be redirected afterwards; the
mount is made from the descriptor.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Callable
from typing import Final

from nucleus_tokens.errors import WorldError

_OPENAT2: Final = 437  # the same on every architecture of the table
_AT_FDCWD: Final = -100
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_LEN: Final = 24


def openat2(path: str, flags: int, *, at: int = _AT_FDCWD, mode: int = 0) -> int:
    """A descriptor for exactly this path; no component may be a link. With `at`, a path below it.

    Raises OSError; ELOOP where a link is in the way.
    """
    resolve = _NO_SYMLINKS | _NO_MAGICLINKS | (0 if at == _AT_FDCWD else _BENEATH)
    how = struct.pack("<QQQ", flags | os.O_CLOEXEC, mode, resolve)
    name = os.fsencode(path)
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.syscall(
        ctypes.c_long(_OPENAT2), ctypes.c_int(at), ctypes.c_char_p(name), how, ctypes.c_size_t(_LEN)
    )
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return fd


def place(path: str) -> int:
    """An O_PATH descriptor. Raises WorldError `wall.moved` or `wall.mount`."""
    try:
        return openat2(path, os.O_PATH)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise WorldError(
                "wall.moved",
                f"{path} leads through a link.",
                hint="Name what it leads to; a link could lead elsewhere by the time it is used.",
            ) from error
        if error.errno == errno.ENOSYS:
            raise WorldError(
                "wall.kernel", "This kernel is too old: openat2 is missing."
            ) from error
        raise WorldError(
            "wall.mount", f"{path} cannot be shown to a cell: {error.strerror}."
        ) from error


def exists(path: str) -> bool:
    """Whether anything has this name. Raises WorldError as `place` does, but not for absence."""
    try:
        fd = openat2(path, os.O_PATH)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return False
        os.close(place(path))  # says what is wrong with it
        return True
    os.close(fd)
    return True


def sealed(data: bytes, name: str) -> int:
    """A descriptor, at its beginning, of bytes that nobody can change any more."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        fcntl.fcntl(
            fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
        )
        os.lseek(fd, 0, os.SEEK_SET)
    except OSError:
        os.close(fd)
        raise
    return fd


class Descriptors:
    """Descriptors that are closed together."""

    def __init__(self) -> None:
        self._all: list[int] = []

    def keep(self, fd: int) -> int:
        self._all.append(fd)
        return fd

    def opened(self, make: Callable[[], int]) -> int:
        return self.keep(make())

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(self._all)

    def close(self) -> None:
        while self._all:
            os.close(self._all.pop())

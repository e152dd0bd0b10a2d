"""Law: what must not come into being in a writable folder is there already, empty and hidden.

A name that is to be hidden and does not exist could be made by the work. An empty file (or folder,
where more of the name is missing) is put there for as long as any cell relies on it: each holds a
shared lock on it, and it is removed, if it is still ours and empty, by whoever can lock it alone.
"""

from __future__ import annotations

import errno
import fcntl
import os
from typing import Final

from nucleus_tokens.errors import WorldError
from nucleus_vmhost import opening

_TRIES: Final = 8


class Placeholders:
    """Those of one cell."""

    def __init__(self) -> None:
        self._held: list[tuple[str, int, bool]] = []  # path, descriptor, whether we made it

    def put(self, path: str) -> str:
        """Something stands at `path` or at the first part of it that was missing, which is
        returned, until `remove`. Raises WorldError `wall.mount`."""
        folder, missing = os.path.dirname(path), path
        while not opening.exists(folder):
            folder, missing = os.path.dirname(folder), folder
        for _ in range(_TRIES):
            fd, made = self._take(folder, missing, is_dir=missing != path)
            fcntl.flock(fd, fcntl.LOCK_SH)
            if os.fstat(fd).st_nlink:  # else somebody removed it meanwhile
                self._held.append((missing, fd, made))
                return missing
            os.close(fd)
        raise WorldError("wall.mount", f"Nothing can be kept at {missing}.")

    def _take(self, folder: str, missing: str, *, is_dir: bool) -> tuple[int, bool]:
        at, name = opening.place(folder), os.path.basename(missing)
        try:
            try:
                if is_dir:
                    os.mkdir(name, 0o700, dir_fd=at)
                else:
                    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
                    os.close(os.open(name, flags, 0o600, dir_fd=at))
                made = True
            except FileExistsError:
                made = False
            return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at), made
        except OSError as error:
            raise WorldError(
                "wall.mount", f"Nothing can be kept at {missing}: {error.strerror}."
            ) from error
        finally:
            os.close(at)

    def remove(self) -> None:
        """Give them up. What others rely on, or what is no longer empty, stays."""
        while self._held:
            path, fd, made = self._held.pop()
            try:
                if made:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _unlink_if_empty(path, fd)
            except OSError as error:
                if error.errno not in (
                    errno.EWOULDBLOCK, errno.ENOTEMPTY, errno.ENOENT, errno.ELOOP, errno.EACCES
                ):  # fmt: skip
                    raise
            finally:
                os.close(fd)


def _unlink_if_empty(path: str, fd: int) -> None:
    at, name = opening.place(os.path.dirname(path)), os.path.basename(path)
    try:
        there, ours = os.stat(name, dir_fd=at, follow_symlinks=False), os.fstat(fd)
        if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            return
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            os.rmdir(name, dir_fd=at)
        elif ours.st_size == 0:
            os.unlink(name, dir_fd=at)
    finally:
        os.close(at)

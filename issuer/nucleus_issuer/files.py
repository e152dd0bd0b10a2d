"""Law: what is private is created private, is durable before it is used, and is refused otherwise.

Directories are 0700 and private files 0600, made with O_EXCL and flushed together with their
directory. A file that others may read (a secret) or write (anything) is not opened.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Final

from nucleus_tokens.errors import CallerError, WorldError

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def private_directory(path: Path) -> None:
    """Make a directory (0700) or check that an existing one is ours alone to write.

    Raises WorldError `file.permissions` or `file.unwritable`.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError as error:
        raise _failed(path, "made", error) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_mode & _OTHERS_WRITE:
        raise WorldError(
            "file.permissions", f"{path} can be written by others; run chmod 700 on it."
        )


def create(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a new file durably. Raises CallerError `file.exists`: nothing is overwritten."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, mode)
    except FileExistsError as error:
        raise CallerError("file.exists", f"{path} exists and is not overwritten.") from error
    except OSError as error:
        raise _failed(path, "created", error) from error
    try:
        try:
            os.fchmod(handle, mode)  # the umask may have taken bits away
            _write_all(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_directory(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _failed(path, "written", error) from error


def replace(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file so that a reader finds the old content or the new one, never a part."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    beside.unlink(missing_ok=True)
    create(beside, data, mode)
    try:
        beside.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise _failed(path, "written", error) from error


def become(beside: Path, path: Path) -> None:
    """Give a whole directory or file its name, durably. A directory that stands there must be
    empty; a file is replaced."""
    try:
        beside.rename(path)
        sync_directory(path.parent)
    except OSError as error:
        raise _failed(path, "made", error) from error


def remove_directory(path: Path) -> None:
    """Remove what was half made; what cannot be removed stays and is read by nobody."""
    shutil.rmtree(path, ignore_errors=True)


def read(path: Path, *, secret: bool, most: int) -> bytes:
    """At most `most` bytes. Raises WorldError `file.missing`, `file.unreadable`,
    `file.permissions` for a file others may write (or, if `secret`, read), `file.too_large`."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise WorldError("file.missing", f"{path} does not exist.") from error
    except OSError as error:
        raise WorldError("file.unreadable", f"{path} cannot be opened: {_why(error)}.") from error
    try:
        check(path, os.fstat(handle), secret=secret)
        data = b""
        while chunk := os.read(handle, most + 1 - len(data)):
            data += chunk
    except OSError as error:
        raise WorldError("file.unreadable", f"{path} cannot be read: {_why(error)}.") from error
    finally:
        os.close(handle)
    if len(data) > most:
        raise WorldError("file.too_large", f"{path} is larger than {most} bytes.")
    return data


def check(path: Path, found: os.stat_result, *, secret: bool) -> None:
    """Raises WorldError `file.permissions` unless this is a plain file of ours (or root's) that
    others may not write and, if `secret`, may not read."""
    if not stat.S_ISREG(found.st_mode) or found.st_uid not in (os.geteuid(), 0):
        raise WorldError("file.permissions", f"{path} is not a plain file of this user.")
    if found.st_mode & (_OTHERS if secret else _OTHERS_WRITE):
        mode = "600" if secret else "644"
        raise WorldError(
            "file.permissions", f"{path} is open to other users; run chmod {mode} on it."
        )


def sync_directory(path: Path) -> None:
    """Make names in a directory durable. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _why(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()


def _failed(path: Path, verb: str, error: OSError) -> WorldError:
    return WorldError("file.unwritable", f"{path} could not be {verb}: {_why(error)}.")

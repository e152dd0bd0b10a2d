"""Law: what a microVM is shown of a folder is a copy, made before anything runs, without what is
hidden.

Links are copied as links and never followed; what is no file, folder or link is left out.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from nucleus_tokens.errors import CallerError, WorldError

ENTRIES: Final = 200_000
UNPACK: Final = ("busybox", "tar", "-x", "-p", "-f", "-")


@dataclass(frozen=True, slots=True)
class Copied:
    """A file that is copied, its SHA-256 and whether it may be run; or a link to `target`."""

    digest: bytes = b""
    runs: bool = False
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """An archive, and what is in it by its name in `folder`; folders are not named. `alone` is the
    one name that it is of, where it is not of all that the folder holds."""

    folder: str
    archive: bytes = field(repr=False)
    files: dict[str, Copied] = field(repr=False)
    alone: str = ""


def packed(top: str, masked: Collection[str], most: int) -> Copy:
    """A folder with all that is in it; what is no folder, or not there yet, alone in its folder.

    Raises CallerError `vm.workspace` for more than `most` bytes, WorldError `vm.workspace`.
    """
    out = io.BytesIO()
    files: dict[str, Copied] = {}
    folder, alone = (top, "") if _is_folder(top) else os.path.split(top)
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        todo, seen = [(top, f"./{alone}" if alone else ".")], 0
        while todo:
            path, name = todo.pop()
            seen += 1
            found = _found(path)
            if found is None or path in masked:
                continue
            if stat.S_ISDIR(found.st_mode):
                todo += [(f"{path}/{inner}", f"{name}/{inner}") for inner in _names(path)]
            copied = _add(tar, path, name, found, most - out.tell())
            if copied is not None:
                files[name[2:]] = copied
            if out.tell() > most or seen > ENTRIES:
                raise CallerError(
                    "vm.workspace",
                    f"{top} is too large: at most {most >> 20} MiB are copied into a microVM.",
                    hint="Show a smaller folder with --dir, or none with --workspace none.",
                )
    return Copy(folder, out.getvalue(), files, alone)


def some(folder: str, names: Collection[str], most: int) -> Copy:
    """Some files below a folder, as `packed`; nothing of one that is none any more. Raises
    WorldError `vm.workspace`."""
    out = io.BytesIO()
    files: dict[str, Copied] = {}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in names:
            path = f"{folder}/{name}"
            found = _found(path)
            if found is not None and stat.S_ISREG(found.st_mode):
                copied = _add(tar, path, name, found, most - out.tell())
                files |= {} if copied is None else {name: copied}
            if out.tell() > most:
                raise WorldError("vm.workspace", f"{path} is too large to be copied.")
    return Copy(folder, out.getvalue(), files)


def _is_folder(path: str) -> bool:
    found = _found(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def _found(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise WorldError(
            "vm.workspace", f"{path} cannot be looked at: {error.strerror}."
        ) from error


def _names(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path), reverse=True)
    except PermissionError:
        return []  # it has no more rights than we have
    except OSError as error:
        raise WorldError(
            "vm.workspace", f"{path} cannot be looked at: {error.strerror}."
        ) from error


def _add(
    tar: tarfile.TarFile, path: str, name: str, found: os.stat_result, left: int
) -> Copied | None:
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = stat.S_IMODE(found.st_mode) & 0o777, int(found.st_mtime)
    try:
        if stat.S_ISDIR(found.st_mode):
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
        elif stat.S_ISLNK(found.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)
            tar.addfile(info)
            return Copied(target=info.linkname)
        elif stat.S_ISREG(found.st_mode):
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(fd, "rb") as file:
                # One byte beyond what fits says that it does not, whatever its size.
                body = file.read(max(0, left) + 1)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
            return Copied(hashlib.sha256(body).digest(), bool(info.mode & 0o111))
    except PermissionError:
        return None  # it has no more rights than we have
    except OSError as error:
        raise WorldError("vm.workspace", f"{path} cannot be copied: {error.strerror}.") from error
    return None

"""Law: what was resolved is what is opened; nothing on the way follows a link, and nothing leaves
the root.

A path is never looked up by name as a whole. It is walked from a directory that was pinned when
the proxy started, one component after the other, each opened without following links. Whoever
swaps a component for a link between the decision and the walk makes the walk fail (ADR 0010).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from nucleus_tokens.errors import CallerError, WorldError
from nucleus_tokens.patterns import is_path, under

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a fifo put here does not hold us; O_NOCTTY: a terminal does not become ours.
_FILE: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class Root:
    """The pinned directory that every walk starts from. Close it, or use it in a `with`."""

    def __init__(self, path: str) -> None:
        """Raises WorldError `workspace.root` when it is not a directory."""
        try:
            self.path = os.path.realpath(path, strict=True)
            self._fd = os.open(self.path, _DIRECTORY)
        except OSError as error:
            raise WorldError("workspace.root", f"The workspace {path} is no directory.") from error

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Root:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def parts(self, path: object) -> list[str]:
        """The components of a resolved path below the root; empty for the root itself.

        Raises CallerError `fs.outside` for what is not resolved or does not lie there.
        """
        if not is_path(path) or not isinstance(path, str) or not under(self.path, path):
            raise CallerError("fs.outside", "The path does not lie in the workspace.")
        return [part for part in path[len(self.path) :].split("/") if part]

    @contextmanager
    def directory(self, path: object, *, make: bool = False) -> Iterator[int]:
        """A descriptor of the directory at `path`; `make` makes those that are missing.

        Raises CallerError `fs.moved` for a link on the way, `fs.missing`, `fs.not_directory`.
        """
        with self._walked(self.parts(path), make) as found:
            yield found

    @contextmanager
    def parent(self, path: object, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """A descriptor of the directory that holds `path`, and its last component."""
        parts = self.parts(path)
        if not parts:
            raise CallerError("fs.is_directory", "The path is the workspace itself.")
        with self._walked(parts[:-1], make) as found:
            yield found, parts[-1]

    @contextmanager
    def _walked(self, parts: list[str], make: bool) -> Iterator[int]:
        at = os.dup(self._fd)
        try:
            for part in parts:
                below = step(at, part, make=make)
                os.close(at)
                at = below
            yield at
        finally:
            os.close(at)


def step(at: int, part: str, *, make: bool = False) -> int:
    """A descriptor of the directory `part` in the directory `at`; raises as `refusal`."""
    if make:
        with suppress(FileExistsError):
            os.mkdir(part, 0o777, dir_fd=at)
    try:
        return os.open(part, _DIRECTORY, dir_fd=at)
    except OSError as error:
        if error.errno == errno.ENOTDIR and _is_link(at, part):
            error.errno = errno.ELOOP  # Linux says ENOTDIR for a link that is not followed
        raise refusal(error, part) from error


def _is_link(at: int, name: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode)
    except OSError:
        return False


def refusal(error: OSError, name: str) -> CallerError | WorldError:
    """What an OSError on a walk means. Only the component is named: the rest is known."""
    if error.errno == errno.ELOOP:
        return CallerError("fs.moved", f"{name!r} is a link now; it was none when it was judged.")
    if error.errno == errno.ENOENT:
        return CallerError("fs.missing", f"There is no {name!r}.")
    if error.errno == errno.ENOTDIR:
        return CallerError("fs.not_directory", f"{name!r} is not a directory.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return CallerError("fs.not_permitted", f"The system does not let us open {name!r}.")
    if error.errno == errno.ENXIO:
        return CallerError("fs.special", f"{name!r} is not a regular file.")
    return WorldError("fs.failed", f"{name!r} cannot be used: {error.strerror}.")


def regular(found: os.stat_result, name: str) -> None:
    """Raises CallerError `fs.is_directory`, `fs.special` or `fs.linked` unless it is a regular
    file with one name: of a file with several nobody knows which of them was judged."""
    if stat.S_ISLNK(found.st_mode):
        raise CallerError("fs.moved", f"{name!r} is a link now; it was none when it was judged.")
    if stat.S_ISDIR(found.st_mode):
        raise CallerError("fs.is_directory", f"{name!r} is a directory.")
    if not stat.S_ISREG(found.st_mode):
        raise CallerError("fs.special", f"{name!r} is not a regular file.")
    if found.st_nlink != 1:
        raise CallerError(
            "fs.linked",
            f"{name!r} has other names, which were not judged.",
            hint="Copy the file: a copy has one name.",
        )


@contextmanager
def opened(directory: int, name: str) -> Iterator[tuple[int, os.stat_result]]:
    """A regular file in a directory, for reading; raises as `regular` and `refusal`."""
    try:
        # Looked at before it is opened: opening a device may already do something.
        before = os.stat(name, dir_fd=directory, follow_symlinks=False)
        regular(before, name)
        descriptor = os.open(name, os.O_RDONLY | _FILE, dir_fd=directory)
    except OSError as error:
        raise refusal(error, name) from error
    try:
        found = os.fstat(descriptor)
        regular(found, name)
        yield descriptor, found
    finally:
        os.close(descriptor)

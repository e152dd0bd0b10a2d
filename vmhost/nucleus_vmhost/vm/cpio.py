"""Law: an archive says nothing of when, where or by whom it was made.

The "newc" form that a kernel unpacks as its first file system. Everything belongs to root, is of
the year 1970, and stands in the order of its name.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from nucleus_tokens.errors import CallerError

_CONSOLE: Final = (stat.S_IFCHR | 0o600, 5, 1)


def write(tree: Path, out: BinaryIO) -> None:
    """The tree as an archive, with the one device that a kernel opens before there is /dev."""
    number = 0
    for name, path in _everything(tree):
        number += 1
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            _entry(out, number, name, 0o120777, os.fsencode(os.readlink(path)))
        elif stat.S_ISDIR(found.st_mode):
            _entry(out, number, name, stat.S_IFDIR | found.st_mode & 0o1777, b"")
        elif stat.S_ISREG(found.st_mode):
            # No file gives its caller another's rights.
            _entry(out, number, name, stat.S_IFREG | found.st_mode & 0o777, path.read_bytes())
        else:
            raise CallerError("vm.add", f"{path} is no file, folder or link.")
    mode, major, minor = _CONSOLE
    _entry(out, number + 1, "dev/console", mode, b"", (major, minor))
    _entry(out, 0, "TRAILER!!!", 0, b"")


def _everything(tree: Path) -> Iterator[tuple[str, Path]]:
    todo = [tree]
    while todo:
        folder = todo.pop()
        for entry in sorted(os.scandir(folder), key=lambda found: found.name):
            path = Path(entry.path)
            yield str(path.relative_to(tree)), path
            if entry.is_dir(follow_symlinks=False):
                todo.append(path)


def _entry(
    out: BinaryIO, number: int, name: str, mode: int, body: bytes, device: tuple[int, int] = (0, 0)
) -> None:
    spelled = os.fsencode(name) + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(body), 0, 0, *device, len(spelled), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + spelled
    out.write(head + bytes(-len(head) % 4))
    out.write(body + bytes(-len(body) % 4))

"""Law: what is masked is hidden, else the deepest path that covers a file decides, and nothing
inside can move what decides.

A folder that holds a mount can be renamed, and another put in its place, unless it is a mount
itself. So between a writable mount and what lies inside it every folder is mounted onto itself.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from nucleus_tokens.errors import CallerError
from nucleus_vmhost import opening
from nucleus_vmhost.opening import Descriptors
from nucleus_vmhost.work import Work

# Ours, inside. What a cell is shown cannot stand there.
OURS: Final = ("/proc", "/dev", "/sys", "/run")


class How(Enum):
    READ = "read"
    WRITE = "write"
    HIDE = "hide"
    PIN = "pin"  # written as what encloses it; there to stay where it is


@dataclass(frozen=True, slots=True)
class Mount:
    """`fd` is what was opened; for HIDE it only says that there is something to hide."""

    path: str
    how: How
    fd: int
    is_dir: bool


def wanted(work: Work) -> dict[str, How]:
    """What the work asks for, the redundant left out. Raises CallerError `wall.work`."""
    asked: dict[str, How] = {}
    for paths, how in (
        (work.readable, How.READ),
        (work.writable, How.WRITE),
        (work.masked, How.HIDE),
    ):
        for path in paths:
            if any(_within(path, ours) for ours in OURS):
                raise CallerError("wall.work", f"{path} is a cell's own and cannot be shown to it.")
            asked[path] = how
    hidden = frozenset(work.masked)
    asked = {p: how for p, how in asked.items() if hidden.isdisjoint(_parents(p))}
    return {
        path: how
        for path, how in asked.items()
        if (outer := enclosing(path, asked)) != how and not (how is How.HIDE and outer is None)
    }


def enclosing(path: str, asked: dict[str, How]) -> How | None:
    """What the nearest folder around a path says."""
    for parent in _parents(path):
        if parent in asked:
            return asked[parent]
    return None


def plan(work: Work, keep: Descriptors) -> list[Mount]:
    """Every mount in the order in which it is made, outer before inner; opened into `keep`.

    What is to be hidden and is not there is left out: `absent` names it. Raises CallerError
    `wall.work`, WorldError `wall.mount` or `wall.moved`.
    """
    asked = wanted(work)
    for path in absent(asked):
        del asked[path]
    for path in list(asked):
        for parent in _pinned(path, asked):
            asked.setdefault(parent, How.PIN)
    made = []
    for path in sorted(asked, key=lambda name: name.split("/")):
        fd = keep.keep(opening.place(path))
        is_dir = stat.S_ISDIR(os.fstat(fd).st_mode)
        made.append(Mount(path, asked[path], fd, is_dir))
    return made


def absent(asked: dict[str, How]) -> list[str]:
    """What is to be hidden and does not exist."""
    return [path for path, how in asked.items() if how is How.HIDE and not opening.exists(path)]


def _pinned(path: str, asked: dict[str, How]) -> Iterator[str]:
    between: list[str] = []
    for parent in _parents(path):
        if parent in asked and asked[parent] is not How.PIN:
            if asked[parent] is How.WRITE:
                yield from between
            return
        between.append(parent)


def _parents(path: str) -> Iterator[str]:
    while len(path := os.path.dirname(path)) > 1:
        yield path


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")

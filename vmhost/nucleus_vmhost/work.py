"""Law: what runs in a cell is said whole, beforehand; what is not said is not there.

`Work` is a shape, not a class: whoever starts cells brings a value that has these fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from nucleus_tokens.errors import CallerError

_MOST_PATHS: Final = 4096
_MOST_ARGUMENTS: Final = 4096


class Work(Protocol):
    """One program and everything it gets. Paths are absolute and resolved: no link in them."""

    @property
    def argv(self) -> tuple[str, ...]: ...
    @property
    def cwd(self) -> str:
        """The folder it starts in; it must lie in something readable or writable, or be /tmp."""
        ...

    @property
    def env(self) -> Mapping[str, str]:
        """Its whole environment, but for HOME, PATH, TMPDIR and LANG where they are left out."""
        ...

    @property
    def readable(self) -> tuple[str, ...]: ...
    @property
    def writable(self) -> tuple[str, ...]: ...
    @property
    def masked(self) -> tuple[str, ...]:
        """Paths inside the others that are not to be seen, with all beneath them. Of the others
        the deepest that covers a file decides: a readable path in a writable one is read-only."""
        ...

    @property
    def stdin(self) -> bytes: ...
    @property
    def seconds(self) -> float:
        """How long `run` lets it run. `opened` leaves that to its caller."""
        ...

    @property
    def output_bytes(self) -> int:
        """How much of stdout and stderr together `run` keeps; more ends the cell. For `opened`,
        the longest line that its streams hand out."""
        ...

    @property
    def network(self) -> bool:
        """Always False: a cell has no network. True is refused."""
        ...

    @property
    def socket(self) -> str | None:
        """A unix socket of the host. Inside, 127.0.0.1 port 3128 leads to it and to nothing
        else, and the usual proxy variables say so."""
        ...


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it. `code` is the exit code, or 128 + the number of the signal."""

    code: int
    stdout: bytes
    stderr: bytes
    truncated: bool
    timed_out: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """What one cell may use up."""

    cpu_seconds: int = 3600  # of each process
    data_bytes: int = 4 << 30  # what a process writes in memory that is its own
    address_bytes: int = 256 << 30  # what it may reserve: runtimes reserve much and use little
    memory_bytes: int = 8 << 30  # of all processes and all that is in memory: see `groups`
    processes: int = 512
    files: int = 4096  # open, of each process
    file_bytes: int = 4 << 30  # one file
    tmp_bytes: int = 512 << 20  # /tmp, HOME and /dev/shm, each
    disk_bytes: int = 16 << 30  # below what it may write: see `filling`


def check(work: Work) -> None:
    """Raises CallerError `wall.work` for what no cell can be made of."""
    names = (*work.readable, *work.writable, *work.masked, work.cwd, *work.argv, *work.env)
    if not work.argv or not work.argv[0]:
        problem = "it has no program"
    elif work.network:
        problem = "a cell has no network"
    elif len(work.readable) + len(work.writable) + len(work.masked) > _MOST_PATHS:
        problem = f"it names more than {_MOST_PATHS} paths"
    elif len(work.argv) > _MOST_ARGUMENTS:
        problem = f"it has more than {_MOST_ARGUMENTS} arguments"
    elif any("\0" in name for name in (*names, *work.env.values())):
        problem = "a name or value holds a NUL"
    elif any(not name or "=" in name for name in work.env):
        problem = "a variable's name is empty or holds '='"
    elif any(not _plain(path) for path in (*work.readable, *work.writable, *work.masked, work.cwd)):
        problem = "a path is not absolute and plain"
    elif "/" in (*work.readable, *work.writable, *work.masked):
        problem = "the root of the machine is not shown to a cell"
    elif not work.seconds > 0 or work.output_bytes < 0:
        problem = "its limits are not positive"
    else:
        return
    raise CallerError("wall.work", f"This cannot run in a cell: {problem}.")


def _plain(path: str) -> bool:
    parts = path.split("/")
    if path == "/":
        return True
    return parts[0] == "" and all(part not in ("", ".", "..") for part in parts[1:])

"""Law: a cell cannot have more processes than it was given, whoever started it.

RLIMIT_NPROC does this for ordinary users. The kernel exempts the machine's root from it, so root's
cells are counted by a pids cgroup of their own; where there is none, root starts no cell.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from nucleus_tokens.errors import WorldError

_ROOT: Final = Path("/sys/fs/cgroup")
_ENTER: Final = 'echo 0 > "$0/cgroup.procs" && exec "$@"'


class Group:
    """One cgroup, or none for an ordinary user."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @classmethod
    def make(cls, most: int, name: str, root: Path = _ROOT) -> Group:
        """Raises WorldError `wall.pids`."""
        if os.geteuid() != 0:
            return cls(None)
        parent = next((p for p in (root / "pids", root, root / "unified") if _counts(p)), None)
        if parent is None:
            raise WorldError(
                "wall.pids",
                "Root is exempt from the limit on processes, and there is no pids cgroup here.",
                hint="Run this as an ordinary user.",
            )
        _sweep(parent)
        path = parent / f"nucleus-{os.getpid()}-{name}"
        try:
            path.mkdir()
            (path / "pids.max").write_text(str(most), encoding="ascii")
        except OSError as error:
            raise WorldError(
                "wall.pids", f"A cell's processes cannot be counted: {error}.",
                hint="Run this as an ordinary user, or let root make cgroups.",
            ) from error  # fmt: skip
        return cls(path)

    def enter(self, argv: list[str]) -> list[str]:
        """The command that runs `argv` in this group."""
        return argv if self._path is None else ["/bin/sh", "-c", _ENTER, str(self._path), *argv]

    def remove(self) -> bool:
        """Whether it is gone: it cannot go while a process is still dying in it."""
        if self._path is None:
            return True
        try:
            self._path.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True


def _counts(path: Path) -> bool:
    if (path / "pids.max").is_file() or (path / "cgroup.subtree_control").is_file():
        # cgroup 2: its children count if it says so
        try:
            return "pids" in (path / "cgroup.subtree_control").read_text(encoding="ascii").split()
        except OSError:
            return True
    return path.name == "pids" and (path / "cgroup.procs").is_file()


def _sweep(parent: Path) -> None:
    """Remove what killed runners left behind."""
    for path in parent.glob("nucleus-*-*"):
        owner = path.name.split("-")[1]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            try:
                path.rmdir()
            except OSError:
                pass  # its last process is still dying

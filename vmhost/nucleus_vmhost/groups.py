"""Law: a cell has no more processes and memory, all together, than it was given.

Both are counted by control groups. RLIMIT_NPROC bounds the processes of ordinary users, but the
kernel exempts the machine's root from it: where there is no group for them, root starts no cell.
Memory has a group where there is one to be had; elsewhere each process has its own limit and no
more is promised.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from nucleus_tokens.errors import WorldError
from nucleus_vmhost.work import Limits

_ROOT: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")
_ENTER: Final = (
    'while [ "$1" != -- ]; do echo 0 > "$1/cgroup.procs" || exit 126; shift; done; shift; exec "$@"'
)
_MEMORY: Final = ("memory.limit_in_bytes", "memory.max")  # of the old kind, of the new


class Groups:
    """The control groups of one cell; none of them for an ordinary user who has none to give."""

    def __init__(self, paths: tuple[Path, ...] = (), *, memory: bool = False) -> None:
        self._paths = paths
        self.memory = memory  # whether all of it is bounded

    @classmethod
    def make(cls, limits: Limits, name: str, root: Path = _ROOT, own: Path = _OWN) -> Groups:
        """Raises WorldError `wall.pids`."""
        ours = _ours(own)
        name = f"nucleus-{os.getpid()}-{name}"
        made: list[Path] = []
        if os.geteuid() == 0:
            made.append(_counted(_parent(root, "pids", ours), limits.processes, name))
        memory = False
        parent = _parent(root, "memory", ours)
        if parent is not None:
            _sweep(parent)
            path = parent / name
            memory = _bounded(path, min(limits.memory_bytes, _most()))
            if memory and path not in made:
                made.append(path)
            elif not memory and path not in made:
                _removed(path)
        return cls(tuple(made), memory=memory)

    def enter(self, argv: list[str]) -> list[str]:
        """The command that runs `argv` in these groups."""
        if not self._paths:
            return argv
        return ["/bin/sh", "-c", _ENTER, "sh", *map(str, self._paths), "--", *argv]

    def remove(self) -> bool:
        """Whether they are gone: they cannot go while a process is still dying in them."""
        left = [path for path in self._paths if not _removed(path)]
        return not left


def _ours(own: Path) -> dict[str, str]:
    """The group that we are in, by controller; "" is the new kind, which has all."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        _, names, path = line.split(":", 2)
        found.update(dict.fromkeys(names.split(","), path))
    return found


def _parent(root: Path, controller: str, ours: dict[str, str]) -> Path | None:
    """Where a group that counts this can be made by us."""
    old, new = root / controller, [base for base in (root, root / "unified") if _new(base)]
    candidates = [old, old / ours.get(controller, "").lstrip("/")] if _old(old) else []
    here = ours.get("", "/").lstrip("/")
    # Beside our own: of the new kind, a group that has processes has none below that count.
    candidates += [*new, *((base / here).parent for base in new if here)]
    for path in candidates:
        mine = os.access(path, os.W_OK | os.X_OK) and os.access(path / "cgroup.procs", os.W_OK)
        if mine and (path.is_relative_to(old) or _gives(path, controller)):
            return path
    return None


def _old(path: Path) -> bool:
    return (path / "cgroup.procs").is_file()


def _new(path: Path) -> bool:
    return (path / "cgroup.subtree_control").is_file()


def _gives(path: Path, controller: str) -> bool:
    """Whether groups of the new kind in here count this."""
    try:
        return controller in (path / "cgroup.subtree_control").read_text(encoding="ascii").split()
    except OSError:
        return False


def _counted(parent: Path | None, most: int, name: str) -> Path:
    if parent is None:
        raise WorldError(
            "wall.pids",
            "Root is exempt from the limit on processes, and there is no pids cgroup here.",
            hint="Run this as an ordinary user.",
        )
    _sweep(parent)
    path = parent / name
    try:
        path.mkdir()
        (path / "pids.max").write_text(str(most), encoding="ascii")
    except OSError as error:
        raise WorldError(
            "wall.pids", f"A cell's processes cannot be counted: {error}.",
            hint="Run this as an ordinary user, or let root make cgroups.",
        ) from error  # fmt: skip
    return path


def _bounded(path: Path, most: int) -> bool:
    """Whether the memory of a new group is bounded; where not, it may be no group at all."""
    try:
        path.mkdir(exist_ok=True)
        limit = next((path / name for name in _MEMORY if (path / name).exists()), None)
        if limit is None:
            return False
        limit.write_text(str(most), encoding="ascii")
        # What is swapped counts as well; where nothing counts it there is no file for it.
        for name, value in (
            ("memory.memsw.limit_in_bytes", most),
            ("memory.swap.max", 0),
            ("memory.oom.group", 1),
        ):
            if (path / name).exists():
                (path / name).write_text(str(value), encoding="ascii")
    except OSError:
        return False
    return True


def _most() -> int:
    """Three quarters of what the machine has: a cell does not starve it."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4 * 3


def _removed(path: Path) -> bool:
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _sweep(parent: Path) -> None:
    """Remove what killed runners left behind."""
    for path in parent.glob("nucleus-*-*"):
        owner = path.name.split("-")[1]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            _removed(path)  # or not: its last process may still be dying

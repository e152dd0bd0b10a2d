"""Law: Firecracker runs where its own jailer puts it: a folder, a uid and namespaces of its own.

The jailer has to be started by root. It makes the machine's root at
`BASE/firecracker/ID/root`, and all paths that Firecracker is told are below it. Each folder is
locked by the process whose machine it is: what a killed one left is removed by the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from nucleus_tokens.errors import WorldError
from nucleus_vmhost import diagnose
from nucleus_vmhost.vm.image import one_at_a_time
from nucleus_vmhost.vm.jail import one_uid, prlimit

BASE: Final = Path("/srv/jailer")
API: Final = "api.sock"
_PROGRAM: Final = "firecracker"
_JAILER: Final = "jailer"
DEVICE: Final = "/dev/kvm"
_HINT: Final = "Install firecracker and jailer of one release; see docs/run-vm.md"


class Process(Protocol):
    """What was started."""

    @property
    def pid(self) -> int: ...

    def kill(self) -> None: ...

    async def wait(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Cell:
    """The folder of one machine. `root` is what it sees as `/`; `lock` is held while it is ours."""

    id: str
    root: Path
    uid: int
    lock: int

    def put(self, source: Path, name: str) -> str:
        """Have a file in it, under a name, to be read; its path inside."""
        put(source, self.root / name)
        return f"/{name}"

    def remove(self) -> None:
        shutil.rmtree(self.root.parent, ignore_errors=True)
        os.close(self.lock)


def put(source: Path, goal: Path) -> None:
    """The same file at another place, to be read: a link where one can be. Raises OSError."""
    try:
        os.link(source, goal)
    except OSError:
        shutil.copyfile(source, goal)
        goal.chmod(0o444)


def lacking() -> list[str]:
    """What Firecracker needs and this machine or this user does not have."""
    lacks = [f"there is no {name}" for name in (_PROGRAM, _JAILER) if shutil.which(name) is None]
    if os.geteuid() != 0:
        lacks.append("its jailer has to be started by root")
    try:
        os.close(os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        lacks.append(f"{DEVICE} cannot be opened ({error.strerror})")
    return lacks


class Jailer:
    """Starts machines, each in a cell of its own."""

    def __init__(self, base: Path = BASE) -> None:
        self.base = base / _PROGRAM

    def cell(self) -> Cell:
        """A new cell. Raises WorldError `vm.firecracker`."""
        try:
            self.base.mkdir(mode=0o700, parents=True, exist_ok=True)
            with one_at_a_time(self.base):
                self._sweep()
                folder, lock = self._folder("vm-")
            root, uid = folder / "root", one_uid()
            root.mkdir(mode=0o700)
            if os.geteuid() == 0:
                os.chown(root, uid, uid)
        except OSError as error:
            why = f"There is no room for a machine: {error}."
            raise WorldError("vm.firecracker", why) from error
        return Cell(folder.name, root, uid, lock)

    def program(self) -> str:
        """Which Firecracker it is. Raises WorldError `vm.firecracker`."""
        found = os.stat(_found(_PROGRAM))
        return f"{found.st_size} {found.st_mtime_ns}"

    async def start(self, cell: Cell, prints: int, cpu_seconds: int) -> Process:
        """Start Firecracker in a cell. Raises WorldError `vm.firecracker`."""
        if os.geteuid() != 0:
            raise WorldError("vm.firecracker", "Firecracker's jailer has to be started by root.")
        return await asyncio.create_subprocess_exec(
            *self.words(cell, _found(_JAILER), _found(_PROGRAM), cpu_seconds),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=prints,
            stderr=asyncio.subprocess.STDOUT,
            env={},
            cwd="/",
            start_new_session=True,
        )

    def words(self, cell: Cell, jailer: str, firecracker: str, cpu_seconds: int) -> list[str]:
        """The command. The jailer changes its uid, after which nothing would end with us: so it
        runs in a namespace of processes that does. It bounds no CPU time, but what is bounded
        before it stays so (setrlimit(2))."""
        ends_with_us = [
            diagnose.bwrap(), "--unshare-pid", "--die-with-parent", "--dev-bind", "/", "/",
            "--cap-add", "ALL", "--",
        ]  # fmt: skip
        return [
            *prlimit(cpu_seconds), *ends_with_us,
            jailer, "--id", cell.id, "--exec-file", firecracker,
            "--uid", str(cell.uid), "--gid", str(cell.uid),
            "--chroot-base-dir", str(self.base.parent),
            "--resource-limit", "no-file=256",
            "--", "--api-sock", f"/{API}",
        ]  # fmt: skip

    def kept(self, cell: Cell, names: Sequence[str]) -> tuple[Path, int]:
        """Keep files that Firecracker wrote in a cell: their folder and its lock. Raises
        WorldError `vm.kept`."""
        with one_at_a_time(self.base):
            folder, lock = self._folder("kept-")
        try:
            for name in names:
                (cell.root / name).rename(folder / name)
                os.chown(folder / name, os.geteuid(), os.getegid())
                (folder / name).chmod(0o444)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
            raise WorldError("vm.kept", f"The microVM cannot be kept: {error}.") from error
        return folder, lock

    def _folder(self, start: str) -> tuple[Path, int]:
        """A new folder that is locked: removed when nobody holds its lock any more."""
        folder = self.base / f"{start}{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
        return folder, lock

    def _sweep(self) -> None:
        """Remove the cells of those who were killed."""
        for old in (*self.base.glob("vm-*"), *self.base.glob("kept-*")):
            with contextlib.suppress(OSError):
                lock = os.open(old, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(old, ignore_errors=True)
                finally:
                    os.close(lock)


def _found(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise WorldError("vm.firecracker", f"There is no {name} here.", hint=_HINT)
    return os.path.realpath(found)

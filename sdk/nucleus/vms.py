"""Law: a list of microVMs helps a person to find one; nothing is decided by it.

Each host half keeps a file about its machine while it runs, and beside it what the machine printed.
One that was killed leaves both; whoever reads the list removes the first.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from nucleus.home import Home
from nucleus_issuer import files
from nucleus_tokens.errors import CallerError

LOG_BYTES: Final = 256 * 1024
_LOGS: Final = 32


@dataclass(frozen=True, slots=True)
class Running:
    """One machine that runs. `pid` and `began` are its host half's: a number is used again."""

    id: str
    pid: int
    began: int
    image: str
    agent: str
    workspace: str


@contextlib.contextmanager
def listed(
    place: Home, name: str, image: str, agent: str, workspace: str
) -> Generator[Callable[[bytes], None]]:
    """List a machine of this process, by its wall's name, while the block runs; what it prints
    goes to what is given. Raises WorldError."""
    files.private_directory(_folder(place))
    pid = os.getpid()
    one = Running(name, pid, _began(pid), image, agent, workspace)
    path = _folder(place) / f"{one.id}.json"
    files.create(path, json.dumps(asdict(one)).encode() + b"\n")
    _forget_old(place)
    left = LOG_BYTES
    with (_folder(place) / f"{one.id}.log").open("wb", buffering=0) as log:

        def said(data: bytes) -> None:
            nonlocal left
            with contextlib.suppress(OSError):  # a full disk ends no machine
                log.write(data[:left])
            left -= min(left, len(data))

        try:
            yield said
        finally:
            path.unlink(missing_ok=True)


def machines(place: Home) -> list[Running]:
    """Those that run here, in the order of their ids."""
    found: list[Running] = []
    for path in sorted(_folder(place).glob("*.json")):
        try:
            one = Running(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            continue
        if _runs(one):
            found.append(one)
        else:
            path.unlink(missing_ok=True)
    return found


def one(place: Home, start: str) -> Running:
    """The machine whose id starts so. Raises CallerError `vm.which`."""
    found = [each for each in machines(place) if each.id.startswith(start)]
    if len(found) == 1:
        return found[0]
    why = "Several microVMs run" if found else "No microVM runs"
    raise CallerError("vm.which", f"{why} here that can be meant.", hint="See: nucleus vm list")


def end(one: Running) -> None:
    """End a machine with its agent. What it did is on record."""
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(one.pid)
        try:
            if _runs(one):
                signal.pidfd_send_signal(fd, signal.SIGTERM)
        finally:
            os.close(fd)


def printed(place: Home, start: str) -> bytes:
    """What a machine printed, one that has ended as well. Raises CallerError `vm.which`."""
    found = [path for path in _folder(place).glob("*.log") if path.name.startswith(start)]
    if len(found) != 1:
        raise CallerError("vm.which", "There is no such microVM, or there are several.")
    return found[0].read_bytes()


def _runs(one: Running) -> bool:
    try:
        return _began(one.pid) == one.began
    except (OSError, ValueError):
        return False


def _began(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return int(stat.rpartition(")")[2].split()[19])


def _forget_old(place: Home) -> None:
    logs = sorted(_folder(place).glob("*.log"), key=lambda path: path.stat().st_mtime)
    for path in logs[:-_LOGS]:
        path.unlink(missing_ok=True)


def _folder(place: Home) -> Path:
    return place.state / "vms"

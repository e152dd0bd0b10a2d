"""Law: a list of sessions helps a person to find one; nothing is decided by it.

Each session's proxy keeps a file about itself while it runs: public ids, and nothing that anybody
could act with. One that was killed leaves its file; whoever reads the list removes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nucleus import shapes
from nucleus.home import Home
from nucleus_issuer import files
from nucleus_tokens.errors import CallerError


@dataclass(frozen=True, slots=True)
class Running:
    """One session that runs."""

    pid: int
    tid: str
    rid: str
    cell: str
    profile: str
    workspace: str
    expires: int


@contextmanager
def listed(place: Home, about: dict[str, Any]) -> Generator[None]:
    """List this process's session while the block runs. Raises WorldError."""
    folder = _folder(place)
    files.private_directory(folder)
    path = _path(place, about)
    files.create(path, _spelled(about))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def update(place: Home, about: dict[str, Any]) -> None:
    """The session has narrowed its token."""
    path = _path(place, about)
    if path.exists():
        files.replace(path, _spelled(about))


def _path(place: Home, about: dict[str, Any]) -> Path:
    return _folder(place) / f"{about['tid']}-{os.getpid()}.json"


def _spelled(about: dict[str, Any]) -> bytes:
    return json.dumps({**about, "pid": os.getpid()}, sort_keys=True).encode() + b"\n"


def sessions(place: Home) -> list[Running]:
    """The sessions that run here, in the order of their token ids."""
    found: list[Running] = []
    for path in sorted(_folder(place).glob("*.json")):
        try:
            value = shapes.table(json.loads(path.read_bytes())) or {}
            one = Running(
                pid=int(value["pid"]),
                tid=str(value["tid"]),
                rid=str(value["rid"]),
                cell=str(value["cell"]),
                profile=str(value["profile"]),
                workspace=str(value["workspace"]),
                expires=int(value["expires"]),
            )
            os.kill(one.pid, 0)
        except ProcessLookupError:
            path.unlink(missing_ok=True)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        else:
            found.append(one)
    return found


def one(place: Home, start: str) -> Running:
    """The session whose token id starts so; the only one if nothing is given. Raises CallerError
    `session.which`."""
    found = [each for each in sessions(place) if each.tid.startswith(start.lower())]
    if len(found) == 1:
        return found[0]
    why = "Several sessions run" if found else "No session runs"
    raise CallerError(
        "session.which", f"{why} here that can be meant.", hint="See: nucleus session list"
    )


def _folder(place: Home) -> Path:
    return place.state / "sessions"

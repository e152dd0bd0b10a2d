"""Law: one process serves one home's state; whoever else works on it can know that it is served."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nucleus_tokens.errors import CallerError, WorldError

LOCK: Final = "issuer.lock"


@contextmanager
def only_one(state: Path) -> Iterator[None]:
    """Be the one that serves the state in this directory. Raises CallerError `service.already`,
    WorldError `file.unwritable`."""
    handle = _open(state)
    try:
        if not _locked(handle):
            raise CallerError(
                "service.already", "An issuer serves this state already: ask it, or stop it."
            )
        yield
    finally:
        os.close(handle)


def served(state: Path) -> bool:
    """Whether somebody serves it now. Raises WorldError `file.unwritable`."""
    handle = _open(state)
    try:
        return not _locked(handle)
    finally:
        os.close(handle)


def _open(state: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(state / LOCK, flags, 0o600)
    except OSError as error:
        raise WorldError("file.unwritable", f"{state / LOCK} cannot be opened.") from error


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

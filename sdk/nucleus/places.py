"""Law: where things of one host stand is said once; nothing is opened to say it.

A home is three places: configuration, data and state. By default they are where XDG says; `--home
DIR` or NUCLEUS_HOME puts all of them under one directory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from nucleus_tokens.errors import CallerError

VARIABLE: Final = "NUCLEUS_HOME"
# The socket of `nucleus session serve`, where it is not the home's.
SOCKET_VARIABLE: Final = "NUCLEUS_SESSION"
# The descriptor of a session that was handed to this process.
DESCRIPTOR_VARIABLE: Final = "NUCLEUS_SESSION_FD"
SOCKET: Final = "session.sock"
_FOLDER: Final = "nucleus"


class Places(NamedTuple):
    """The three places of a home."""

    config: Path
    data: Path
    state: Path

    @property
    def socket(self) -> Path:
        """Where `nucleus session serve` listens, unless it is told otherwise."""
        return self.state / "run" / SOCKET


def find(given: Path | None, environ: Mapping[str, str]) -> Places:
    """The home at `given`, at NUCLEUS_HOME, or where XDG says. Raises CallerError `home.nowhere`
    when there is no home directory either."""
    chosen = given or (Path(environ[VARIABLE]) if environ.get(VARIABLE) else None)
    if chosen is not None:
        root = Path(os.path.abspath(chosen.expanduser()))
        return Places(root / "config", root / "data", root / "state")
    return Places(
        _xdg(environ, "XDG_CONFIG_HOME", ".config"),
        _xdg(environ, "XDG_DATA_HOME", ".local/share"),
        _xdg(environ, "XDG_STATE_HOME", ".local/state"),
    )


def _xdg(environ: Mapping[str, str], variable: str, otherwise: str) -> Path:
    given = environ.get(variable, "")
    # The XDG specification: a relative path is invalid and ignored.
    if os.path.isabs(given):
        return Path(given) / _FOLDER
    home = environ.get("HOME", "")
    if not os.path.isabs(home):
        raise CallerError(
            "home.nowhere", "HOME is not set.", hint="Say where things are with --home DIR."
        )
    return Path(home) / otherwise / _FOLDER

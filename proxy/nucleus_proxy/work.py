"""Law: somebody else's code runs in a work cell that shows what was computed for it, or not at all.

The port to whoever builds cells. A `Work` says everything the process will have: what it does not
name is absent, except the system's own programs and libraries, read-only. The network is empty
always. vmhost implements a `Runner` structurally; this file knows nothing of walls.

Mounts are made from the shortest path to the longest, so a readable path inside a writable one is
read-only there; `masked` paths come last and show nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol

OUTPUT_BYTES: Final = 4 * 1024 * 1024
SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Work:
    """One process and all that it may see. Paths are absolute, without symlinks, and exist."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(default_factory=dict)  # the whole environment
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()  # shown empty and read-only
    stdin: bytes = b""
    seconds: float = SECONDS
    output_bytes: int = OUTPUT_BYTES  # of stdout and stderr together
    network: bool = False  # no runner gives one; the field says so
    socket: str | None = None  # a unix socket: inside, 127.0.0.1:3128 and HTTP_PROXY lead to it


@dataclass(frozen=True, slots=True)
class Done:
    """How a work cell ended. `code` is the exit status; 128 and its number for a signal."""

    code: int
    stdout: bytes
    stderr: bytes
    truncated: bool
    timed_out: bool


class Commands(Protocol):
    """Wherever a command can run to its end."""

    @property
    def name(self) -> str:
        """What it is, for messages: "bubblewrap"."""
        ...

    async def run(self, work: Work) -> Done:
        """Run to its end, or to its limits: then the whole group is killed. Raises WorldError
        `runner.*` when there is no such wall here; nothing ran then."""
        ...


class Runner(Commands, Protocol):
    """Whoever builds work cells."""

    def opened(self, work: Work) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
        """Something long-lived, with pipes on stdin, stdout and stderr, while the block runs; at
        its end nothing of it is left. Raises as `run`."""
        ...

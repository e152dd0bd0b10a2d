"""What the tests of the wall share: a piece of work, and a cell to run it in."""

from __future__ import annotations

import asyncio
import os
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nucleus_vmhost.bubblewrap import Bubblewrap
from nucleus_vmhost.work import Done, Limits
from tests.support.patience import PATIENCE

PYTHON = "/usr/bin/python3"


@dataclass(frozen=True, slots=True)
class Job:
    """Work, with everything left out that a test does not speak of."""

    argv: tuple[str, ...]
    cwd: str = "/tmp"
    env: Mapping[str, str] = field(default_factory=dict)
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    stdin: bytes = b""
    seconds: float = 60.0
    output_bytes: int = 1_000_000
    network: bool = False
    socket: str | None = None


def shell(script: str, **more: object) -> Job:
    return Job(("/bin/sh", "-c", textwrap.dedent(script)), **more)  # type: ignore[arg-type]


def python(script: str, **more: object) -> Job:
    """A Python program of the system: a stranger's interpreter, and none of our files."""
    if not Path(PYTHON).exists():
        raise AssertionError("install it with: sudo apt-get install -y python3")
    return Job((PYTHON, "-c", textwrap.dedent(script)), **more)  # type: ignore[arg-type]


async def ran(job: Job, limits: Limits | None = None) -> Done:
    return await Bubblewrap(limits or Limits()).run(job)


async def said(job: Job, limits: Limits | None = None) -> str:
    """What a program that ends well says."""
    done = await ran(job, limits)
    assert done.code == 0, done
    return done.stdout.decode()


async def gone(pattern: str) -> bool:
    """Whether no process of the machine has `pattern` among its arguments, before long."""
    end = time.monotonic() + PATIENCE
    while found := running(pattern):
        if time.monotonic() >= end:
            break
        await asyncio.sleep(0.01)
    return not found


def mark(seconds: int) -> str:
    """What `sleep` of a test takes, and no other's: another run may be on this machine."""
    return f"{seconds}.{os.getpid()}"


def running(pattern: str) -> list[int]:
    """Processes with this word on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if pattern.encode() in words:
                found.append(int(entry.name))
    return found

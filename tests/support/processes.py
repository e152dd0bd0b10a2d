"""What runs on this machine, as far as a test's own mark goes."""

from __future__ import annotations

from pathlib import Path


def running(mark: str) -> int:
    """How many processes have this word on their command line."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += mark.encode() in path.read_bytes().split(b"\0")
        except OSError:
            pass  # it ended while we looked
    return found

"""Law: what became of the agent's copy is said once, in order, and nothing of it is judged here.

Runs as the agent, beside it or after its end, in a folder of the copy. In: one JSON object; `known`
is name to SHA-256 of what was copied, `only` the names to look at, or none for all. Out: a line of
JSON for each name, sorted, after a file's its bytes where they are not what was copied, and a last
line. Whoever reads it believes none of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator, Sequence

FILE_BYTES = 32 << 20  # of a file that is brought out


def names(only: Sequence[str]) -> Iterator[tuple[str, os.stat_result, bool]]:
    """Everything here, or at and below some names: its name, what it is, and whether it can be
    looked into. What goes meanwhile is not there."""
    todo = list(only) or os.listdir(".")
    while todo:
        name = todo.pop()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found = os.lstat(name)
            opens = os.access(name, os.R_OK)
            if stat.S_ISDIR(found.st_mode):
                opens = os.access(name, os.R_OK | os.X_OK)
                todo += [f"{name}/{inner}" for inner in os.listdir(name)] if opens else []
            yield name, found, opens


def said(name: str, found: os.stat_result, opens: bool, known: dict[str, str]) -> bytes:
    """One name, as it goes out."""
    mode, body = stat.S_IMODE(found.st_mode), b""
    line: list[object] = ["other", name]
    if stat.S_ISLNK(found.st_mode):
        line = ["link", name, os.readlink(name)]
    elif stat.S_ISDIR(found.st_mode) and opens:
        line = ["folder", name]
    elif stat.S_ISREG(found.st_mode) and opens:
        # A fifo that takes its place does not hold us.
        with open(os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == known.get(name):
                line = ["same", name, mode]
            elif found.st_size <= FILE_BYTES:
                file.seek(0)
                body = file.read(FILE_BYTES)
                line = ["file", name, mode, len(body)]
    return json.dumps(line).encode() + b"\n" + body


def main() -> None:
    """Say what there is below the folder we were started in."""
    asked = json.load(sys.stdin)
    out = sys.stdout.buffer
    met = {name: (found, opens) for name, found, opens in names(asked["only"])}
    for name, (found, opens) in sorted(met.items()):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            out.write(said(name, found, opens, asked["known"]))
    out.write(b'["end"]\n')
    out.flush()


if __name__ == "__main__":
    main()

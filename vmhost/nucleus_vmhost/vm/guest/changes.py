"""Law: what became of the agent's copy is said once, in order, and nothing of it is judged here.

Runs as the agent after it has ended, in a folder of the copy. In: one JSON object, name to SHA-256
of what was copied. Out: a line of JSON for each name, sorted, after a file's its bytes where they
are not what was copied, and a last line. Whoever reads it believes none of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator

FILE_BYTES = 32 << 20  # of a file that is brought out


def names(top: str) -> Iterator[tuple[str, os.stat_result, bool]]:
    """Everything below a folder: its name, what it is, and whether it can be looked into."""
    todo = [top]
    while todo:
        at = todo.pop()
        for entry in sorted(os.listdir(at)):
            path = f"{at}/{entry}"
            found = os.lstat(path)
            opens = os.access(path, os.R_OK)
            if stat.S_ISDIR(found.st_mode):
                opens = os.access(path, os.R_OK | os.X_OK)
                todo += [path] if opens else []
            yield path[len(top) + 1 :], found, opens


def said(name: str, found: os.stat_result, opens: bool, known: dict[str, str]) -> bytes:
    """One name, as it goes out."""
    mode, body = stat.S_IMODE(found.st_mode), b""
    line: list[object] = ["other", name]
    if stat.S_ISLNK(found.st_mode):
        line = ["link", name, os.readlink(name)]
    elif stat.S_ISDIR(found.st_mode) and opens:
        line = ["folder", name]
    elif stat.S_ISREG(found.st_mode) and opens:
        with open(name, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == known.get(name):
                line = ["same", name, mode]
            elif found.st_size <= FILE_BYTES:
                file.seek(0)
                body = file.read(FILE_BYTES)
                line = ["file", name, mode, len(body)]
    return json.dumps(line).encode() + b"\n" + body


def main() -> None:
    """Say what there is below the folder we were started in."""
    known: dict[str, str] = json.load(sys.stdin)
    out = sys.stdout.buffer
    for name, found, opens in sorted(names("."), key=lambda each: each[0]):
        out.write(said(name, found, opens, known))
    out.write(b'["end"]\n')
    out.flush()


if __name__ == "__main__":
    main()

"""Law: which package a program on disk is part of is read, and nothing of it runs.

npm says it in the `package.json` above a script. What Python installs says it beside the program:
each distribution's `RECORD` lists its files, also the scripts it made, and its `METADATA` names it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from nucleus import shapes

_PYTHON: Final = re.compile(r"(?:pypy|python)[\d.]*")
_MOST_BYTES: Final = 4_000_000  # of one file
_MOST_PACKAGES: Final = 5_000


def package(command: Sequence[str]) -> str:
    """`REGISTRY:NAME@VERSION` of what a command starts; empty where its files do not say it."""
    found = [_found(word) if at == 0 else word for at, word in enumerate(command[:3])]
    words = [word for word in found if os.path.isabs(word)]
    if words and len(found) == 3 and found[1] == "-m" and _PYTHON.fullmatch(Path(words[0]).name):
        module = command[2].replace(".", "/")
        beside = Path(os.path.abspath(words[0])).parents[1]
        return _distribution(beside, (f"{module}/__init__.py", f"{module}.py"))
    for word in words:
        path = Path(os.path.realpath(word))
        about = _distribution(path.parents[1], (str(path),)) if len(path.parents) > 1 else ""
        if about:
            return about
        for folder in path.parents:
            about = _npm(folder / "package.json")
            if about:
                return about
    return ""


def _found(program: str) -> str:
    return program if os.path.isabs(program) else shutil.which(program) or program


def _distribution(prefix: Path, wanted: Sequence[str]) -> str:
    """The one in the environment at `prefix` that has a file of this name: within its packages, or
    anywhere if it is an absolute path."""
    names = {os.path.basename(each).encode() for each in wanted}
    stem = re.split(r"[/.]", os.path.basename(wanted[-1]))[0].replace("-", "_").lower()
    # Most programs are called like what they are part of: those are read first.
    records = sorted(_records(prefix), key=lambda r: not r.parent.name.lower().startswith(stem))
    for record in records[:_MOST_PACKAGES]:
        data = _read(record)
        if not any(name in data for name in names):
            continue
        site = record.parent.parent
        files = {os.path.normpath(site / each) for each in wanted}
        for line in data.decode("utf-8", "replace").splitlines():
            # A path with a comma in it is quoted, and none of ours.
            if os.path.normpath(site / line.partition(",")[0]) in files:
                return _metadata(record.with_name("METADATA"))
    return ""


def _records(prefix: Path) -> Iterator[Path]:
    for folder in ("lib/python3*/site-packages", "lib/pypy3*/site-packages", "Lib/site-packages"):
        yield from sorted(prefix.glob(f"{folder}/*.dist-info/RECORD"))


def _metadata(path: Path) -> str:
    head = _read(path).decode("utf-8", "replace").partition("\n\n")[0]
    found: dict[str, str] = {}
    for line in head.splitlines():
        key, _, value = line.partition(": ")
        found.setdefault(key.lower(), value.strip())
    name, version = found.get("name"), found.get("version")
    return f"pypi:{name}@{version}" if name and version else ""


def _npm(path: Path) -> str:
    try:
        value = shapes.table(json.loads(_read(path))) or {}
    except ValueError:
        return ""
    name, version = value.get("name"), value.get("version")
    return f"npm:{name}@{version}" if type(name) is str and type(version) is str else ""


def _read(path: Path) -> bytes:
    """The beginning of a file; nothing of one that cannot be read, or is no file."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return b""
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return b""

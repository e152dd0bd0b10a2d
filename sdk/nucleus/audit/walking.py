"""Law: every file that configures an agent is read, once, within bounds; none stops the others.

Links to folders are not followed, links to files only to inside what is scanned. A file that is
too large, no text, or no plain file is named and passed over.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from nucleus.audit import clients
from nucleus.audit.facts import EnvFile, Fact, Instructions, Place, Unread
from nucleus.audit.suppressing import Mark, marks
from nucleus_tokens.errors import CallerError

MOST_BYTES: Final = 1024 * 1024
MOST_ENTRIES: Final = 1_000_000
MOST_DEPTH: Final = 64
MOST_FILES: Final = 50_000  # that are opened
# Of others, or made by programs: what is configured there is configured for nobody here.
_PASSED: Final = frozenset(
    (".git", ".hg", ".svn", "node_modules", ".venv", "venv", "__pycache__", ".tox", ".nox",
     ".mypy_cache", ".ruff_cache", ".pytest_cache", "site-packages", ".terraform", ".gradle",
     ".cache", "vendor", "target", ".next", ".nuxt", ".yarn", ".pnpm-store")
)  # fmt: skip


@dataclass(slots=True)
class Found:
    """What was read. `texts` keeps what was opened, for whoever shows or mends it."""

    root: Path
    facts: list[Fact] = field(default_factory=list[Fact])
    marks: list[Mark] = field(default_factory=list[Mark])
    files: int = 0
    looked: int = 0
    notes: list[str] = field(default_factory=list[str])


def read(root: Path) -> Found:
    """Everything at or below `root`, in an order that does not change."""
    found = Found(root if root.is_dir() else root.parent)
    if root.is_dir():
        ignored = _ignored(root)
        for folder, name in _entries(root, found):
            reader = clients.reader(folder, name)
            if reader is not None:
                if found.files >= MOST_FILES:
                    found.notes.append(f"only the first {MOST_FILES} configurations were read")
                    break
                _one(found, root, f"{folder}/{name}" if folder else name, reader, ignored)
    else:
        reader = clients.reader(root.absolute().parent.as_posix(), root.name)
        found.looked = 1
        _one(found, root.parent, root.name, reader or clients.reader("", "mcp.json"), ())
    return found


def user(home: Path, found: Found) -> None:
    """Also what this user's own clients are configured with, as `~/…`."""
    for name in clients.USERS:
        if (home / name).is_file():
            folder, _, base = name.rpartition("/")
            reader = clients.reader(folder, base)
            if reader is not None:
                _one(found, home, name, reader, (), shown=f"~/{name}")


def _entries(root: Path, found: Found) -> Iterator[tuple[str, str]]:
    """Folder and name of every file, depth first."""
    todo: list[tuple[str, int]] = [("", 0)]
    while todo:
        folder, depth = todo.pop()
        try:
            with os.scandir(root / folder if folder else root) as entries:
                here = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            found.notes.append(f"{folder or '.'} is not read: {error.strerror}")
            continue
        below: list[tuple[str, int]] = []
        for entry in here:
            found.looked += 1
            if found.looked > MOST_ENTRIES:
                found.notes.append(f"only the first {MOST_ENTRIES} entries were looked at")
                return
            try:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _PASSED and depth < MOST_DEPTH:
                        below.append(
                            (f"{folder}/{entry.name}" if folder else entry.name, depth + 1)
                        )
                else:
                    yield folder, entry.name
            except OSError:
                continue
        todo += reversed(below)


def _one(
    found: Found,
    root: Path,
    path: str,
    reader: clients.Reader | None,
    ignored: tuple[re.Pattern[str], ...],
    *,
    shown: str | None = None,
) -> None:
    name = _safe(shown or path)
    try:
        text = _text(root, path)
    except _Elsewhere:
        return
    except ValueError as error:
        found.facts.append(Unread(Place(name), str(error)))
        return
    found.files += 1
    if reader is None:
        return
    try:
        facts = list(reader(name, text))
    except (ValueError, RecursionError, MemoryError, TypeError, KeyError, IndexError) as error:
        # A reader that stumbles is our defect; what it did not read must not look clean.
        found.facts.append(Unread(Place(name), f"the reader failed: {type(error).__name__}"))
        return
    for fact in facts:
        if isinstance(fact, EnvFile):
            names = (path, path.rpartition("/")[2])
            left_out = any(each.fullmatch(name) for each in ignored for name in names)
            found.facts.append(replace(fact, ignored=left_out))
        else:
            found.facts.append(fact)
    found.marks += marks(name, text, prose=any(isinstance(fact, Instructions) for fact in facts))


class _Elsewhere(Exception):
    """A link whose target is read by its own name."""


def _text(root: Path, path: str) -> str:
    """Raises ValueError with a sentence for what is no readable text, `_Elsewhere`."""
    where = root / path
    try:
        if where.is_symlink():
            real = os.path.realpath(where, strict=True)
            if real.startswith(os.path.realpath(root) + os.sep) and os.path.isfile(real):
                inside = os.path.relpath(real, os.path.realpath(root))
                folder, _, name = inside.rpartition("/")
                if clients.reader(folder, name) is not None:
                    raise _Elsewhere
            else:
                raise ValueError("it is a link to somewhere else")
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        with open(os.open(where, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("it is no plain file")
            if status.st_size > MOST_BYTES:
                raise ValueError(f"it is longer than {MOST_BYTES} bytes")
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"it cannot be opened: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is longer than {MOST_BYTES} bytes")
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            try:
                return data.decode(name)
            except UnicodeDecodeError:
                break
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None


def _safe(path: str) -> str:
    """A name whose bytes are no text, spelled so that every output can hold it."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _ignored(root: Path) -> tuple[re.Pattern[str], ...]:
    """The simple patterns of the root's .gitignore: enough to know whether `.env` is left out."""
    try:
        lines = (root / ".gitignore").read_text(encoding="utf-8", errors="replace")[:MOST_BYTES]
    except OSError:
        return ()
    made: list[re.Pattern[str]] = []
    for line in lines.splitlines():
        word = line.strip().strip("/").removeprefix("**/")
        if word and word[0] not in "#!" and "env" in word and len(word) < 200:
            made.append(re.compile(re.escape(word).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")))
    return tuple(made)


def listing(path: Path) -> str:
    """The text of the file of all suppressions. Raises CallerError `audit.suppressions`."""
    try:
        return _text(path.parent, path.name)
    except ValueError as error:
        raise CallerError("audit.suppressions", f"{path.name} is refused: {error}.") from error

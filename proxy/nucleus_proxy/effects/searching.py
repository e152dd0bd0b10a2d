"""Law: a search shows only what a read of the same credential could be asked about.

The call was judged for the directory; each entry below it is judged again, by the same scopes.
What they block is not entered. Nothing is followed. A pattern is matched by the kernel's own
matcher and a text literally, so that no input makes a search slower than its bounds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from stat import S_ISDIR, S_ISREG
from typing import Any, Final, NamedTuple

from nucleus_proxy.effects import opening
from nucleus_proxy.effects.opening import Root
from nucleus_proxy.native import FileLabels
from nucleus_tokens import crypto, labelling, labels, patterns
from nucleus_tokens.authority import Authority, scope_admits
from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_tokens.limits import PATH_CHARS
from nucleus_verifier.resources import spellable

ENTRIES: Final = 100_000  # looked at in one search
RESULTS: Final = 1000
DEPTH: Final = 64
FILE_BYTES: Final = 4 * 1024 * 1024  # larger files are not searched
LINE_CHARS: Final = 400  # shown of a line
SECONDS: Final = 20.0
_SNIFF: Final = 8192


@dataclass(slots=True)
class Found:
    """What a search found. `truncated`: there may be more."""

    items: list[Any] = field(default_factory=list)
    truncated: bool = False
    sources: list[tuple[str, bytes]] = field(default_factory=list)  # (path, digest of content)

    def label(self, known: FileLabels) -> int:
        """The join of the labels of all that contributed."""
        label = labelling.EXISTING_FILE
        for path, digest in self.sources:
            label = labels.join(label, known.of(path, digest))
        return label


class Entry(NamedTuple):
    """One entry of a walk: `directory` is open while it is looked at."""

    directory: int
    name: str
    path: str
    relative: str
    mode: int


def admits(authority: Authority, path: str) -> bool:
    """Whether every path scope admits this path."""
    return all(
        scope_admits(scope, (path,)) for _, scope in authority.scopes if scope.kind == "path"
    )


def blocked(authority: Authority, path: str) -> bool:
    """Whether a scope blocks this path, and so everything below it."""
    return any(
        scope.kind == "path" and not scope.allow and not scope_admits(scope, (path,))
        for _, scope in authority.scopes
    )


def glob(root: Root, path: object, pattern: str, authority: Authority) -> Found:
    """The admitted entries below the directory at `path` whose relative path fits `pattern`."""
    fits = _fitting(pattern)
    found = Found()
    for entry in walk(root, path, authority, found):
        if fits(entry.relative) and admits(authority, entry.path):
            if len(found.items) >= RESULTS:
                found.truncated = True
                break
            found.items.append(entry.relative)
    found.items.sort()
    return found


def grep(
    root: Root, path: object, text: str, pattern: str, authority: Authority, *, ignore_case: bool
) -> Found:
    """The lines that hold `text` in the admitted files below the directory at `path`."""
    if not text or "\n" in text:
        raise CallerError("fs.arguments", "The text to look for is one line, and not empty.")
    fits = _fitting(pattern)
    wanted = text.casefold() if ignore_case else text
    found = Found()
    for entry in walk(root, path, authority, found):
        if not S_ISREG(entry.mode) or not fits(entry.relative):
            continue
        if admits(authority, entry.path) and not _lines(entry, wanted, ignore_case, found):
            break
    return found


def _lines(entry: Entry, wanted: str, ignore_case: bool, found: Found) -> bool:
    """Add the lines of one file; False when there is no room left."""
    try:
        with opening.opened(entry.directory, entry.name) as (fd, stat):
            if stat.st_size > FILE_BYTES:
                found.truncated = True
                return True
            data = os.read(fd, FILE_BYTES + 1)
    except (NucleusError, OSError):
        return True  # a read of it would be refused as well
    if b"\0" in data[:_SNIFF]:
        return True
    shown = data.decode("utf-8", "replace")
    if wanted not in (shown.casefold() if ignore_case else shown):
        return True
    found.sources.append((entry.path, crypto.sha256(data)))
    for number, line in enumerate(shown.split("\n"), 1):
        if wanted in (line.casefold() if ignore_case else line):
            if len(found.items) >= RESULTS:
                found.truncated = True
                return False
            found.items.append({"path": entry.relative, "line": number, "text": line[:LINE_CHARS]})
    return True


def _fitting(pattern: str) -> Any:
    if not patterns.MATCHERS["path"].well_formed("/" + pattern):
        raise CallerError(
            "fs.pattern",
            "The pattern is not one: '*' within a segment, '**' for segments, twice at most.",
        )
    return lambda relative: patterns.glob(pattern, relative)


def walk(root: Root, path: object, authority: Authority, found: Found) -> Iterator[Entry]:
    """Every entry below the directory at `path` that is not blocked, in no order."""
    deadline = time.monotonic() + SECONDS
    top = str(path).rstrip("/")
    todo, seen = [""], 0
    while todo:
        below = todo.pop()
        try:
            with root.directory(top + below or "/") as directory:
                for name in os.listdir(directory):
                    seen += 1
                    if seen > ENTRIES or time.monotonic() > deadline:
                        found.truncated = True
                        return
                    whole = f"{top}{below}/{name}"
                    # No read could name the rest.
                    if not spellable(name) or len(whole) > PATH_CHARS or blocked(authority, whole):
                        continue
                    mode = _mode(directory, name)
                    yield Entry(directory, name, whole, whole[len(top) + 1 :], mode)
                    if S_ISDIR(mode):
                        if below.count("/") >= DEPTH:
                            found.truncated = True
                        else:
                            todo.append(f"{below}/{name}")
        except (NucleusError, OSError):
            if not below:
                raise
            # It is gone, became a link, or is not ours to read: nothing is in it for this search.


def _mode(directory: int, name: str) -> int:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0

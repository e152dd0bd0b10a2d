"""Law: a path is resolved before it is judged; what two readers could read differently is not
known, and what is not known denies.

Each function turns one argument into the one value that a scope caveat is matched against, or into
None. It looks at the file system (symlinks are followed), and at nothing else. What needs no look
at the world is resolved in `nucleus_verifier.resources`.
"""

from __future__ import annotations

import os
from typing import Any, Final

from nucleus_tokens.patterns import is_path
from nucleus_verifier.resources import spellable

_DELETED: Final = " (deleted)"  # what the kernel adds to the name of what is gone, or a name's end


def path(value: Any, base: str | None) -> str | None:
    """The absolute path without symlinks that opening `value` from `base` reaches now.

    None for what is not a text, for what servers are known to rewrite (`~`, `file:`, quotes and
    blanks at the ends, backslashes), for a symlink loop, and where following symlinks and
    folding `..` by text lead to different places.
    """
    if type(value) is not str or not value or not spellable(value) or base is None:
        return None
    if value.startswith("~") or value.lower().startswith("file:") or "\\" in value:
        return None
    if value != value.strip().strip("\"'") or any(c < " " or c == "\x7f" for c in value):
        return None
    joined = os.path.join(base, value)
    try:
        found = _real(joined)
        # Only `..` behind a symlink tells the two readings apart.
        if ".." in value and found != _real(os.path.normpath(joined)):
            return None
    except (OSError, ValueError):
        return None
    return found if is_path(found) and spellable(found) else None


def unlinked(value: str, base: str) -> str | None:
    """The absolute path of `value` from `base` as it is written, through no symlink below `base`:
    what `path` gives for it where no link stands on the way."""
    if value.startswith("~") or "\\" in value or "\0" in value or not spellable(value):
        return None
    return os.path.normpath(os.path.join(os.path.realpath(base), value))


def _opened(path: str) -> str:
    """What the kernel reaches by this path, by its own name of it: it is opened for no use. Raises
    OSError, a FileNotFoundError where nothing is there (or no /proc)."""
    number = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    finally:
        os.close(number)


def _real(joined: str) -> str:
    """`realpath` of what is there, or of what would be there. Raises OSError for a loop, and for
    a directory that we may not look into."""
    try:
        found = _opened(joined)
    except FileNotFoundError:
        found = os.path.realpath(joined)
    else:
        return os.path.realpath(joined, strict=True) if found.endswith(_DELETED) else found
    at = found
    while at != "/":
        # realpath gives a loop back half resolved.
        if os.path.islink(at):
            raise OSError("a symlink is left")
        at = os.path.dirname(at)
    return found

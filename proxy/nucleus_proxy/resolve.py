"""Law: a resource is resolved before it is judged; what two readers could read differently is
not known, and what is not known denies.

Each function turns one argument into the one value that a scope caveat is matched against, or into
None. It may look at the file system (symlinks are followed), and at nothing else.
"""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Any, Final

from nucleus_tokens.patterns import is_host, is_path

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?:[/?#][!-\[\]-~]*)?",
    re.IGNORECASE | re.ASCII,
)
_PORTS: Final = {"http": 80, "https": 443}
_IPV4: Final = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})", re.ASCII)
# A last label of this shape makes a browser read the whole host as an IPv4 number (WHATWG URL).
_NUMERIC: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)", re.ASCII)
_REF: Final = re.compile(r"[^\s~^:?*\[\\@+\x00-\x1f\x7f-][^\s~^:?*\[\\\x00-\x1f\x7f]*")
_HEX: Final = re.compile(r"[0-9a-fA-F]{4,64}")


def spellable(value: Any) -> bool:
    """Whether a text can stand in a record: Unicode normal form C, so that it has one spelling."""
    return type(value) is str and (value.isascii() or unicodedata.is_normalized("NFC", value))


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


def _real(joined: str) -> str:
    """`realpath` of what is there, or of what would be there. Raises OSError for a loop, and for
    a directory that we may not look into."""
    try:
        return os.path.realpath(joined, strict=True)
    except FileNotFoundError:
        found = os.path.realpath(joined)
    at = found
    while at != "/":
        # realpath gives a loop back half resolved.
        if os.path.islink(at):
            raise OSError("a symlink is left")
        at = os.path.dirname(at)
    return found


def url_host(value: Any) -> str | None:
    """The host of an http or https URL, with a port that is not the default one."""
    if type(value) is not str or len(value) > 8192:
        return None
    match = _URL.fullmatch(value)
    if match is None:
        return None
    scheme, name, port = match["scheme"].lower(), match["host"].lower(), match["port"]
    if port is None or int(port) == _PORTS[scheme]:
        return host(name)
    return host(f"{name}:{int(port)}")


def host(value: Any) -> str | None:
    """A host in lower case, with an optional port; never an IPv4 address in another spelling."""
    if type(value) is not str:
        return None
    lower = value.lower()
    if not is_host(lower):
        return None
    name = lower.rpartition(":")[0] if lower.count(":") == 1 else lower
    last = name.rpartition(".")[2]
    if _NUMERIC.fullmatch(last) and not (
        _IPV4.fullmatch(name) and all(int(part) < 256 for part in name.split("."))
    ):
        return None
    return lower


def ref(value: Any) -> str | None:
    """The short name of a branch, or any other ref in full. A revision expression, a refspec, a
    symbolic ref or something that could be an object id is not known."""
    if type(value) is not str or not spellable(value) or len(value) > 1024:
        return None
    name = value.removeprefix("refs/heads/") if value.startswith("refs/") else value
    name = name.removeprefix("heads/")
    if not _REF.fullmatch(name) or ".." in name or "@{" in name or "//" in name:
        return None
    if name.endswith((".", "/", ".lock")) or name.startswith(("/", ".")):
        return None
    if name.upper() == "HEAD" or name.endswith("_HEAD") or _HEX.fullmatch(name):
        return None
    return name


def argv(value: Any) -> tuple[str, ...] | None:
    """A command as its words; a text that a shell would have to split is not known."""
    if type(value) is not list or not value:
        return None
    if not all(spellable(word) and "\0" not in word for word in value) or not value[0]:
        return None
    return tuple(value)

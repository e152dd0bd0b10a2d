"""Law: a resource is resolved before it is judged; what two readers could read differently is
not known, and what is not known denies.

Each function turns one argument into the one value that a scope caveat is matched against, or into
None. None of them looks at the world.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

from nucleus_tokens.patterns import is_host

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

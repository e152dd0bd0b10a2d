"""Law: a request has one reading. What two readers could read differently is refused.

What a gateway says of a request becomes `Asked`; `read_target` gives its path and query, or refuses
every spelling that an upstream might take for another one: nothing is normalised here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from nucleus_verifier import resources
from nucleus_verifier.resources import spellable

TARGET_CHARS: Final = 8192
PARTS: Final = 64  # segments of a path, parameters of a query
# RFC 9110 tokens in upper case: what else calls itself a method is another one to some reader.
_METHOD: Final = re.compile(r"[A-Z]{1,16}", re.ASCII)
_PATH: Final = re.compile(r"/[A-Za-z0-9/._~!$&'()*,=:@%+-]*", re.ASCII)
_QUERY: Final = re.compile(r"[A-Za-z0-9/._~!$'()*,:@%?\[\]=&-]+", re.ASCII)
_ESCAPE: Final = re.compile(r"%(..?)?", re.DOTALL)
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~-]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as a gateway or middleware saw it."""

    credential: str = field(repr=False)
    method: str
    host: str
    target: str  # the path and query as they will be forwarded
    body: bytes | None = b""  # None: there is one (or may be), and it was not shown to us
    media: str = ""  # its content type
    peer: str | None = None  # the SPIFFE ID of whoever holds the connection
    trace: str = ""  # a traceparent, as somebody sent it; nothing depends on it


class Unreadable(Exception):
    """Why a request has no one reading; for the log."""


@dataclass(frozen=True, slots=True)
class Target:
    """A path in its segments and a query in its parameters, decoded."""

    segments: tuple[str, ...]
    query: dict[str, str]


def read_method(text: str) -> str:
    """Raises Unreadable."""
    if not _METHOD.fullmatch(text):
        raise Unreadable("method")
    return text


def read_host(text: str) -> str:
    """A host as scopes know it. Raises Unreadable."""
    found = resources.host(text)
    if found is None:
        raise Unreadable("host")
    return found


def read_target(text: str) -> Target:
    """Raises Unreadable."""
    if len(text) > TARGET_CHARS:
        raise Unreadable("target.long")
    path, mark, query = text.partition("?")
    if not _PATH.fullmatch(path):
        raise Unreadable("path.characters")
    if mark and not _QUERY.fullmatch(query):
        raise Unreadable("query.characters")
    raw = path[1:].split("/")
    # `//`, `/./`, `/../`: folded by some. A slash at the end is a segment of its own.
    if len(raw) > PARTS or any(s in (".", "..") for s in raw) or "" in raw[:-1]:
        raise Unreadable("path.segments")
    segments = tuple(_decoded(s, "path") for s in raw)
    return Target(segments, _parameters(query) if mark else {})


def _parameters(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    parts = query.split("&")
    if len(parts) > PARTS:
        raise Unreadable("query.long")
    for part in parts:
        name, equals, value = part.partition("=")
        key = _decoded(name, "query")
        # Which of two wins, and what a bare name is, differs from reader to reader.
        if not equals or not key or key in found:
            raise Unreadable("query.parameters")
        found[key] = _decoded(value, "query")
    return found


def _decoded(text: str, where: str) -> str:
    for match in _ESCAPE.finditer(text):
        pair = match[1] or ""
        if len(pair) != 2 or not re.fullmatch("[0-9A-F]{2}", pair):
            raise Unreadable(f"{where}.escape")
        code = int(pair, 16)
        # Escaped without need, or decoded twice or cut by somebody: slashes, dots, controls.
        if code < 0x20 or code == 0x7F or _PLAIN.fullmatch(chr(code)) or chr(code) in "/\\%;":
            raise Unreadable(f"{where}.escape")
    try:
        found = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{where}.utf8") from error
    if not spellable(found):
        raise Unreadable(f"{where}.unicode")
    return found


def bears_body(method: str, length: str | None, encoding: str | None) -> bool:
    """Whether a request whose body is not shown to us has one. By its method where nobody says."""
    if encoding or length not in (None, "", "0"):
        return True
    return length != "0" and method not in ("GET", "HEAD", "OPTIONS", "DELETE")


def claims(value: Any) -> str:
    """A text for the log: short, and on one line."""
    return ascii(value)[:200]

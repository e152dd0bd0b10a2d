"""Law: a pattern is a predicate on one resolved value; patterns are never compared or intersected.

Authority is the conjunction of predicates, so there is no algebra of patterns to get wrong. Every
match is bounded: a literal part is found with the interpreter's own search, `*` stays within one
segment, `**` spans segments and occurs at most twice. There is no regex and no `?`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nucleus_tokens.limits import (
    PATH_CHARS,
    PATH_SEGMENTS,
    PATTERN_DOUBLE_STARS,
    PATTERN_SEGMENTS,
)


def well_formed(kind: str, pattern: Any) -> bool:
    """Whether `pattern` can stand in a scope caveat of this kind; what cannot is refused."""
    if kind == "cmd":
        return (
            type(pattern) is list
            and 0 < len(pattern) <= PATTERN_SEGMENTS
            and all(type(word) is str and word and "\0" not in word for word in pattern)
        )
    if type(pattern) is not str or not pattern or "\0" in pattern:
        return False
    if kind == "host":
        host = pattern[2:] if pattern.startswith("*.") else pattern
        return is_host(host)
    segments = pattern.split("/")
    if len(segments) > PATTERN_SEGMENTS or segments.count("**") > PATTERN_DOUBLE_STARS:
        return False
    if any("**" in segment and segment != "**" for segment in segments):
        return False
    if kind == "path":
        if segments[0] not in ("", "**") or (len(segments) == 1 and segments[0] == ""):
            return False
        rest = segments[1:]
        return pattern == "/" or not any(s in ("", ".", "..") for s in rest)
    return "" not in segments


def is_host(value: Any) -> bool:
    """A lower-case ASCII host, without a trailing dot, with an optional port."""
    if type(value) is not str or not value.isascii() or value != value.lower():
        return False
    name, colon, port = value.rpartition(":") if value.count(":") == 1 else (value, "", "")
    if colon and not (port.isdigit() and 0 < int(port[:6]) < 65536 and port == str(int(port))):
        return False
    return (
        0 < len(name) <= 253
        and not name.startswith((".", "-"))
        and not name.endswith(".")
        and ".." not in name
        and all(c.isalnum() or c in ".-_[]:" for c in name)
    )


def is_path(value: Any) -> bool:
    """An absolute path with nothing left to resolve: what the proxy hands over, or a refusal."""
    if type(value) is not str or not value.startswith("/") or len(value) > PATH_CHARS:
        return False
    if value == "/":
        return True
    segments = value.split("/")
    return (
        len(segments) <= PATH_SEGMENTS
        and not any(s in ("", ".", "..") for s in segments[1:])
        and "\0" not in value
    )


def under(prefix: str, value: str) -> bool:
    """Whether a resolved path is `prefix` or lies below it: by segment, never by string."""
    return value == prefix or prefix == "/" or value.startswith(prefix + "/")


def _segment(pattern: str, value: str) -> bool:
    """`*` within one segment: literal parts found in order, the ends anchored."""
    if "*" not in pattern:
        return pattern == value
    first, *middle, last = pattern.split("*")
    if not value.startswith(first) or not value.endswith(last):
        return False
    at, end = len(first), len(value) - len(last)
    for part in middle:
        found = value.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return at <= end


def _run(patterns: Sequence[str], values: Sequence[str], at: int) -> bool:
    return all(_segment(p, v) for p, v in zip(patterns, values[at:], strict=False))


def glob(pattern: str, value: str) -> bool:
    """Match by segments. `**` stands for any number of them, also none."""
    groups: list[list[str]] = [[]]
    for segment in pattern.split("/"):
        if segment == "**":
            groups.append([])
        else:
            groups[-1].append(segment)
    values = value.split("/")
    first, last = groups[0], groups[-1]
    if len(groups) == 1:
        return len(first) == len(values) and _run(first, values, 0)
    if sum(map(len, groups)) > len(values):
        return False
    end = len(values) - len(last)
    if not _run(first, values, 0) or not _run(last, values, end):
        return False
    at = len(first)
    # Leftmost is enough: a later start leaves less room and nothing more to match.
    for group in groups[1:-1]:
        while at + len(group) <= end and not _run(group, values, at):
            at += 1
        if at + len(group) > end:
            return False
        at += len(group)
    return at <= end


def _path(pattern: str, value: str) -> bool:
    return glob(pattern, value) if "*" in pattern else under(pattern, value)


def _path_denied(pattern: str, value: str) -> bool:
    # A case-insensitive file system must not open what a blocked pattern names.
    return _path(pattern.casefold(), value.casefold())


def _host(pattern: str, value: str) -> bool:
    name, colon, port = value.rpartition(":") if value.count(":") == 1 else (value, "", "")
    candidates = (value, name) if colon and port else (value,)
    if pattern.startswith("*."):
        return any(c.endswith(pattern[1:]) for c in candidates)
    return pattern in candidates


def _command(pattern: Sequence[str], value: Sequence[str]) -> bool:
    """An allowed command: the argument vector starts with exactly these words."""
    return tuple(value[: len(pattern)]) == tuple(pattern)


def _command_denied(pattern: Sequence[str], value: Sequence[str]) -> bool:
    """A blocked command: its words occur in order anywhere, programs by base name.

    So `env sudo x` and `/usr/bin/sudo x` are `sudo`. Over-blocking is the safe side.
    """
    words = iter([word.rpartition("/")[2] for word in value])
    return all(any(word == wanted for word in words) for wanted in pattern)


# kind -> (is a value well formed, does an allowing pattern match, does a blocking one match)
MATCHERS: dict[str, tuple[Callable[[Any], bool], Callable[..., bool], Callable[..., bool]]] = {
    "path": (is_path, _path, _path_denied),
    "host": (is_host, _host, _host),
    "cmd": (
        lambda v: type(v) is tuple and len(v) > 0 and all(type(w) is str for w in v),
        _command,
        _command_denied,
    ),
    "ref": (lambda v: type(v) is str and v != "" and len(v) <= PATH_CHARS, glob, glob),
    "tool": (lambda v: type(v) is str and v != "" and len(v) <= PATH_CHARS, glob, glob),
}

"""Law: a pattern is a predicate on one resolved value; patterns are never compared or intersected.

Authority is the conjunction of predicates, so there is no algebra of patterns to get wrong. Every
match is bounded: a literal part is found with the interpreter's own search, `*` stays within one
segment, `**` spans segments and occurs at most twice. There is no regex and no `?`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from nucleus_tokens.limits import (
    ARGV_WORDS,
    PATH_CHARS,
    PATH_SEGMENTS,
    PATTERN_DOUBLE_STARS,
    PATTERN_FLOATING,
    PATTERN_SEGMENTS,
    PATTERN_STARS,
    PATTERNS,
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
        return is_host(pattern[2:] if pattern.startswith("*.") else pattern)
    if kind == "path" and "*" not in pattern:
        return is_path(pattern) and pattern.count("/") < PATTERN_SEGMENTS
    segments = pattern.split("/")
    if len(segments) > PATTERN_SEGMENTS:
        return False
    if "*" in pattern:
        if segments.count("**") > PATTERN_DOUBLE_STARS:
            return False
        for segment in segments:
            if "*" in segment and segment != "**":
                if "**" in segment or segment.count("*") > PATTERN_STARS:
                    return False
    if kind == "path" and segments[0] in ("", "**"):
        del segments[0]
        return not ("" in segments or "." in segments or ".." in segments)
    return kind != "path" and "" not in segments


def split_host(value: str) -> tuple[str, str]:
    """(name, port); the port is empty where none is given. An IPv6 name keeps its brackets."""
    name, colon, port = value.rpartition(":")
    if colon and port.isdigit() and (":" not in name or name.endswith("]")):
        return name, port
    return value, ""


def is_host(value: Any) -> bool:
    """A lower-case ASCII host, without a trailing dot, with an optional port."""
    if type(value) is not str or not value.isascii() or value != value.lower():
        return False
    name, port = split_host(value)
    if port and not (len(port) <= 5 and 0 < int(port) < 65536 and port[0] != "0"):
        return False
    if name.startswith("["):
        inner = name[1:-1]
        return name.endswith("]") and len(inner) <= 45 and not inner.strip("0123456789abcdef:.")
    return (
        0 < len(name) <= 253
        and name[0] not in ".-"
        and name[-1] != "."
        and ".." not in name
        and all(c.isalnum() or c in ".-_" for c in name)
    )


def floating(pattern: Any) -> int:
    """How many segments of a pattern are tried at every place of a value."""
    if type(pattern) is not str or "**" not in pattern:
        return 0
    segments = pattern.split("/")
    return len(segments) - segments.index("**")


def affordable(patterns: Sequence[Any]) -> bool:
    """Whether so many patterns may be tried on one call, together."""
    return len(patterns) <= PATTERNS and sum(map(floating, patterns)) <= PATTERN_FLOATING


def _is_text(value: Any) -> bool:
    """Unicode: a file name that is not (a lone surrogate here) could not be put on record."""
    return type(value) is str and (
        value.isascii() or value == value.encode(errors="replace").decode()
    )


def _is_name(value: Any) -> bool:
    """A ref or a tool: short text in segments."""
    return _is_text(value) and 0 < len(value) <= PATH_CHARS and value.count("/") <= PATH_SEGMENTS


def _is_argv(value: Any) -> bool:
    return (
        type(value) is tuple
        and len(value) > 0
        and all(map(_is_text, value))
        and sum(1 + len(word.split()) for word in value) <= ARGV_WORDS
    )


def is_path(value: Any) -> bool:
    """An absolute path with nothing left to resolve: what the proxy hands over, or a refusal."""
    if not _is_name(value) or value[0] != "/" or "\0" in value:
        return False
    # With a slash after it, a path shows an empty, `.` or `..` segment by one search each.
    ended = value + "/"
    return value == "/" or not ("//" in ended or "/./" in ended or "/../" in ended)


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
    if "*" not in pattern:
        return pattern == value
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


def _path_denied(pattern: str, folded: str) -> bool:
    # What is blocked is blocked with everything below it, and in whatever case: a
    # case-insensitive file system must not open what a blocked pattern names.
    pattern = pattern.casefold()
    if "*" not in pattern:
        return under(pattern, folded)
    return glob(pattern, folded) or glob(pattern + "/**", folded)


def _name_matches(pattern: str, name: str) -> bool:
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern


def _host(pattern: str, value: str) -> bool:
    """An allowed host: a pattern without a port allows every port, one with a port only it."""
    wanted, wanted_port = split_host(pattern)
    name, port = split_host(value)
    return _name_matches(wanted, name) and wanted_port in ("", port)


def _host_denied(pattern: str, value: str) -> bool:
    """A blocked host: where either side does not say its port, it may be the same one."""
    wanted, wanted_port = split_host(pattern)
    name, port = split_host(value)
    return _name_matches(wanted, name) and (wanted_port == port or not (wanted_port and port))


def _command(pattern: Sequence[str], value: Sequence[str]) -> bool:
    """An allowed command: the argument vector starts with exactly these words."""
    return tuple(value[: len(pattern)]) == tuple(pattern)


def _base(word: str) -> str:
    return word.rpartition("/")[2]


def _parts(value: Sequence[str]) -> list[tuple[str, str]]:
    """Every word of a command and every word inside one, each with its base name."""
    return [(part, _base(part)) for word in value for part in (word, *word.split())]


def _command_denied(pattern: Sequence[str], parts: Sequence[tuple[str, str]]) -> bool:
    """A blocked command: its words occur in order anywhere, also inside one word, programs by
    base name. So `env -S "sudo x"` and `/usr/bin/sudo x` are `sudo`. Over-blocking is safe.
    """
    left = iter(parts)
    for wanted in pattern:
        base = _base(wanted) or wanted
        for word, name in left:
            if word == wanted or name == base:
                break
        else:
            return False
    return True


class Matcher(NamedTuple):
    """How one kind of resource is matched."""

    valid: Callable[[Any], bool]  # whether a value is in resolved form
    allows: Callable[..., bool]
    blocks: Callable[..., bool]
    prepare: Callable[[Any], Any]  # what `blocks` looks at, made once per value


MATCHERS: Final[dict[str, Matcher]] = {
    "path": Matcher(is_path, _path, _path_denied, str.casefold),
    "host": Matcher(is_host, _host, _host_denied, str),
    "cmd": Matcher(_is_argv, _command, _command_denied, _parts),
    "ref": Matcher(_is_name, glob, glob, str),
    "tool": Matcher(_is_name, glob, glob, str),
}

"""Law: a pattern is a predicate on one resolved value; patterns are never compared or intersected.

Authority is the conjunction of predicates, so there is no algebra of patterns to get wrong. Every
match is bounded: a literal part is found with the interpreter's own search, `*` stays within one
segment, `**` spans segments and occurs at most twice. There is no regex and no `?`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from nucleus_tokens import limits
from nucleus_tokens.limits import ARGV_WORDS, PATH_CHARS, PATH_SEGMENTS, PATTERN_SEGMENTS

# Patterns that can stand in a caveat; what cannot is refused -----------------------------------


def _segments(pattern: Any) -> list[str]:
    """The segments of a pattern within the limits; none for what is no such pattern."""
    if type(pattern) is not str or not pattern or "\0" in pattern:
        return []
    segments = pattern.split("/")
    if len(segments) > PATTERN_SEGMENTS or segments.count("**") > limits.PATTERN_DOUBLE_STARS:
        return []
    if "*" in pattern:
        for segment in segments:
            if segment != "**" and ("**" in segment or segment.count("*") > limits.PATTERN_STARS):
                return []
    return segments


def _is_path_pattern(pattern: Any) -> bool:
    if type(pattern) is str and "*" not in pattern:
        return _path(pattern) is not None and pattern.count("/") < PATTERN_SEGMENTS
    first, *rest = _segments(pattern) or ("none",)
    return first in ("", "**") and not ("" in rest or "." in rest or ".." in rest)


def _is_host_pattern(pattern: Any) -> bool:
    return type(pattern) is str and is_host(pattern[2:] if pattern.startswith("*.") else pattern)


def _is_command_pattern(pattern: Any) -> bool:
    return (
        type(pattern) is list
        and 0 < len(pattern) <= PATTERN_SEGMENTS
        and all(type(word) is str and word and "\0" not in word for word in pattern)
    )


def _is_name_pattern(pattern: Any) -> bool:
    return "" not in (_segments(pattern) or ("",))


def floating(pattern: Any) -> int:
    """How many segments of a pattern are tried at every place of a value."""
    if type(pattern) is not str or "**" not in pattern:
        return 0
    segments = pattern.split("/")
    return len(segments) - segments.index("**")


def affordable(patterns: Sequence[Any]) -> bool:
    """Whether so many patterns may be tried on one call, together."""
    if len(patterns) > limits.PATTERNS:
        return False
    return sum([floating(p) for p in patterns if "**" in p]) <= limits.PATTERN_FLOATING


# Values in resolved form ------------------------------------------------------------------------


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
    return _path(value) is not None


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


# Matching. Each kind looks at its own form of a value, made once for all patterns ----------------


def _path(value: Any) -> str | None:
    """With a slash after it, a path shows an empty, `.` or `..` segment by one search each."""
    if type(value) is not str or value[:1] != "/" or "\0" in value or not _is_name(value):
        return None
    ended = value + "/"
    if "//" in ended and value != "/" or "/." in ended and ("/./" in ended or "/../" in ended):
        return None
    return ended


def _path_allows(patterns: Sequence[str], ended: str) -> bool:
    for pattern in patterns:
        if "*" in pattern:
            if glob(pattern, ended[:-1]):
                return True
        elif ended.startswith(pattern + "/") or pattern == "/":
            return True
    return False


def _path_blocks(patterns: Sequence[str], ended: str) -> bool:
    # What is blocked is blocked with everything below it, and in whatever case: a
    # case-insensitive file system must not open what a blocked pattern names.
    folded = [pattern.casefold() for pattern in patterns]
    below = [pattern + "/**" for pattern in folded if "*" in pattern]
    return _path_allows(folded + below, ended.casefold())


def _host(value: Any) -> tuple[str, str] | None:
    return split_host(value) if is_host(value) else None


def _ports(patterns: Sequence[str], name: str) -> list[str]:
    """What the patterns that name this host say of its port; empty where they say nothing."""
    return [
        port
        for wanted, port in map(split_host, patterns)
        if name == wanted or wanted.startswith("*.") and name.endswith(wanted[1:])
    ]


def _host_allows(patterns: Sequence[str], host: tuple[str, str]) -> bool:
    """A pattern without a port allows every port, one with a port only it."""
    ports = _ports(patterns, host[0])
    return "" in ports or host[1] in ports


def _host_blocks(patterns: Sequence[str], host: tuple[str, str]) -> bool:
    """Where either side does not say its port, it may be the same one."""
    ports = _ports(patterns, host[0])
    return "" in ports or host[1] in ports or bool(ports and not host[1])


def _base(word: str) -> str:
    """The base name of a word; of one that ends in a slash, itself."""
    return word.rpartition("/")[2] or word


def _command(value: Any) -> tuple[tuple[str, ...], list[str]] | None:
    """The words, and the base name of every word and of every word inside one."""
    if not _is_argv(value):
        return None
    return value, [_base(part) for word in value for part in (word, *word.split())]


def _command_allows(patterns: Sequence[tuple[str, ...]], command: Any) -> bool:
    """The argument vector starts with exactly these words."""
    argv, _ = command
    return any(argv[: len(pattern)] == pattern for pattern in patterns)


def _command_blocks(patterns: Sequence[tuple[str, ...]], command: Any) -> bool:
    """The words of a pattern occur in order anywhere, also inside one word, by base name. So
    `env -S "sudo x"` and `/usr/bin/sudo x` are `sudo`. Over-blocking is safe.
    """
    _, bases = command
    for pattern in patterns:
        at = 0
        try:
            for word in pattern:
                at = bases.index(_base(word), at) + 1
        except ValueError:
            continue
        return True
    return False


def _name(value: Any) -> str | None:
    return value if _is_name(value) else None


def _name_matches_any(patterns: Sequence[str], name: str) -> bool:
    return name in patterns or any("*" in p and glob(p, name) for p in patterns)


class Matcher(NamedTuple):
    """How one kind of resource is matched."""

    well_formed: Callable[[Any], bool]  # whether a pattern may stand in a caveat
    ready: Callable[[Any], Any]  # a value as it is matched; None if it is not in resolved form
    allows: Callable[[Sequence[Any], Any], bool]  # whether any of the patterns matches
    blocks: Callable[[Sequence[Any], Any], bool]


_NAME: Final = Matcher(_is_name_pattern, _name, _name_matches_any, _name_matches_any)
MATCHERS: Final[dict[str, Matcher]] = {
    "path": Matcher(_is_path_pattern, _path, _path_allows, _path_blocks),
    "host": Matcher(_is_host_pattern, _host, _host_allows, _host_blocks),
    "cmd": Matcher(_is_command_pattern, _command, _command_allows, _command_blocks),
    "ref": _NAME,
    "tool": _NAME,
}

"""Law: what is shown of a set of changes and what is kept of it are made from the same bytes that
are written.

Two spellings: for the person who is asked, with sizes and digests where there is no text, and as a
patch that `git apply` takes. Comparing is bounded, whatever the bytes are: what would take too long
is shown as taken out and put in.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

_CONTEXT: Final = 3
_COMPARED: Final = 1 << 20  # old lines times new lines of one file
_TEXT_BYTES: Final = 1 << 20
_BINARY_LINE: Final = 52
_NO_NEWLINE: Final = "\\ No newline at end of file"
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

Op = tuple[str, int, int, int, int]


class Side(NamedTuple):
    """A file, as it is or as it will be."""

    data: bytes
    runs: bool

    @property
    def mode(self) -> str:
        return "100755" if self.runs else "100644"


@dataclass(frozen=True, slots=True)
class Pair:
    """One file before and after, by its name below the workspace; None where there is none."""

    name: str
    old: Side | None
    new: Side | None

    @property
    def words(self) -> str:
        """What happens to it, in a line."""
        old, new = self.old, self.new
        if new is None:
            return f"removed  {self.name}"
        said = f"{'new' if old is None else 'changed':<7}  {self.name}"
        if new.runs and (old is None or not old.runs):
            said += "  (CAN BE RUN from then on)"
        elif old is not None and old.runs and not new.runs:
            said += "  (cannot be run any longer)"
        if _text(new) is None or (old is not None and _text(old) is None):
            said += f"  (no text: {len(new.data)} bytes, sha256 {_sha256(new.data)})"
        return said


def shown(pairs: Sequence[Pair]) -> str:
    """For a person: every file in a line, and then what changes in them."""
    lines = [pair.words for pair in pairs]
    for pair in pairs:
        if (body := _hunks(pair)) is not None:
            lines += ["", f"--- {pair.name}", *body]
    return "\n".join(lines)


def patch(pairs: Sequence[Pair]) -> bytes:
    """For `git apply`, in the workspace."""
    return b"".join(_patched(pair) for pair in pairs)


def _patched(pair: Pair) -> bytes:
    old, new = pair.old, pair.new
    a, b = _quoted(f"a/{pair.name}"), _quoted(f"b/{pair.name}")
    lines = [f"diff --git {a} {b}"]
    if old is None and new is not None:
        lines.append(f"new file mode {new.mode}")
    elif new is None and old is not None:
        lines.append(f"deleted file mode {old.mode}")
    elif old is not None and new is not None and old.mode != new.mode:
        lines += [f"old mode {old.mode}", f"new mode {new.mode}"]
    if old is not None and new is not None and old.data == new.data:
        return _encoded(lines)
    lines.append(f"index {_blob(old)}..{_blob(new)}")
    body = _hunks(pair)
    if body is None:
        return _encoded([*lines, "GIT binary patch", *_literal(new), "", *_literal(old), ""])
    if body:
        tab = "\t" if " " in pair.name else ""
        lines.append("--- /dev/null" if old is None else f"--- {a}{tab}")
        lines.append("+++ /dev/null" if new is None else f"+++ {b}{tab}")
    return _encoded([*lines, *body])


def _encoded(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _quoted(name: str) -> str:
    if '"' not in name and "\\" not in name:
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _blob(side: Side | None) -> str:
    """As git names it."""
    if side is None:
        return "0" * 40
    head = f"blob {len(side.data)}\0".encode()
    return hashlib.sha1(head + side.data, usedforsecurity=False).hexdigest()


def _literal(side: Side | None) -> Iterator[str]:
    data = b"" if side is None else side.data
    yield f"literal {len(data)}"
    packed = zlib.compress(data)
    for at in range(0, len(packed), _BINARY_LINE):
        piece = packed[at : at + _BINARY_LINE]
        padded = piece + bytes(-len(piece) % 4)
        yield _LETTERS[len(piece) - 1] + base64.b85encode(padded).decode()


# Comparing ------------------------------------------------------------------------------------


def _text(side: Side) -> list[str] | None:
    """The lines of a text, each with its end; None for what is none."""
    if len(side.data) > _TEXT_BYTES or b"\0" in side.data:
        return None
    try:
        text = side.data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return [*(f"{line}\n" for line in text.split("\n")[:-1]), *filter(None, text.split("\n")[-1:])]


def _hunks(pair: Pair) -> list[str] | None:
    """The body of a unified diff; None where a side is no text."""
    old = [] if pair.old is None else _text(pair.old)
    new = [] if pair.new is None else _text(pair.new)
    if old is None or new is None:
        return None
    lines: list[str] = []
    for group in _Compared(list(_compared(old, new))).get_grouped_opcodes(_CONTEXT):
        i, j = group[0][1], group[0][3]
        olds, news = group[-1][2] - i, group[-1][4] - j
        lines.append(f"@@ -{_span(i, olds)} +{_span(j, news)} @@")
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                lines += _marked(" ", old[i1:i2])
            else:
                lines += _marked("-", old[i1:i2]) + _marked("+", new[j1:j2])
    return lines


class _Compared(difflib.SequenceMatcher[str]):
    """Groups what was compared already."""

    def __init__(self, ops: list[Op]) -> None:
        super().__init__()
        self._ops = ops

    def get_opcodes(self) -> list[Any]:
        return self._ops


def _span(start: int, count: int) -> str:
    return f"{start + 1 if count else start},{count}"


def _marked(mark: str, lines: Sequence[str]) -> list[str]:
    made: list[str] = []
    for line in lines:
        made.append(mark + line.removesuffix("\n"))
        if not line.endswith("\n"):
            made.append(_NO_NEWLINE)
    return made


def _compared(old: list[str], new: list[str]) -> Iterator[Op]:
    """What is equal and what is not: first what both begin and end with, then the middle."""
    head, least = 0, min(len(old), len(new))
    while head < least and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < least - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    i, j = len(old) - tail, len(new) - tail
    if head:
        yield ("equal", 0, head, 0, head)
    if (i - head) * (j - head) <= _COMPARED:
        middle = difflib.SequenceMatcher(None, old[head:i], new[head:j])
        for tag, i1, i2, j1, j2 in middle.get_opcodes():
            yield (tag, i1 + head, i2 + head, j1 + head, j2 + head)
    else:
        yield ("replace", head, i, head, j)
    if tail:
        yield ("equal", i, len(old), j, len(new))

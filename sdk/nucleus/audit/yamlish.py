"""Law: the part of YAML that workflows are written in, with line numbers; more is refused.

Block mappings and sequences by indentation, plain, quoted and block scalars, flow lists and maps
on one line. No anchors, tags, merges or several documents: such a file is said to be unread.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from nucleus.shapes import items, table

MOST_LINES: Final = 20_000
MOST_DEPTH: Final = 40
_KEY: Final = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#&*!|>'"%@`{\[,][^#]*?):(?=\s|$)"""
)
_PARTS: Final = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^,"']|["'])+""")
_REFUSED: Final = re.compile(r"^(?:<<:|[&*!%])")


@dataclass(frozen=True, slots=True)
class Node:
    """A value (text, list of Node, or dict of Node), and the line where it begins."""

    value: Any
    line: int

    def get(self, *keys: str) -> Node | None:
        """The value at these keys, if it is there."""
        at: Node | None = self
        for key in keys:
            at = at.table.get(key) if at is not None else None
        return at

    @property
    def text(self) -> str:
        return self.value if type(self.value) is str else ""

    @property
    def items(self) -> list[Node]:
        """Of a list its items, of one value that value, of a mapping its keys."""
        listed = items(self.value)
        if listed is not None:
            return listed
        if type(self.value) is dict:
            return [Node(key, node.line) for key, node in self.table.items()]
        return [self] if self.value else []

    @property
    def table(self) -> dict[str, Node]:
        return table(self.value) or {}


@dataclass(slots=True)
class _Lines:
    rows: list[tuple[int, str, int]] = field(default_factory=list[tuple[int, str, int]])
    raw: list[str] = field(default_factory=list[str])
    at: int = 0

    def peek(self) -> tuple[int, str, int] | None:
        return self.rows[self.at] if self.at < len(self.rows) else None


def parse(text: str) -> Node:
    """Raises ValueError with a sentence for people."""
    raw = text.removeprefix("\ufeff").splitlines()
    if len(raw) > MOST_LINES:
        raise ValueError("it has too many lines")
    lines = _Lines(raw=raw)
    for number, line in enumerate(raw, 1):
        bare = line.strip()
        if not bare or bare.startswith("#") or (bare == "---" and not lines.rows):
            continue
        lines.rows.append((len(line) - len(line.lstrip(" ")), bare, number))
    found = _block(lines, 0, 0)
    if lines.peek() is not None:
        raise ValueError(f"line {lines.rows[lines.at][2]} is not understood")
    return found


def _block(lines: _Lines, least: int, depth: int) -> Node:
    row = lines.peek()
    if row is None or row[0] < least:
        return Node("", row[2] if row else 1)
    if depth > MOST_DEPTH:
        raise ValueError("it is nested too deeply")
    indent, bare, number = row
    if bare == "-" or bare.startswith("- "):
        made: list[Node] = []
        while (
            (row := lines.peek())
            and row[0] == indent
            and (row[1] == "-" or row[1].startswith("- "))
        ):
            rest = row[1][1:].lstrip()
            if not rest:
                lines.at += 1
                made.append(_block(lines, indent + 1, depth + 1))
            elif _KEY.match(rest) and rest[0] not in "{[":
                # `- name: x`: a mapping whose first line stands behind the dash.
                lines.rows[lines.at] = (indent + len(row[1]) - len(rest), rest, row[2])
                made.append(_block(lines, indent + 1, depth + 1))
            else:
                lines.at += 1
                made.append(_scalar(lines, rest, indent, row[2]))
        return Node(made, number)
    if _KEY.match(bare) is None:
        lines.at += 1
        return _scalar(lines, bare, indent - 1, number)
    made_table: dict[str, Node] = {}
    while (row := lines.peek()) and row[0] == indent:
        key = _KEY.match(row[1])
        if key is None or _REFUSED.match(row[1]):
            raise ValueError(f"line {row[2]} is not understood")
        lines.at += 1
        rest = row[1][key.end() :].strip()
        following = lines.peek()
        if rest and not rest.startswith("#"):
            node = _scalar(lines, rest, indent, row[2])
        elif following and following[0] == indent and following[1].startswith("-"):
            node = _block(lines, indent, depth + 1)  # a list may stand under its key
        else:
            node = _block(lines, indent + 1, depth + 1)
            node = Node(node.value, row[2])
        made_table[_unquoted(key[1].strip())] = node
    return Node(made_table, number)


def _scalar(lines: _Lines, rest: str, indent: int, number: int) -> Node:
    if rest[0] in "|>" and re.fullmatch(r"[|>][+-]?\d?[+-]?(?:\s+#.*)?", rest):
        # As it stands: comments and blank lines in it are text.
        last = number
        row = lines.peek()
        while row is not None and row[0] > indent:
            lines.at += 1
            last = row[2]
            row = lines.peek()
        end = row[2] - 1 if row is not None else len(lines.raw)
        return Node("\n".join(lines.raw[number : max(last, end)]).rstrip(), number)
    if rest[0] in "&*!":
        raise ValueError(f"line {number} has anchors or tags")
    if rest[0] in "[{":
        while not _closed(rest) and (row := lines.peek()) is not None:
            lines.at += 1
            rest += " " + row[1]
        return _flow(rest, number)
    if rest[0] not in "\"'":
        rest = re.split(r"\s#", rest)[0].rstrip()
    row = lines.peek()
    while row is not None and row[0] > indent and rest[:1] not in "\"'":
        lines.at += 1  # a plain text may go on
        rest += " " + row[1]
        row = lines.peek()
    return Node(_unquoted(rest), number)


def _closed(text: str) -> bool:
    return text.count("[") <= text.count("]") and text.count("{") <= text.count("}")


def _flow(text: str, number: int) -> Node:
    body = text.strip()
    inner = body[1 : max(body.rfind("]"), body.rfind("}"))]
    if "[" in inner or "{" in inner.replace("${{", ""):
        return Node(body, number)  # nested: as text, in which words are still found
    parts = [part.strip() for part in _PARTS.findall(inner) if part.strip()]
    if body[0] == "[":
        return Node([Node(_unquoted(part), number) for part in parts], number)
    pairs = (part.partition(":") for part in parts)
    return Node(
        {_unquoted(k.strip()): Node(_unquoted(v.strip()), number) for k, _, v in pairs}, number
    )


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1].replace('\\"', '"')
    found = re.match(r"""(["'])(.*?)\1\s+#""", text)
    return found[2] if found else text

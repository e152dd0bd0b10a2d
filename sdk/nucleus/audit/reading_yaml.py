"""Law: YAML with line numbers, out of the parser's events: bounded, and nothing is made of it but
text, lists and mappings.

PyYAML reads; what it would resolve, construct or repeat is not asked of it. An anchor could make a
small file endless, a tag an object, a second document another file, a doubled key another value:
such a file is said to be unread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from nucleus.shapes import items, table

MOST_CHARS: Final = 512 * 1024
MOST_NODES: Final = 50_000
MOST_DEPTH: Final = 40
_TAGS: Final = frozenset(
    "tag:yaml.org,2002:" + name for name in ("str", "int", "float", "bool", "null", "seq", "map")
)


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


def parse(text: str) -> Node:
    """Raises ValueError with a sentence for people; it repeats nothing of the file."""
    import yaml

    if len(text) > MOST_CHARS:
        raise ValueError("it is too long")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Composer(yaml.parse(text, Loader=loader)).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "it" if mark is None else f"line {mark.line + 1}"
        raise ValueError(f"{where} is not YAML") from error
    except UnicodeError as error:
        raise ValueError("it is no Unicode") from error


class _Composer:
    """Nodes out of events."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._nodes = 0

    def document(self) -> Node:
        """The only document; an empty text for none."""
        self._next()  # of the stream
        if type(self._next()).__name__ == "StreamEndEvent":
            return Node("", 1)
        found = self._node(self._next(), 0)
        self._next()  # of the document
        if type(self._next()).__name__ != "StreamEndEvent":
            raise ValueError("it holds several documents")
        return found

    def _next(self) -> Any:
        return next(self._events)

    def _node(self, event: Any, depth: int) -> Node:
        line = event.start_mark.line + 1
        self._nodes += 1
        if depth > MOST_DEPTH or self._nodes > MOST_NODES:
            raise ValueError(
                "it is nested too deeply" if depth > MOST_DEPTH else "it holds too many values"
            )
        if getattr(event, "anchor", None) is not None:
            raise ValueError(f"line {line} has an anchor, or refers to one")
        if event.tag not in (None, "!", *_TAGS):
            raise ValueError(f"line {line} has a tag")
        match type(event).__name__:
            case "ScalarEvent":
                plain = event.style is None and event.value in ("~", "null")
                return Node("" if plain else event.value, line)
            case "SequenceStartEvent":
                made: list[Node] = []
                while type(each := self._next()).__name__ != "SequenceEndEvent":
                    made.append(self._node(each, depth + 1))
                return Node(made, line)
            case _:
                return self._mapping(line, depth)

    def _mapping(self, line: int, depth: int) -> Node:
        made: dict[str, Node] = {}
        while type(event := self._next()).__name__ != "MappingEndEvent":
            key = self._node(event, depth + 1)
            if type(key.value) is not str or key.value in made:
                raise ValueError(f"line {key.line} has a key twice, or one that is no text")
            # A value begins where its key does: there a person looks for it.
            made[key.value] = Node(self._node(self._next(), depth + 1).value, key.line)
        return Node(made, line)

"""Law: what a provider says it used is a claim of its own, read strictly, and bounded elsewhere.

Finds the usage numbers in an answer, whole or streamed (server-sent events), and counts the text
that it carries. Pure; nothing here changes what passes.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

_LINE_BYTES: Final = 1024 * 1024
_MOST: Final = 2**40
_INPUT: Final = ("prompt_tokens", "input_tokens")
_CACHED: Final = ("cache_creation_input_tokens", "cache_read_input_tokens")
_OUTPUT: Final = ("completion_tokens", "output_tokens")
# Where text of a model stands, in either API, in a request, an answer or a piece of one.
_TEXTS: Final = frozenset(
    ("content", "text", "arguments", "partial_json", "thinking", "refusal", "reasoning_content",
     "delta", "input", "instructions", "system")
)  # fmt: skip


class Usage(NamedTuple):
    """Tokens in and out."""

    input: int
    output: int

    def most(self, other: Usage) -> Usage:
        """The larger of each."""
        return Usage(max(self.input, other.input), max(self.output, other.output))


def said(value: Any) -> Usage | None:
    """The usage that one answer, or one event of it, tells; None where it tells nothing."""
    if type(value) is not dict:
        return None
    for outer in (value, value.get("response"), value.get("message")):
        table = outer.get("usage") if type(outer) is dict else None
        if type(table) is dict:
            cached = sum(_number(table, name) for name in _CACHED)
            return Usage(
                max(_number(table, name) for name in _INPUT) + cached,
                max(_number(table, name) for name in _OUTPUT),
            )
    return None


def _number(table: dict[str, Any], name: str) -> int:
    value = table.get(name)
    return value if type(value) is int and 0 <= value <= _MOST else 0


def visible(value: Any) -> int:
    """How many bytes of text stand in a request or an answer."""
    total = 0
    todo: list[tuple[Any, bool]] = [(value, False)]
    while todo:
        each, counts = todo.pop()
        if type(each) is dict:
            todo += [(item, key in _TEXTS) for key, item in each.items()]
        elif type(each) is list:
            todo += [(item, counts) for item in each]
        elif counts and type(each) is str:
            total += len(each.encode("utf-8", "replace"))
    return total


class Watch:
    """Reads along with a stream of server-sent events."""

    def __init__(self) -> None:
        self._line = b""
        self._skip = False
        self.usage: Usage | None = None
        self.text_bytes = 0

    def feed(self, piece: bytes) -> None:
        """The next bytes of the stream."""
        *lines, rest = (self._line + piece).split(b"\n")
        for line in lines:
            if not self._skip:
                self._event(line)
            self._skip = False
        # A line without an end is watched no further; its bytes still count as text.
        if len(rest) > _LINE_BYTES or self._skip:
            self.text_bytes += len(rest)
            self._skip, rest = True, b""
        self._line = rest

    def _event(self, line: bytes) -> None:
        if not line.startswith(b"data:"):
            return
        try:
            value = json.loads(line[5:])
        except (ValueError, RecursionError):
            return
        told = said(value)
        if told is not None:
            self.usage = told if self.usage is None else self.usage.most(told)
        # The last event of a response repeats all of it.
        if type(value) is dict and value.get("type") not in _REPEATS:
            self.text_bytes += visible(value)


_REPEATS: Final = frozenset(
    ("response.completed", "response.incomplete", "response.failed", "response.created",
     "response.in_progress", "response.output_text.done", "response.output_item.done",
     "response.content_part.done", "response.function_call_arguments.done")
)  # fmt: skip

"""Law: an argument that a header repeats says there what it says in the body, or nothing is done.

In 2026-07-28 a tool may mark arguments with `x-mcp-header`; over HTTP each of them travels in an
`Mcp-Param-NAME` as well, so that a gateway routes by it. Towards a server we write these from the
body. A client's must be those, and no others, that the list which it was shown asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from nucleus_proxy.egress.httpd import Asked
from nucleus_proxy.http import agreement
from nucleus_proxy.methods import TOOLS_CALL
from nucleus_proxy.wire import Frame
from nucleus_tokens.authority import MISSING

PREFIX: Final = "mcp-param-"
_MARK: Final = "x-mcp-header"
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")  # RFC 9110
_TYPES: Final = ("string", "integer", "boolean")
_NUMBER: Final = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?")
_DEPTH: Final = 16
MOST_TOOLS: Final = 4096

Declared = Mapping[tuple[str, ...], str]  # where an argument stands -> its header, in lower case


def learn(known: dict[str, Declared], result: Any) -> None:
    """Take in one page of tools/list."""
    tools = result.get("tools") if type(result) is dict else None
    for tool in tools if type(tools) is list else ():
        name = tool.get("name") if type(tool) is dict else None
        if type(name) is str:
            known.pop(name, None)
            if found := declared(tool.get("inputSchema")):
                known[name] = found
    while len(known) > MOST_TOOLS:
        del known[next(iter(known))]


def declared(schema: Any) -> Declared:
    """The arguments that travel in headers; none where the schema marks them wrongly: a client
    shows no such tool, and a server looks at none of its headers."""
    found: dict[tuple[str, ...], str] = {}
    for path, node in _properties(schema, ()):
        mark = node.get(_MARK)
        if _MARK not in node:
            continue
        if type(mark) is not str or not _TOKEN.fullmatch(mark) or node.get("type") not in _TYPES:
            return {}
        name = PREFIX + mark.lower()
        if name in found.values():
            return {}
        found[path] = name
    return found


def _properties(schema: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    inside = schema.get("properties") if type(schema) is dict else None
    for name, node in inside.items() if type(inside) is dict and len(at) < _DEPTH else ():
        if type(node) is dict:
            yield (*at, name), node
            yield from _properties(node, (*at, name))


def said(known: Mapping[str, Declared], frame: Frame) -> list[tuple[bytes, bytes]]:
    """The headers of a call of ours."""
    return [
        (name.encode(), agreement.packed(text))
        for name, value in _carried(known, frame).items()
        if (text := _text(value)) is not None
    ]


def agree(asked: Asked, known: Mapping[str, Declared], frame: Frame) -> None:
    """Raises CredentialError `http.mismatch`. Before 2026-07-28 no header is asked for; where there
    is one it holds."""
    carried = _carried(known, frame)
    given = [(name, value) for name, value in asked.headers if name.startswith(PREFIX)]
    for name, value in given:
        if not _equal(agreement.unpacked(value), carried.get(name, MISSING)):
            raise agreement.differs(name)
    names = [name for name, _ in given]
    if len(set(names)) != len(names):
        raise agreement.differs(names[0])
    missing = [name for name, value in carried.items() if _text(value) is not None]
    for name in sorted(set(missing) - set(names)) if agreement.is_new(frame) else ():
        raise agreement.differs(name)


def _carried(known: Mapping[str, Declared], frame: Frame) -> dict[str, Any]:
    """Header -> the argument that it repeats, of those that are there."""
    if frame.method != TOOLS_CALL:
        return {}
    name = frame.params.get("name")
    found: dict[str, Any] = {}
    for path, header in known.get(name, {}).items() if type(name) is str else ():
        value: Any = frame.params.get("arguments")
        for key in path:
            value = value.get(key) if type(value) is dict else None
        if value is not None:
            found[header] = value
    return found


def _text(value: Any) -> str | None:
    """A value as a header has it; None for what none can have."""
    if type(value) is bool:
        return "true" if value else "false"
    return str(value) if type(value) in (str, int, float) else None


def _equal(text: str | None, value: Any) -> bool:
    if text is None or value is MISSING:
        return False
    if type(value) in (int, float):
        return bool(_NUMBER.fullmatch(text)) and Decimal(text) == Decimal(str(value))
    return text == _text(value)

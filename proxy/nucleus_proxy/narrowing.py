"""Law: a schema says of an argument what the token says of it, so that no model tries the rest.

Pure, and no authority: a call is judged by the token whatever its schema said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nucleus_tokens.caveats import Arg


def narrowed(tool: dict[str, Any], name: str, args: Sequence[Arg]) -> dict[str, Any]:
    """A tool's definition with the rules of `arg` caveats in its input schema; the very same where
    none speaks of it. An argument that a caveat does not name would be denied, so it goes."""
    rules = [arg for arg in args if arg.tool in ("*", name)]
    schema = tool.get("inputSchema")
    if not rules or type(schema) is not dict:
        return tool
    made = dict(schema)
    properties = made.get("properties")
    kept: dict[str, Any] = dict(properties) if type(properties) is dict else {}
    for arg in rules:
        named = {pointer.split("/")[1] for pointer, _, _ in arg.rules if pointer.startswith("/")}
        plain = {key.replace("~1", "/").replace("~0", "~") for key in named}
        if any(pointer == "" for pointer, _, _ in arg.rules):
            continue
        kept = {key: value for key, value in kept.items() if key in plain}
    for arg in rules:
        for pointer, op, operand in arg.rules:
            _rule(kept, pointer.split("/")[1:], op, operand)
    made["properties"] = kept
    made["additionalProperties"] = False
    return {**tool, "inputSchema": made}


def _rule(properties: dict[str, Any], path: list[str], op: str, operand: Any) -> None:
    if not path:
        return
    key = path[0].replace("~1", "/").replace("~0", "~")
    inner = properties.get(key)
    if type(inner) is not dict:
        return
    made = dict(inner)
    if len(path) > 1:
        deeper = made.get("properties")
        if type(deeper) is dict:
            made["properties"] = dict(deeper)
            _rule(made["properties"], path[1:], op, operand)
    else:
        made |= _words(made, op, operand)
    properties[key] = made


def _words(schema: dict[str, Any], op: str, operand: Any) -> dict[str, Any]:
    """A rule in the words of JSON Schema. What stands there already is kept beside it."""
    word: dict[str, Any] = {}
    match op:
        case "equals":
            word = {"const": operand}
        case "one-of":
            word = {"enum": list(operand)}
        case "prefix":
            word = {"pattern": "^" + re.escape(operand).replace("/", "\\/").replace("\\/", "/")}
        case "range":
            low, high = operand
            word = {k: v for k, v in (("minimum", low), ("maximum", high)) if v is not None}
        case "length" if schema.get("type") in ("string", "array", "object"):
            end = {"string": "Length", "array": "Items", "object": "Properties"}[schema["type"]]
            low, high = operand
            word = {k + end: v for k, v in (("min", low), ("max", high)) if v is not None}
        case _:
            return {}
    if any(key in schema for key in word):
        return {"allOf": [*schema.get("allOf", ()), word]}
    return word

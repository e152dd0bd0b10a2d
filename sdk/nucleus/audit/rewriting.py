"""Law: a configuration is changed where its servers stand; everything else stays as it is.

Comments, order and spacing of everything else survive, so a person sees in a diff what was done.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nucleus.audit import jsonc
from nucleus.shapes import items, table

Road = tuple[jsonc.Key, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """How one kind of file is read and changed."""

    value: Callable[[str], Any]  # what it says; raises ValueError
    replaced: Callable[[str, Mapping[Road, Any]], str]
    stood: Callable[[str, Road], Any]


def form(path: str) -> Form:
    """The form of a file, by its name."""
    if path.endswith(".toml"):
        from nucleus.audit import rewriting_toml

        return Form(rewriting_toml.value, rewriting_toml.replaced, rewriting_toml.stood)
    return Form(lambda source: jsonc.parse(source).value, replaced, stood)


def entry(
    value: Mapping[str, Any],
    argv: Sequence[str],
    program: Sequence[str],
    *,
    token: str,
    policy: str,
    secrets: Mapping[str, str],
    passed: Sequence[str],
) -> dict[str, Any]:
    """A server's entry, started by `nucleus mcp`, in the shape that it had. `argv` is its command;
    `secrets` are variables and the names they are kept under; `passed` are variables that the
    client fills in by itself."""
    words = [*program, "mcp", "--token", token, "--policy", policy]
    for variable, name in secrets.items():
        words += ["--secret", f"{variable}={name}"]
    for variable in passed:
        words += ["--pass-env", variable]
    words += ["--", *argv]
    first, rest = words[0], words[1:]
    made = dict(value)
    nested = table(value.get("command"))
    if nested is not None:  # zed
        made["command"] = {**nested, "path": first, "args": rest}
    elif items(value.get("command")) is not None:  # opencode
        made["command"] = [first, *rest]
    else:
        made |= {"command": first, "args": rest}
    for group in ("env", "environment"):
        if group in value:
            kept = {k: v for k, v in (table(value[group]) or {}).items() if k in passed}
            made[group] = kept
            if not kept:
                del made[group]
    return made


def replaced(source: str, changes: Mapping[Road, Any]) -> str:
    """The text with new values at these keys. Raises ValueError where one is not there."""
    document = jsonc.parse(source)
    lead = len(source) - len(document.text)  # a mark of the byte order
    made = source
    places = sorted(((document.spans[keys], keys) for keys in changes), reverse=True)
    for (start, end), keys in places:
        column = start - (document.text.rfind("\n", 0, start) + 1)
        line = document.text[start - column : start]
        indent = line[: len(line) - len(line.lstrip())]
        value = changes[keys]
        spelled = value if type(value) is Spelled else _spelled(value, document.text, indent)
        made = made[: start + lead] + spelled + made[end + lead :]
    return made


class Spelled(str):
    """A value as it stood in the file."""

    __slots__ = ()


def stood(source: str, keys: Road) -> Spelled:
    """A value as it stands in the file. Raises KeyError."""
    document = jsonc.parse(source)
    start, end = document.spans[keys]
    return Spelled(document.text[start:end])


def _spelled(value: Any, source: str, indent: str) -> str:
    """As the file is indented: with tabs, or with as many blanks as its first step has."""
    first = re.search(r"\n([ \t]+)\S", source)
    step = first[1] if first else "  "
    return json.dumps(value, indent=step, ensure_ascii=False).replace("\n", "\n" + indent)

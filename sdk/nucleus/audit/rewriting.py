"""Law: a configuration is changed where its servers stand; everything else stays as it is.

Comments, order and spacing of everything else survive, so a person sees in a diff what was done.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nucleus.audit import jsonc
from nucleus.shapes import items, table, text

Road = tuple[jsonc.Key, ...]


def entry(
    value: Mapping[str, Any],
    program: Sequence[str],
    *,
    token: str,
    policy: str,
    secrets: Mapping[str, str],
    passed: Sequence[str],
) -> dict[str, Any]:
    """A server's entry, started by `nucleus mcp`. `secrets` are variables and the names they are
    kept under; `passed` are variables that the client fills in by itself."""
    command = text(value.get("command")) or ""
    args = [each for each in items(value.get("args")) or [] if type(each) is str]
    made = dict(value)
    words = [*program[1:], "mcp", "--token", token, "--policy", policy]
    for variable, name in secrets.items():
        words += ["--secret", f"{variable}={name}"]
    for variable in passed:
        words += ["--pass-env", variable]
    made["command"] = program[0]
    made["args"] = [*words, "--", command, *args]
    if "env" in value:
        kept = {k: v for k, v in (table(value["env"]) or {}).items() if k in passed}
        if kept:
            made["env"] = kept
        else:
            del made["env"]
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

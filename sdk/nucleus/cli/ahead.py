"""Law: what is approved for more than one call is written as it is meant: one tool, where, how
often, how long."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nucleus.cli import inputs
from nucleus_tokens.errors import CallerError

if TYPE_CHECKING:
    from nucleus.granting import Grant
    from nucleus_proxy.policy import PolicyFile
    from nucleus_proxy.toolrules import ToolBinding

KINDS: Final = ("host", "path", "ref", "cmd")
_WORDS: Final = "[host=HOST] [path=DIR] [ref=REF] [cmd='WORD …'] [count=N] [for=TIME]"
FORM: Final = f"TOOL {_WORDS}"


def read(text: str, tools: Mapping[str, ToolBinding]) -> Grant:
    """One `--ahead` option. Raises CallerError `ahead.*` or `input.*`."""
    tool, *rest = _split(text) or [""]
    words = _pairs(rest)
    return made(
        tools,
        tool,
        {kind: [words[kind]] for kind in KINDS if kind in words},
        count=inputs.whole(words.get("count", "1"), "count"),
        seconds=inputs.duration(words.get("for", "1h"), "for"),
    )


def made(
    tools: Mapping[str, ToolBinding],
    tool: str,
    where: Mapping[str, Sequence[str]],
    *,
    count: int,
    seconds: int,
) -> Grant:
    """A grant from words. Raises CallerError `ahead.tool`."""
    from nucleus.granting import Grant, pattern

    if tool not in tools:
        raise CallerError(
            "ahead.tool",
            f"There is no tool {tool!r} here.",
            hint=f"There are {', '.join(sorted(tools)) or 'none'}.",
        )
    return Grant(tools[tool], pattern(_resolved(where)), count, seconds)


def tools(policy: PolicyFile, workspace: Path) -> Mapping[str, ToolBinding]:
    """Every tool that a session of this policy file has."""
    from nucleus import composing
    from nucleus_proxy.effects import spawn

    rules = composing.at(policy, workspace)
    made = composing.with_tools(rules, composing.tools(rules, draw=os.urandom)).tools
    return {**made, spawn.NAME: spawn.BINDING} if rules.agents else made


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise CallerError("ahead.form", f"It is written {FORM}.") from error


def _pairs(words: Sequence[str]) -> dict[str, str]:
    found = inputs.pairs(words, _WORDS)
    unknown = sorted(found.keys() - {*KINDS, "count", "for"})
    if unknown:
        raise CallerError("ahead.form", f"There is no {unknown[0]!r}: it is written {_WORDS}.")
    return found


def _resolved(where: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Paths as the proxy will resolve them."""
    return {
        kind: [os.path.realpath(each) for each in values] if kind == "path" else values
        for kind, values in where.items()
    }

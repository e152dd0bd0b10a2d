"""Law: what is approved ahead is written as it is meant: one tool, where, how often, how long."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nucleus.cli import inputs
from nucleus_tokens.errors import CallerError

if TYPE_CHECKING:
    from nucleus.granting import Grant
    from nucleus_proxy.policy import PolicyFile, ToolBinding

_FORM = "TOOL [host=HOST] [path=DIR] [ref=REF] [count=N] [for=TIME]"


def read(text: str, tools: Mapping[str, ToolBinding]) -> Grant:
    """One `--ahead` option. Raises CallerError `ahead.*` or `input.*`."""
    try:
        tool, *rest = shlex.split(text)
    except ValueError as error:
        raise CallerError("ahead.form", f"--ahead is written {_FORM}.") from error
    words = inputs.pairs(rest, "--ahead")
    unknown = sorted(words.keys() - {"host", "path", "ref", "count", "for"})
    if unknown:
        raise CallerError("ahead.form", f"--ahead has no {unknown[0]!r}: it is written {_FORM}.")
    return made(
        tools,
        tool,
        hosts=[words["host"]] if "host" in words else [],
        paths=[words["path"]] if "path" in words else [],
        refs=[words["ref"]] if "ref" in words else [],
        count=inputs.whole(words.get("count", "1"), "count"),
        seconds=inputs.duration(words.get("for", "1h"), "for"),
    )


def made(
    tools: Mapping[str, ToolBinding],
    tool: str,
    *,
    hosts: list[str],
    paths: list[str],
    refs: list[str],
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
    resolved = [os.path.realpath(each) for each in paths]
    return Grant(tools[tool], pattern(hosts=hosts, paths=resolved, refs=refs), count, seconds)


def tools(policy: PolicyFile, workspace: Path) -> Mapping[str, ToolBinding]:
    """Every tool that a session of this policy file has."""
    from nucleus import composing
    from nucleus_proxy.effects import spawn

    rules = composing.at(policy, workspace)
    made = composing.with_tools(rules, composing.tools(rules, draw=os.urandom)).tools
    return {**made, spawn.NAME: spawn.BINDING} if rules.agents else made

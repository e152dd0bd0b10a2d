"""Law: a policy that is drafted permits no more than the tools that were listed, and guesses none.

From a server's own list of tools: what each one is by its name, its arguments by the names and
types in its schema. A tool that nobody can tell is left out, so the proxy denies it; an argument
that nobody can tell is an undeclared selector, so it is asked about.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nucleus.audit import knowing
from nucleus.audit.facts import Tool
from nucleus.shapes import items, table
from nucleus_tokens import names

_PATHS: Final = frozenset(
    ("path", "paths", "file", "files", "file_path", "filepath", "filename", "directory", "dir",
     "folder", "repo_path", "source", "destination", "root", "cwd")
)  # fmt: skip
BASE: Final = "repo_path"  # where a tool has it, its other paths start there
SELECTORS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_PATHS, "path"),
    **dict.fromkeys(("url", "uri", "href", "link"), "url"),
    **dict.fromkeys(("host", "hostname", "domain"), "host"),
    **dict.fromkeys(("ref", "branch", "branch_name", "tag", "revision"), "ref"),
    **dict.fromkeys(("to", "recipient", "recipients", "cc", "bcc"), "recipient"),
    **dict.fromkeys(("email",), "email"),
    **dict.fromkeys(("amount", "price"), "amount"),
}
FREE: Final = frozenset(
    ("content", "contents", "text", "body", "message", "title", "description", "query", "pattern",
     "limit", "max_results", "max_count", "context_lines", "encoding", "offset", "head", "tail",
     "max_length", "start_index", "raw", "edits", "dryRun", "sortBy", "excludePatterns", "a", "b",
     "timezone", "source_timezone", "target_timezone", "time")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Draft:
    """A policy file, and the tools that it leaves out."""

    text: str
    denied: tuple[str, ...]


def draft(
    tools: Iterable[Tool],
    *,
    workspace: str,
    outside: bool,
    readable: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    opaque: bool = False,
    about: str = "",
) -> Draft:
    """`outside` runs the server outside of a cell, because it needs a network; `opaque` binds what
    nobody can tell as a shell instead of leaving it out."""
    given = {"PATH": "/usr/local/bin:/usr/bin:/bin", **(env or {})}
    lines = [
        f"# {about or 'Drafted from the list of tools that the server gives'}.",
        "# Read it: this is what each tool is taken for. docs/spec/policy.md has the keys.",
        "version = 1",
        'gate = "ask"',
        "",
        "[workspace]",
        f"root = {toml_text(workspace)}",
        "",
        "[server]",
        f"cwd = {toml_text(workspace)}",
        "env = { " + ", ".join(f"{toml_key(k)} = {toml_text(v)}" for k, v in given.items()) + " }",
    ]
    if outside:
        lines += [
            "# It is fetched, or reaches a network: its calls are judged, its deeds are not.",
            "danger_outside_cell = true",
        ]
    if readable:
        lines.append("readable = [" + ", ".join(map(toml_text, readable)) + "]")
    denied: list[str] = []
    for tool in tools:
        kind = knowing.tool(tool.name, tool.annotations)
        if kind is knowing.OPAQUE and not opaque:
            denied.append(tool.name)
            lines += ["", f"# {comment(tool.name)}: nobody knows what it is, so it is denied."]
        else:
            lines += ["", *_bound(tool, kind)]
    return Draft("\n".join(lines) + "\n", tuple(denied))


def _bound(tool: Tool, kind: knowing.Kind) -> list[str]:
    (operation,) = kind.operations
    lines = [
        f"[tools.{toml_key(tool.name)}]",
        f"operation = {toml_text(names.OPERATIONS[operation])}",
    ]
    if kind.adds:
        lines.append("adds = [" + ", ".join(map(toml_text, names.exposure_names(kind.adds))) + "]")
    needed = items(tool.schema.get("required")) or []
    selectors: list[str] = []
    payload: list[str] = []
    for name in table(tool.schema.get("properties")) or {}:
        pointer = "/" + name.replace("~", "~0").replace("/", "~1")
        kind_of = SELECTORS.get(name) or SELECTORS.get(name.lower())
        if kind_of is not None:
            optional = "" if name in needed else ", optional = true"
            if kind_of == "path" and name != BASE and BASE in needed:
                optional += f', base = "/{BASE}"'
            selectors.append(f"{toml_text(pointer)} = {{ kind = {toml_text(kind_of)}{optional} }}")
        elif name in FREE:
            payload.append(toml_text(pointer))
    if selectors:
        lines += [f"selectors.{each}" for each in selectors]
    if payload:
        lines.append("payload = [" + ", ".join(payload) + "]")
    return lines


def toml_text(text: str) -> str:
    """A TOML string: JSON's spelling is one, with two more characters escaped."""
    return json.dumps(text, ensure_ascii=True).replace("\x7f", "\\u007f")


def toml_key(name: str) -> str:
    plain = name.replace("_", "").replace("-", "")
    return name if plain.isascii() and plain.isalnum() else toml_text(name)


def comment(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:80]

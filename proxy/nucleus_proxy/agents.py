"""Law: what may be started as a sub-agent is said whole by the operator, and by nobody else.

The `[agents.NAME]` tables of the policy file (docs/spec/policy.md). Whoever starts one chooses a
name, a task and less power; the command, its folder and its environment stand here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from nucleus_proxy.egress.reading import keys, tables
from nucleus_proxy.fields import bad
from nucleus_tokens import names, writing
from nucleus_tokens.errors import NucleusError
from nucleus_tokens.exposure import PRIVATE_DATA, UNTRUSTED_CONTENT
from nucleus_tokens.limits import DEPTH

MOST_AGENTS: Final = 64  # names, and sub-agents of one name at once
MOST_SECONDS: Final = 24 * 3600
_TABLE: Final = (
    "argv", "env", "workspace", "mode", "readable", "shows", "caveats", "depth", "live", "seconds",
)  # fmt: skip
Mode = Literal["none", "ro", "rw"]


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One kind of sub-agent. Its environment is exactly `env`; `workspace` is a folder below the
    workspace, of which its cell shows nothing, or all that its token admits."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    workspace: str = "."
    mode: Mode = "none"
    readable: tuple[str, ...] = ()  # where it is installed
    shows: int = PRIVATE_DATA | UNTRUSTED_CONTENT  # exposure bits of what `readable` holds
    caveats: tuple[list[Any], ...] = ()  # what is always taken from its starter's power
    depth: int = 0  # how often it may hand on what it got
    live: int = 1
    seconds: int = 3600


def parse(value: Any, base: Path) -> dict[str, AgentSpec]:
    """All tables; a relative path of `readable` starts at `base`. Raises CallerError
    `policy.unknown_key` or `policy.value`."""
    found = tables("agents", value)
    if len(found) > MOST_AGENTS:
        bad("agents", f"there are more than {MOST_AGENTS}")
    return {name: _agent(name, table, base) for name, table in found.items()}


def _agent(name: str, value: Any, base: Path) -> AgentSpec:
    where = f"agents.{name}"
    if not 0 < len(name) <= 64 or not all(c.isascii() and (c.isalnum() or c in "-_") for c in name):
        bad(where, "a name is letters, digits, '-' and '_'")
    table = keys(where, value, _TABLE)
    argv = _texts(f"{where}.argv", table.get("argv", []))
    if not argv:
        bad(where, "it needs an 'argv'")
    made = AgentSpec(argv)
    mode: Mode = "none"
    match table.get("mode", "none"):
        case "none" | "ro" | "rw" as mode:
            pass
        case _:
            bad(f"{where}.mode", "it is 'none', 'ro' or 'rw'")
    shows = made.shows
    if "shows" in table:
        shows = names.exposure_bits(_texts(f"{where}.shows", table["shows"]))
    readable = _texts(f"{where}.readable", table.get("readable", []))
    return AgentSpec(
        argv=argv,
        env=environment(f"{where}.env", table.get("env", {})),
        workspace=_below(f"{where}.workspace", table.get("workspace", ".")),
        mode=mode,
        readable=tuple(str(base / each) for each in readable),
        shows=shows if readable else 0,
        caveats=_caveats(f"{where}.caveats", table.get("caveats", [])),
        depth=_count(where, table, "depth", made.depth, 0, DEPTH - 1),
        live=_count(where, table, "live", made.live, 1, MOST_AGENTS),
        seconds=_count(where, table, "seconds", made.seconds, 1, MOST_SECONDS),
    )


def environment(where: str, value: Any) -> dict[str, str]:
    """The whole environment of a process, by name."""
    if type(value) is not dict:
        bad(where, "a table is needed")
    for key, text in value.items():
        if not key or "=" in key or "\0" in key or type(text) is not str or "\0" in text:
            bad(where, f"{key!r} cannot stand in an environment")
    return dict(value)


def _below(where: str, value: Any) -> str:
    """A folder of the workspace, by its place in it."""
    (text,) = _texts(where, [value])
    parts = text.split("/")
    if text != "." and any(part in ("", ".", "..") for part in parts):
        bad(where, "a folder below the workspace is needed, such as 'docs/api'")
    return text


def _caveats(where: str, value: Any) -> tuple[list[Any], ...]:
    if type(value) is not list:
        bad(where, "a list of caveats is needed")
    for each in value:
        try:
            writing.caveat(each)
        except NucleusError as error:
            bad(where, error.message.removesuffix("."))
        if each[0] in ("delegate", "req"):
            bad(where, f"{each[0]} is not appended like this")
    return tuple(value)


def _texts(where: str, value: Any) -> tuple[str, ...]:
    if type(value) is not list:
        bad(where, "a list of texts is needed")
    for item in value:
        if type(item) is not str or not 0 < len(item) <= 4096 or not item.isprintable():
            bad(where, "a text is needed")
    return tuple(value)


def _count(
    where: str, table: Mapping[str, Any], key: str, default: int, low: int, high: int
) -> int:
    value = table.get(key, default)
    if type(value) is not int or not low <= value <= high:
        bad(f"{where}.{key}", f"a whole number from {low} to {high} is needed")
    return value

"""Law: a shipped binding says of each tool of one public server what it is, or why it is left out;
a server's further tools are denied like any that nobody described.

One TOML file for each server, in `bindings`: the `tools` of a policy file, and beside them what the
file is about. `[server] binding = "NAME"` in a policy file takes them over; a tool that the policy
file binds itself is what it says there.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from nucleus_proxy import fields, toolrules
from nucleus_proxy.toolrules import ToolBinding

_FOLDER: Final = "bindings"
_SUFFIX: Final = ".toml"


@dataclass(frozen=True, slots=True)
class Shipped:
    """The binding of one server."""

    name: str
    about: str
    packages: tuple[str, ...]  # by which it is known, in npm, PyPI and container registries
    tools: Mapping[str, ToolBinding]
    unbound: Mapping[str, str]  # tool -> why it is denied


def known() -> tuple[str, ...]:
    """The names of all bindings."""
    files = resources.files(__package__ or "nucleus_proxy").joinpath(_FOLDER).iterdir()
    return tuple(sorted(f.name[: -len(_SUFFIX)] for f in files if f.name.endswith(_SUFFIX)))


@cache
def binding(name: str) -> Shipped:
    """The binding of this name. Raises CallerError `policy.value` where there is none."""
    if name not in known():
        fields.bad("server.binding", f"{name!r} is not one of {', '.join(known())}")
    place = resources.files(__package__ or "nucleus_proxy") / _FOLDER / f"{name}{_SUFFIX}"
    table = tomllib.loads(place.read_text(encoding="utf-8"))
    where = f"binding {name}"
    fields.keys(where, table, "version", "about", "packages", "tools", "unbound")
    return Shipped(
        name,
        fields.text(f"{where}.about", table["about"]),
        fields.texts(f"{where}.packages", table["packages"]),
        {tool: toolrules.tool(tool, each) for tool, each in table["tools"].items()},
        {tool: fields.text(where, why) for tool, why in table.get("unbound", {}).items()},
    )


def of_package(package: str) -> Shipped | None:
    """The binding of the server in this package, if there is one."""
    return next((b for b in map(binding, known()) if package in b.packages), None)

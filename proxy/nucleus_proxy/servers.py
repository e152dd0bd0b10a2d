"""Law: how a server is started or reached is the operator's word, and its secrets have only names.

The `[server]` and `[servers.NAME]` tables of the policy file (docs/spec/policy.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from nucleus_proxy import agents, merging
from nucleus_proxy.egress import url
from nucleus_proxy.egress.reading import flag, keys, over_tls, tables, text
from nucleus_proxy.egress.routes import injected_in
from nucleus_proxy.egress.rules import Egress
from nucleus_proxy.egress.secrets import Credential
from nucleus_proxy.fields import bad
from nucleus_tokens.errors import CredentialError

_PROCESS: Final = ("command", "cwd", "env", "danger_outside_cell", "readable", "writes_git")
_REMOTE: Final = ("url", "secret", "header")
_TABLE: Final = (*_PROCESS, *_REMOTE, "name", "pins", "binding")
_PINS: Final[tuple[Literal["first", "accept"], ...]] = ("first", "accept")


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """The process behind the relay. Its environment is exactly `env`. It runs in a cell, where it
    sees what the token admits, of the workspace if there is one, and `readable`. Or, with a `url`,
    a server behind streamable HTTP, which is asked with these headers and credentials alone."""

    command: tuple[str, ...] = ()
    cwd: str = "/"
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    danger_outside_cell: bool = False
    writes_git: bool = False
    readable: tuple[str, ...] = ()
    name: str = ""  # what its pins are kept under; empty: by its program
    pins: Literal["first", "accept"] = "first"
    binding: str = ""  # the shipped one that says what its tools are
    url: str = ""
    # A header, what stands before the secret in it, and the secret's name in the policy file.
    injects: tuple[str, str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: tuple[Credential, ...] = field(default=(), repr=False)


def parse(where: str, value: Any, base: Path, egress: Egress, *, name: str = "") -> ServerSpec:
    """One table; relative paths start at `base`. Raises CallerError `policy.*`."""
    table = keys(where, value, _TABLE)
    at = text(f"{where}.url", table["url"]) if "url" in table else ""
    for key in _PROCESS if at else ("secret", "header"):
        if key in table:
            bad(f"{where}.{key}", "it says nothing " + ("with" if at else "without") + " a 'url'")
    pins = next((each for each in _PINS if each == table.get("pins", "first")), None)
    if pins is None:
        bad(f"{where}.pins", "it is 'first' or 'accept'")
    return ServerSpec(
        command=_texts(f"{where}.command", table.get("command", [])),
        cwd=str(base / _long(f"{where}.cwd", table.get("cwd", "."))),
        env=agents.environment(f"{where}.env", table.get("env", {})),
        danger_outside_cell=flag(
            f"{where}.danger_outside_cell", table.get("danger_outside_cell", False)
        ),
        writes_git=flag(f"{where}.writes_git", table.get("writes_git", False)),
        readable=_texts(f"{where}.readable", table.get("readable", [])),
        name=_long(f"{where}.name", table["name"]) if "name" in table else name,
        pins=pins,
        binding=_long(f"{where}.binding", table["binding"]) if "binding" in table else "",
        url=at,
        injects=_injects(where, at, table, egress) if at else None,
    )


def parse_all(value: Any, base: Path, egress: Egress) -> dict[str, ServerSpec]:
    """The tables of many servers. Raises CallerError `policy.*`, `server.names`."""
    found = tables("servers", value)
    if found:
        merging.check_names(list(found))
    return {
        name: parse(f"servers.{name}", table, base, egress, name=name)
        for name, table in found.items()
    }


def _injects(
    where: str, at: str, table: Mapping[str, Any], egress: Egress
) -> tuple[str, str, str] | None:
    try:
        target = url.parse(at)
    except CredentialError as error:
        bad(f"{where}.url", error.message.removesuffix("."))
    if "secret" not in table:
        if "header" in table:
            bad(f"{where}.header", "it says nothing without a 'secret'")
        return None
    secret = text(f"{where}.secret", table["secret"])
    if secret not in egress.secrets:
        bad(f"{where}.secret", "it names one of egress.secrets")
    over_tls(f"{where}.url", target, egress.private)
    header, prefix = injected_in(where, table.get("header", "authorization: Bearer {}"))
    return header, prefix, secret


def _long(where: str, value: Any) -> str:
    if type(value) is not str or not value or "\0" in value or len(value) > 4096:
        bad(where, "a text is needed")
    return value


def _texts(where: str, value: Any) -> tuple[str, ...]:
    if type(value) is not list:
        bad(where, "a list of texts is needed")
    return tuple(_long(where, item) for item in value)

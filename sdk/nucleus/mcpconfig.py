"""Law: a client's own list of servers is read as it is; what in it is secret has a name there.

The `mcpServers` of a client's configuration, for `nucleus mcp serve --config` and `nucleus mcp run
--config`. How each may run is the policy file's affair: its `[servers.NAME]`, or else its
`[server]`. In a value `${secret:NAME}` is a kept secret, `${NAME}` a variable of ours.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from nucleus import shapes
from nucleus.audit import credentials
from nucleus_issuer import files
from nucleus_proxy import merging
from nucleus_proxy.egress import compose, url
from nucleus_proxy.egress.reading import over_tls
from nucleus_proxy.egress.secrets import Credential, Secret
from nucleus_tokens.errors import CallerError

if TYPE_CHECKING:
    from nucleus_proxy.policy import PolicyFile
    from nucleus_proxy.servers import ServerSpec

MOST_BYTES: Final = 1024 * 1024
_TABLES: Final = ("mcpServers", "servers")
_KNOWN: Final = frozenset(("command", "args", "env", "cwd", "url", "headers", "type", "disabled"))
# Of the client's own affairs: they change nothing here.
_ITS_OWN: Final = frozenset(
    ("alwaysAllow", "autoApprove", "description", "timeout", "transport", "trust", "name", "tools")
)
_PLACE: Final = re.compile(r"\$\{(?:(secret|env):)?([^}]*)\}")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_RESERVED: Final = frozenset(
    ("host", "content-length", "content-type", "transfer-encoding", "connection", "te", "accept",
     "accept-encoding", "mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name",
     "last-event-id")
)  # fmt: skip
Lookup = Callable[[str], bytes]
Note = Callable[[str], None]


def load(path: Path) -> dict[str, Any]:
    """The servers of a configuration file. Raises WorldError, CallerError `config.*`."""
    raw = files.read(path, secret=False, most=MOST_BYTES)
    try:
        value = shapes.table(json.loads(raw, object_pairs_hook=_once)) or {}
    except (ValueError, RecursionError) as error:
        raise CallerError("config.json", f"{path} is not JSON: {error}.") from error
    found = [shapes.table(value[name]) for name in _TABLES if name in value]
    if len(found) != 1 or found[0] is None:
        raise CallerError("config.servers", f"{path} has no table 'mcpServers'.")
    return found[0]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object names a key twice")
    return made


def many(
    rules: PolicyFile, found: Mapping[str, Any], secret: Lookup, base: Path, note: Note
) -> PolicyFile:
    """The policy with these servers. `secret` finds a kept one by name, relative folders start at
    `base`, and `note` hears what is in clear. Raises CallerError `config.*`, `server.*`,
    `secret.*`."""
    servers = {}
    for name, value in found.items():
        table = shapes.table(value)
        if table is None:
            _bad(name, "it is no table")
        if table.get("disabled") is True:
            continue
        unknown = sorted(table.keys() - _KNOWN - _ITS_OWN)
        if unknown:
            _bad(name, f"unknown key {unknown[0]!r}")
        spec = rules.servers.get(name) or replace(rules.server, command=(), env={}, url="")
        reader = _Reader(name, secret, note)
        servers[name] = (
            _remote(spec, name, table, reader, rules)
            if "url" in table
            else _process(spec, name, table, reader, base)
        )
    merging.check_names(list(servers))
    return replace(rules, servers=servers)


def with_secrets(rules: PolicyFile) -> PolicyFile:
    """The policy with the credentials of its servers behind HTTP, each read once. Raises as
    `compose.secrets`."""
    wanted = {spec.injects[2] for spec in (rules.server, *rules.servers.values()) if spec.injects}
    values = compose.secrets(rules.egress, only=wanted)

    def given(spec: ServerSpec) -> ServerSpec:
        if spec.injects is None:
            return spec
        header, prefix, name = spec.injects
        return replace(spec, credentials=(Credential(header, prefix, values[name]),))

    servers = {name: given(spec) for name, spec in rules.servers.items()}
    return replace(rules, server=given(rules.server), servers=servers)


def _process(
    spec: ServerSpec, name: str, table: Mapping[str, Any], reader: _Reader, base: Path
) -> ServerSpec:
    command = [reader.plain("command", table.get("command", ""))]
    command += [reader.plain("args", each) for each in _items(name, "args", table.get("args", []))]
    if not command[0]:
        if not spec.command:
            _bad(name, "it has neither a 'command' nor a 'url'")
        command = list(spec.command)
    else:
        found = shutil.which(command[0], path=os.environ.get("PATH"))
        if found is None:
            raise CallerError("server.not_found", f"There is no command {command[0]!r}.")
        command[0] = os.path.abspath(found)
    env = shapes.table(table.get("env", {}))
    if env is None:
        _bad(name, "its 'env' is no table")
    given = {key: reader.text("env", key, value) for key, value in env.items()}
    cwd = spec.cwd
    if "cwd" in table:
        cwd = str(base / reader.plain("cwd", table["cwd"]))
    return replace(spec, name=name, command=tuple(command), env={**spec.env, **given}, cwd=cwd)


def _remote(
    spec: ServerSpec, name: str, table: Mapping[str, Any], reader: _Reader, rules: PolicyFile
) -> ServerSpec:
    at = reader.plain("url", table["url"])
    target = url.parse(at)
    headers = shapes.table(table.get("headers", {}))
    if headers is None:
        _bad(name, "its 'headers' are no table")
    plain, credentials_ = {}, []
    for key, value in headers.items():
        if not _HEADER.fullmatch(key) or key.lower() in _RESERVED:
            _bad(name, f"the header {key!r} cannot be given")
        found = reader.header(key.lower(), value)
        if isinstance(found, Credential):
            over_tls(f"the servers' configuration, {name}", target, rules.egress.private)
            credentials_.append(found)
        else:
            plain[key.lower()] = found
    return replace(
        spec, name=name, url=at, command=(), headers=plain, credentials=tuple(credentials_)
    )


class _Reader:
    """The values of one server's table."""

    def __init__(self, server: str, secret: Lookup, note: Note) -> None:
        self._server = server
        self._secret = secret
        self._note = note

    def plain(self, key: str, value: object) -> str:
        """A text, with variables of ours; a secret does not stand in one that everybody sees."""
        text = shapes.text(value)
        if text is None or "\0" in text or len(text) > 65536:
            _bad(self._server, f"its {key!r} is no text")
        if "${secret:" in text:
            _bad(self._server, f"its {key!r} would show a secret; give it in 'env' or 'headers'")
        return self._filled(text)

    def text(self, where: str, key: str, value: object) -> str:
        """A value that only the server sees."""
        text = shapes.text(value)
        if text is None or "\0" in text or "=" in key or not key:
            _bad(self._server, f"{key!r} of its {where!r} is no text")
        if not _PLACE.search(text) and credentials.is_one(key, text):
            self._note(
                f"nucleus: {self._server}: {key} stands in clear in the configuration; "
                "`nucleus audit --fix` keeps it sealed."
            )
        return self._filled(text)

    def header(self, key: str, value: object) -> str | Credential:
        """A header; one that ends with a secret is a credential, and scrubbed from what comes
        back."""
        text = shapes.text(value)
        if text is None or not text.isprintable() or not text.isascii():
            _bad(self._server, f"the header {key!r} is no short ASCII text")
        places = list(_PLACE.finditer(text))
        if any(each[1] == "secret" for each in places):
            if len(places) != 1 or places[0].end() != len(text):
                _bad(self._server, f"the secret in the header {key!r} is its one end")
            name = places[0][2]
            return Credential(key, text[: places[0].start()], Secret(name, self._secret(name)))
        return self.text("headers", key, value)

    def _filled(self, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            kind, name = match[1], match[2]
            if kind == "secret":
                return self._secret(name).decode("utf-8", "surrogateescape")
            name, mark, otherwise = name.partition(":-")
            if name in os.environ:
                return os.environ[name]
            if mark:
                return otherwise
            _bad(self._server, f"there is no variable {name!r}")

        return _PLACE.sub(value, text)


def _items(name: str, key: str, value: object) -> list[Any]:
    found = shapes.items(value)
    if found is None:
        _bad(name, f"its {key!r} is no list")
    return found


def _bad(name: str, why: str) -> NoReturn:
    raise CallerError("config.server", f"The servers' configuration, {name}: {why}.")

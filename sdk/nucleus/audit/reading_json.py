"""Law: MCP servers and settings out of JSON and TOML, for every client in its own words.

A shape that is not what the client documents gives nothing: it is not guessed at.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from nucleus.audit import jsonc
from nucleus.audit.facts import Doubled, Fact, Place, Server, Text, Unread
from nucleus.shapes import items, table, text

# Where a client keeps its servers. The first that is there counts; several may be.
_SERVERS: Final = (
    ("mcpServers",), ("servers",), ("mcp", "servers"), ("mcp.servers",), ("context_servers",),
    ("mcp_servers",), ("customizations", "vscode", "mcp", "servers"),
    ("customizations", "vscode", "settings", "mcp", "servers"), ("amp.mcpServers",),
)  # fmt: skip
_MOST_SERVERS: Final = 1000
Where = Mapping[str, Any]


class Source:
    """One file: its value, and where things stand in it."""

    def __init__(self, path: str, value: Any, document: jsonc.Document | None, raw: str) -> None:
        self.path = path
        self.value = value
        self._document = document
        self._raw = raw

    def place(self, *keys: jsonc.Key, what: str | None = None) -> Place:
        """Where the value at these keys stands; found by its keys when lines move."""
        if self._document is not None:
            line = self._document.line(*keys)
        else:
            line = _toml_line(self._raw, keys)
        return Place(self.path, line, "/".join(map(str, keys)) if what is None else what)

    def get(self, *keys: jsonc.Key) -> Any:
        value = self.value
        for key in keys:
            value = (table(value) or {}).get(str(key))
        return value

    def texts(self, *keys: jsonc.Key) -> tuple[Text, ...]:
        """The texts of a list, each called by what it says."""
        base = "/".join(map(str, keys))
        return tuple(
            Text(each, self.place(*keys, n, what=f"{base}/{each}"))
            for n, each in enumerate(items(self.get(*keys)) or ())
            if type(each) is str
        )


def json(path: str, raw: str) -> tuple[Source | None, list[Fact]]:
    """A JSON file and what is wrong with it."""
    try:
        document = jsonc.parse(raw)
    except ValueError as error:
        return None, [Unread(Place(path), str(error))]
    source = Source(path, document.value, document, document.text)
    return source, [Doubled(Place(path, 1, name)) for name in document.doubled]


def toml(path: str, raw: str) -> tuple[Source | None, list[Fact]]:
    """A TOML file and what is wrong with it."""
    try:
        value = tomllib.loads(raw)
    except (ValueError, RecursionError) as error:
        return None, [Unread(Place(path), f"it is not TOML: {str(error)[:80]}")]
    return Source(path, value, None, raw), []


def _toml_line(raw: str, keys: tuple[jsonc.Key, ...]) -> int:
    names = [str(key) for key in keys if type(key) is str]
    best, inside = 1, False
    for number, line in enumerate(raw.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("["):
            head = [word.strip("\"' ") for word in bare.strip("[]").split(".")]
            inside = bool(head) and names[: len(head)] == head
            if inside:
                best = number
                rest = names[len(head) :]
                if not rest:
                    return number
        elif names and bare.partition("=")[0].strip(" \"'") == names[-1] and (inside or best == 1):
            if inside or len(names) == 1:
                return number
    return best


def servers(source: Source, client: str, *, under: tuple[str, ...] = ()) -> Iterator[Server]:
    """All servers of a file. `under` is where a client nests them."""
    for road in _SERVERS:
        keys = (*under, *road)
        found = table(source.get(*keys))
        for name, value in list((found or {}).items())[:_MOST_SERVERS]:
            each = table(value)
            if each is not None:
                server = _server(source, client, (*keys, name), each)
                if server is not None:
                    yield server


def _server(source: Source, client: str, keys: tuple[str, ...], value: Where) -> Server | None:
    command, args = text(value.get("command")) or "", items(value.get("args")) or []
    nested = table(value.get("command"))  # zed: {"path": …, "args": […]}
    if nested is not None:
        command, args = text(nested.get("path")) or "", items(nested.get("args")) or []
    if type(value.get("command")) is list:  # opencode: one list of words
        words = [each for each in items(value["command"]) or [] if type(each) is str]
        command, args = (words[0], list(words[1:])) if words else ("", [])
    if command and " " in command and not args and not command.startswith("/"):
        command, *args = command.split()
    url = ""
    for key in ("url", "serverUrl", "httpUrl", "uri", "endpoint"):
        url = url or text(value.get(key)) or ""
    if not command and not url:
        return None
    env = _strings(value.get("env")) | _strings(value.get("environment"))
    headers = _strings(value.get("headers")) | _strings(value.get("http_headers"))
    places = {"url": source.place(*keys), "command": source.place(*keys)}
    for group, names in (("env", env), ("environment", env), ("headers", headers)):
        for name in names:
            if name in (table(value.get(group)) or {}):
                places[f"{group[:3]}:{name}"] = source.place(*keys, group, name)
    approved = [
        each
        for key in ("autoApprove", "alwaysAllow", "autoAllow")
        for each in items(value.get(key)) or ()
        if type(each) is str
    ]
    signs_in = any(
        key in value
        for key in ("oauth", "auth", "authorization", "headersHelper", "bearer_token_env_var",
                    "authProviderType", "env_http_headers")
    )  # fmt: skip
    return Server(
        client=client,
        name=keys[-1],
        place=source.place(*keys),
        command=command,
        args=tuple(each for each in args if type(each) is str),
        env=env,
        url=url,
        headers=headers,
        signs_in=signs_in,
        disabled=value.get("disabled") is True or value.get("enabled") is False,
        trusted=value.get("trust") is True or value.get("autoApprove") is True,
        approved=tuple(approved),
        cwd=text(value.get("cwd")) or "",
        places=places,
    )


def _strings(value: Any) -> dict[str, str]:
    return {k: str(v) for k, v in (table(value) or {}).items() if type(v) in (str, int)}

"""Law: among many servers every name says whose it is, and only its owner gets it without that.

Pure. A tool or prompt of the server `git` is `git__NAME`, a resource `git+URI`: a URI again, of a
scheme that no server owns. What differs between the two eras of the protocol is added or taken away
here too, where a client speaks one and a server the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from nucleus_proxy import methods
from nucleus_proxy.alike import looks
from nucleus_proxy.wire import Frame
from nucleus_tokens.errors import CallerError

MARK: Final = "__"
MOST_MEMBERS: Final = 32
NEW_ERA: Final = "2026-07-28"
OLD_ERA: Final = "2025-11-25"
_SERVER: Final = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9-]){0,31}")
_INFO: Final = "io.modelcontextprotocol/"
# List methods -> the member of their result, and what in an item carries a name.
LISTS: Final[Mapping[str, tuple[str, str]]] = {
    "tools/list": ("tools", "name"),
    "prompts/list": ("prompts", "name"),
    "resources/list": ("resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "uriTemplate"),
}
# Requests that go to the one server that they name.
NAMED: Final[Mapping[str, str]] = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "resources/subscribe": "uri",
    "resources/unsubscribe": "uri",
}


def check_names(names: Sequence[str]) -> None:
    """Raises CallerError `server.names` for a name that cannot stand before others, for two that
    look alike, and for too many."""
    if not 0 < len(names) <= MOST_MEMBERS:
        _bad(f"from 1 to {MOST_MEMBERS} servers are served at once")
    seen: dict[str, str] = {}
    for name in names:
        if not _SERVER.fullmatch(name):
            _bad(f"{name!r} is not letters, digits, '-' and single '_', from a letter, at most 32")
        other = seen.setdefault(looks(name), name)
        if other != name:
            _bad(f"{name!r} can be taken for {other!r}")


def _bad(why: str) -> None:
    raise CallerError("server.names", f"These servers cannot be told apart: {why}.")


def scheme(server: str) -> str:
    """What stands before the URIs of a server: a scheme has no case and no underscore."""
    return server.lower().replace("_", "-")


def prefixed(server: str, key: str, value: Any) -> Any:
    """A name or URI as the client sees it; what is no text stays."""
    if type(value) is not str:
        return value
    return f"{server}{MARK}{value}" if key == "name" else f"{scheme(server)}+{value}"


def owner(servers: Iterable[str], key: str, value: Any) -> tuple[str, str] | None:
    """Whose a name or URI is, and what that server calls it; None for nobody's."""
    if type(value) is not str:
        return None
    mark = MARK if key == "name" else "+"
    first, found, rest = value.partition(mark)
    if not found or not rest:
        return None
    for server in servers:
        if first == (server if key == "name" else scheme(server)):
            return server, rest
    return None


def named(frame: Frame, servers: Iterable[str]) -> tuple[str, dict[str, Any]] | None:
    """The server that a request names, and the parameters as that server knows them."""
    params = frame.params
    if frame.method == "completion/complete":
        ref = params.get("ref")
        if type(ref) is not dict:
            return None
        key = "uri" if "uri" in ref else "name"
        found = owner(servers, key, ref.get(key))
        return None if found is None else (found[0], {**params, "ref": {**ref, key: found[1]}})
    key = NAMED[frame.method]
    found = owner(servers, key, params.get(key))
    return None if found is None else (found[0], {**params, key: found[1]})


# Results ------------------------------------------------------------------------------------------


def listed(server: str, method: str, result: Mapping[str, Any]) -> list[Any]:
    """The items of one server's page, under the client's names."""
    member, key = LISTS[method]
    items = result.get(member)
    return [
        {**item, key: prefixed(server, key, item.get(key))}
        for item in (items if type(items) is list else ())
        if type(item) is dict and type(item.get(key)) is str
    ]


def told(server: str, result: dict[str, Any]) -> dict[str, Any]:
    """A result with the URIs in it as the client knows them."""
    made = dict(result)
    if type(made.get("contents")) is list:
        made["contents"] = [_at(server, each) for each in made["contents"]]
    if type(made.get("content")) is list:
        made["content"] = [_block(server, each) for each in made["content"]]
    if type(made.get("messages")) is list:
        made["messages"] = [
            {**each, "content": _block(server, each.get("content"))}
            if type(each) is dict and "content" in each
            else each
            for each in made["messages"]
        ]
    return made


def _block(server: str, block: Any) -> Any:
    if type(block) is list:
        return [_block(server, each) for each in block]
    if type(block) is not dict:
        return block
    if block.get("type") == "resource":
        return {**block, "resource": _at(server, block.get("resource"))}
    return _at(server, block) if block.get("type") == "resource_link" else block


def _at(server: str, value: Any) -> Any:
    if type(value) is not dict or "uri" not in value:
        return value
    return {**value, "uri": prefixed(server, "uri", value["uri"])}


# Eras ---------------------------------------------------------------------------------------------


def in_era(
    params: dict[str, Any], *, new: bool, info: Any, able: Mapping[str, Any]
) -> dict[str, Any]:
    """Parameters as a server of this era expects them. A client that spoke the other one is offered
    as one that answers the questions `able`, which can be asked in both."""
    meta = params.get("_meta")
    kept = dict(meta) if type(meta) is dict else {}
    spoken = methods.PROTOCOL_VERSION in kept
    if spoken is new:
        return params
    rest = {key: value for key, value in kept.items() if not key.startswith(_INFO)}
    if new:
        rest |= {methods.PROTOCOL_VERSION: NEW_ERA, methods.CLIENT_CAPABILITIES: dict(able)}
        if info is not None:
            rest[f"{_INFO}clientInfo"] = info
    without = {key: value for key, value in params.items() if key != "_meta"}
    return {**without, "_meta": rest} if rest else without


def result_in_era(method: str, result: dict[str, Any], *, new: bool) -> dict[str, Any]:
    """A result as a client of this era expects it."""
    if not new:
        return {k: v for k, v in result.items() if k not in ("resultType", "ttlMs", "cacheScope")}
    made = {**result, "resultType": "complete"}  # whatever an old server says by that
    if method in LISTS or method in ("resources/read", "server/discover"):
        made = {"cacheScope": "private", "ttlMs": 0, **made}
    return made


# Greetings ----------------------------------------------------------------------------------------


def capabilities(claimed: Iterable[Any], *, new: bool) -> dict[str, Any]:
    """What the servers can do together. Each list may change: a server may end."""
    made: dict[str, Any] = {}
    for each in claimed:
        for key, value in each.items() if type(each) is dict else ():
            known = made.setdefault(key, {})
            if type(value) is dict:
                known |= value
    for key in {"tools", "prompts", "resources"} & made.keys():
        made[key]["listChanged"] = True
    if new:
        made["subscriptions"] = made.get("subscriptions", {})
    return made

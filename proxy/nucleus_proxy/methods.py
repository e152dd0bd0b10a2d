"""Law: a method nobody listed does not pass, in either direction.

The tables are the MCP methods of both eras: 2025-11-25 and before (`initialize`, requests from the
server) and 2026-07-28 (stateless, `server/discover`, `input_required` results). A method of the
second kind of table carries content that no caveat of a token speaks about yet; it passes only
where the policy file opens it by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from types import MappingProxyType
from typing import Any, Final

CREDENTIAL: Final = "nucleus/credential"
REFERENCES: Final = "nucleus/refs"
HELLO: Final = "nucleus/hello"
WAIT: Final = "nucleus/wait"
# What `_meta` of an answer of ours holds.
REFUSAL: Final = "nucleus/refusal"
FAILURE: Final = "nucleus/failure"
EXPOSURE: Final = "nucleus/exposure"
DECISION: Final = "nucleus/decision"
LABEL: Final = "nucleus/label"
LABELS: Final = "nucleus/labels"
REFERENCE: Final = "nucleus/ref"
PROTOCOL_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
CLIENT_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"

TOOLS_CALL: Final = "tools/call"
TOOLS_LIST: Final = "tools/list"

# What opens a conversation: a server is started for whoever asks it, so it is judged as a list is.
OPENING: Final = frozenset(("initialize", "server/discover"))
# Reads by a name: judged as calls of a tool that is called so.
READS: Final = frozenset(("resources/read", "prompts/get"))
# In a result that asks something: the server is still at work on the call. It passes no relay.
GOES_ON: Final = "nucleus/goes_on"

# Requests of a client that always pass. The two of tools are mediated.
CLIENT_REQUESTS: Final = frozenset(
    ("initialize", "ping", "server/discover", TOOLS_LIST, TOOLS_CALL)
)
# Requests of a client that pass when policy opens them -> the server capability they belong to.
CLIENT_OPENABLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "completion/complete": "completions",
        "logging/setLevel": "logging",
        "prompts/get": "prompts",
        "prompts/list": "prompts",
        "resources/list": "resources",
        "resources/read": "resources",
        "resources/subscribe": "resources",
        "resources/templates/list": "resources",
        "resources/unsubscribe": "resources",
        "subscriptions/listen": "subscriptions",
    }
)
# Requests that carry a credential.
SIGNED: Final = OPENING | {TOOLS_LIST, TOOLS_CALL} | frozenset(CLIENT_OPENABLE)

CLIENT_NOTIFICATIONS: Final = frozenset(
    ("notifications/cancelled", "notifications/initialized", "notifications/progress")
)
CLIENT_NOTIFICATIONS_WITH: Final[Mapping[str, str]] = MappingProxyType(
    {"notifications/roots/list_changed": "roots/list"}
)

SERVER_REQUESTS: Final = frozenset(("ping",))
# Requests of a server, old era, or input requests of the new -> the client capability.
SERVER_OPENABLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "elicitation/create": "elicitation",
        "roots/list": "roots",
        "sampling/createMessage": "sampling",
    }
)
# Notifications of a server that carry no content of its own.
SERVER_NOTIFICATIONS: Final = frozenset(
    (
        "notifications/cancelled",
        "notifications/progress",
        "notifications/tools/list_changed",
    )
)
# The rest passes with the method that it belongs to.
SERVER_NOTIFICATIONS_WITH: Final[Mapping[str, str]] = MappingProxyType(
    {
        "notifications/elicitation/complete": "elicitation/create",
        "notifications/message": "logging/setLevel",
        "notifications/prompts/list_changed": "prompts/list",
        "notifications/resources/list_changed": "resources/list",
        "notifications/resources/updated": "resources/subscribe",
        "notifications/subscriptions/acknowledged": "subscriptions/listen",
    }
)

# What a binding of a resource or a prompt opens.
RESOURCE_METHODS: Final = frozenset(
    ("resources/list", "resources/read", "resources/templates/list")
)
PROMPT_METHODS: Final = frozenset(("prompts/get", "prompts/list"))
OPENABLE: Final = frozenset(CLIENT_OPENABLE) | frozenset(SERVER_OPENABLE)

# What may stand in `params` of tools/call; anything else could change what the call does without
# being judged (a `task` would give its result later, outside the permit).
CALL_PARAMS: Final = frozenset(("name", "arguments", "_meta"))
CALL_PARAMS_OF_INPUT: Final = frozenset(("inputResponses", "requestState"))
# In the middle of these a server may ask its client something.
ASKING: Final = READS | {TOOLS_CALL}
# What of `_meta` reaches a server on tools/call: the protocol's own keys and trace context.
CALL_META: Final = frozenset(
    (
        PROTOCOL_VERSION,
        CLIENT_CAPABILITIES,
        "io.modelcontextprotocol/clientInfo",
        "io.modelcontextprotocol/logLevel",
        "progressToken",
        "traceparent",
        "tracestate",
    )
)


def client_request(method: str, opened: Set[str]) -> bool:
    """Whether a client's request may pass at all."""
    return method in CLIENT_REQUESTS or (method in CLIENT_OPENABLE and method in opened)


def judged_as(frame_method: str, params: Mapping[str, Any]) -> tuple[Any, Any]:
    """The tool and the arguments that a request is judged by, and a credential is bound to."""
    if frame_method == TOOLS_CALL:
        return params.get("name"), params.get("arguments", {})
    if frame_method == "resources/read":
        return frame_method, {"uri": params.get("uri")}
    if frame_method == "prompts/get":
        return frame_method, {"name": params.get("name"), "arguments": params.get("arguments", {})}
    return TOOLS_LIST, {key: value for key, value in params.items() if key != "_meta"}


def server_request(method: str, opened: Set[str]) -> bool:
    """Whether a server's request may pass."""
    return method in SERVER_REQUESTS or (method in SERVER_OPENABLE and method in opened)


def client_notification(method: str, opened: Set[str]) -> bool:
    """Whether a client's notification may pass."""
    return method in CLIENT_NOTIFICATIONS or CLIENT_NOTIFICATIONS_WITH.get(method) in opened


def server_notification(method: str, opened: Set[str]) -> bool:
    """Whether a server's notification may pass."""
    return method in SERVER_NOTIFICATIONS or SERVER_NOTIFICATIONS_WITH.get(method) in opened


def of_new_era(params: Mapping[str, Any]) -> bool:
    """Whether a request says, as every one of the new era does, which revision it speaks."""
    meta = params.get("_meta")
    return type(meta) is dict and PROTOCOL_VERSION in meta


def server_capabilities(claimed: Any, opened: Set[str]) -> dict[str, Any]:
    """What a client may believe the server can do: tools, and what policy opened."""
    kept = {CLIENT_OPENABLE[m] for m in opened if m in CLIENT_OPENABLE} | {"tools"}
    return {k: v for k, v in claimed.items() if k in kept} if type(claimed) is dict else {}


def client_capabilities(claimed: Any, opened: Set[str]) -> dict[str, Any]:
    """What a server may believe the client can do: only what policy opened."""
    kept = {SERVER_OPENABLE[m] for m in opened if m in SERVER_OPENABLE}
    return {k: v for k, v in claimed.items() if k in kept} if type(claimed) is dict else {}

"""Law: the sidecar's file says who may speak to it and what requests are; what it does not name is
refused, and an unknown key refuses the whole file.

TOML; the schema is docs/gateways/README.md. What it says can only narrow: nothing here permits what
a token does not.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, cast

from nucleus_tokens import flow, label_names, names
from nucleus_tokens.caveats import BUDGET_UNITS
from nucleus_tokens.errors import CallerError
from nucleus_tokens.limits import INTEGER
from nucleus_verifier import resources
from nucleus_verifier.choosing import SELECTOR_KINDS, SelectorRule
from nucleus_verifier.facts import Policy
from nucleus_verifier.sidecar.mapping import Body, Route, Routes

MOST_BYTES: Final = 1024 * 1024
Convention = Literal["envoy-grpc", "envoy-http", "nginx", "forward-auth", "check"]
CONVENTIONS: Final = ("envoy-grpc", "envoy-http", "nginx", "forward-auth", "check")
_LOOPBACK: Final = re.compile(r"(?:127\.0\.0\.1|\[::1\]):([0-9]{1,5})", re.ASCII)
_SEGMENT: Final = re.compile(
    r"\{[a-z][a-z0-9_]*(?:\.\.\.)?\}|[A-Za-z0-9._~!$&'()*,=:@+-]+", re.ASCII
)
_HEADER: Final = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Listener:
    """One door: where it is, what convention holds there, and who may come."""

    name: str
    convention: Convention
    address: str  # unix:/path, a loopback address, or with `gateway` any host:port
    header: str = "authorization"  # where the credential is, after "Bearer " if it is this one
    peer: bool = False  # the gateway says who holds the connection, and is believed
    mode: int = 0o600  # of a unix socket
    uid: int | None = None  # whose processes may connect to a unix socket
    connections: int = 1024  # at most so many at once, where HTTP is spoken
    gateway: str = ""  # SPIFFE ID of the one client, over mutual TLS


@dataclass(frozen=True, slots=True)
class Settings:
    """One validated file."""

    instance: str
    health: str
    policy: Policy
    listeners: tuple[Listener, ...]
    routes: Routes


def load(path: Path, data: bytes) -> Settings:
    """Settings of TOML bytes; `path` is for the message. Raises CallerError `sidecar.*`."""
    try:
        if len(data) > MOST_BYTES:
            raise ValueError(f"it is longer than {MOST_BYTES} bytes")
        value = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CallerError("sidecar.syntax", f"{path} is not TOML: {error}.") from error
    try:
        return _settings(value)
    except ValueError as error:  # of the tables of names
        raise CallerError("sidecar.value", f"The sidecar's file: {error}.") from error


def _bad(where: str, why: str) -> NoReturn:
    raise CallerError("sidecar.value", f"The sidecar's file, {where}: {why}.")


def _table(where: str, value: Any, *allowed: str, needed: tuple[str, ...] = ()) -> dict[str, Any]:
    if type(value) is not dict:
        _bad(where, "a table is needed")
    for key in value:
        if allowed and key not in allowed:
            _bad(where, f"unknown key {key!r}; known are {', '.join(allowed)}")
    for key in needed:
        if key not in value:
            _bad(where, f"it needs {key!r}")
    return cast("dict[str, Any]", value)


def _text(where: str, value: Any) -> str:
    if type(value) is not str or not value or len(value) > 1024 or not value.isprintable():
        _bad(where, "a text is needed")
    return value


def _texts(where: str, value: Any) -> list[str]:
    if type(value) is not list:
        _bad(where, "a list of texts is needed")
    return [_text(where, each) for each in value]


def _flag(where: str, value: Any) -> bool:
    if type(value) is not bool:
        _bad(where, "true or false is needed")
    return value


def _count(where: str, value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        _bad(where, f"a whole number from {low} to {high} is needed")
    return value


def _settings(value: dict[str, Any]) -> Settings:
    known = (
        "version",
        "instance",
        "health",
        "gate",
        "obligations",
        "quorum",
        "listeners",
        "routes",
    )
    _table("top level", value, *known, needed=("instance", "listeners", "routes"))
    if value.get("version") != 1 or type(value["version"]) is not int:
        _bad("version", "it must say `version = 1`")
    gate = value.get("gate", "ask")
    if gate not in ("ask", "evidence"):
        _bad("gate", "it is 'ask' or 'evidence'")
    quorum = _table("quorum", value.get("quorum", {}), *names.OPERATIONS)
    if type(value["routes"]) is not list:
        _bad("routes", "a list of tables is needed")
    routes = tuple(_route(f"routes[{i}]", each) for i, each in enumerate(value["routes"]))
    tools = [route.tool for route in routes]
    shapes = [(r.host, r.method, *_shape(r.template)) for r in routes]
    if len(set(tools)) != len(tools) or len(set(shapes)) != len(shapes):
        _bad("routes", "two routes have one tool, or one host, method and path")
    listeners = _table("listeners", value["listeners"])
    return Settings(
        instance=_text("instance", value["instance"]),
        health=_address("health", value["health"]) if "health" in value else "",
        policy=Policy(
            gate=gate,
            obligations=names.obligation_bits(_texts("obligations", value.get("obligations", []))),
            quorum={names.operation(k): _count(f"quorum.{k}", n, 1, 16) for k, n in quorum.items()},
        ),
        listeners=tuple(_listener(name, each) for name, each in listeners.items()),
        routes=Routes(routes),
    )


def _shape(template: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(s[-4:] if s.startswith("{") else s.casefold() for s in template)


def _address(where: str, value: Any) -> str:
    text = _text(where, value)
    if not text.startswith("unix:/") and not _LOOPBACK.fullmatch(text):
        _bad(where, "it is unix:/path or 127.0.0.1:PORT; further out, a listener names its gateway")
    return text


def _listener(name: str, value: Any) -> Listener:
    where = f"listeners.{name}"
    table = _table(
        where, value, "convention", "address", "header", "peer", "mode", "uid", "gateway",
        "connections",
        needed=("convention", "address"),
    )  # fmt: skip
    convention = table["convention"]
    if convention not in CONVENTIONS:
        _bad(f"{where}.convention", f"it is one of {', '.join(CONVENTIONS)}")
    gateway = _text(f"{where}.gateway", table["gateway"]) if "gateway" in table else ""
    grpc = convention in ("envoy-grpc", "check")
    if gateway and not (grpc and gateway.startswith("spiffe://")):
        _bad(f"{where}.gateway", "a SPIFFE ID, and only where gRPC is spoken")
    address = table["address"] if gateway else _address(f"{where}.address", table["address"])
    local = address.startswith("unix:/")
    header = _text(f"{where}.header", table.get("header", "authorization"))
    if not _HEADER.fullmatch(header):
        _bad(f"{where}.header", "a name in lower case, without underscores")
    peer = _flag(f"{where}.peer", table.get("peer", False))
    if peer and (convention == "envoy-http" or not (local or gateway)):
        _bad(
            f"{where}.peer",
            "only a gateway on a unix socket or mutual TLS is believed",
        )
    if "uid" in table and (grpc or not local):
        _bad(f"{where}.uid", "only of a unix socket that speaks HTTP; else use the socket's mode")
    mode = _text(f"{where}.mode", table.get("mode", "0600"))
    if mode not in ("0600", "0660"):
        _bad(f"{where}.mode", "it is '0600' or '0660'")
    if "connections" in table and grpc:
        _bad(f"{where}.connections", "only where HTTP is spoken")
    return Listener(
        name=name,
        convention=convention,
        address=_text(f"{where}.address", address),
        header=header,
        peer=peer,
        mode=int(mode, 8),
        uid=_count(f"{where}.uid", table["uid"], 0, 2**32) if "uid" in table else None,
        connections=_count(f"{where}.connections", table.get("connections", 1024), 1, 65_536),
        gateway=gateway,
    )


def _route(where: str, value: Any) -> Route:
    table = _table(
        where, value, "tool", "host", "method", "path", "operation", "sink", "body", "selectors",
        "payload", "adds", "costs", "trusted_sink",
        needed=("tool", "host", "method", "path", "operation"),
    )  # fmt: skip
    host = _text(f"{where}.host", table["host"])
    if resources.host(host) != host:
        _bad(f"{where}.host", "one host in lower case, with its port if requests name it")
    method = _text(f"{where}.method", table["method"])
    if not re.fullmatch("[A-Z]{1,16}", method) or method == "CONNECT":
        _bad(f"{where}.method", "one method in upper case, and not CONNECT")
    body = table.get("body", "none")
    if body not in ("none", "json", "opaque"):
        _bad(f"{where}.body", "it is 'none', 'json' or 'opaque'")
    operation = names.operation(table["operation"])
    rules = _table(f"{where}.selectors", table.get("selectors", {}))
    selectors = tuple(_selector(f"{where}.selectors", *each) for each in rules.items())
    payload = [_pointer(f"{where}.payload", p) for p in _texts(where, table.get("payload", []))]
    declared = [*(rule.pointer for rule in selectors), *payload]
    for pointer in declared:
        if declared.count(pointer) > 1 or any(p.startswith(pointer + "/") for p in declared):
            _bad(where, f"{pointer!r} is named twice, or one name contains another")
    units = [unit for unit in BUDGET_UNITS if unit != "calls"]
    costs = _table(f"{where}.costs", table.get("costs", {}), *units)
    return Route(
        tool=_text(f"{where}.tool", table["tool"]),
        host=host,
        method=method,
        template=_template(f"{where}.path", table["path"]),
        operation=operation,
        sink=label_names.sink(table["sink"]) if "sink" in table else flow.default_sink(operation),
        body=cast("Body", body),
        selectors=selectors,
        payload=frozenset(payload),
        adds=names.exposure_bits(_texts(f"{where}.adds", table.get("adds", []))),
        costs=_costs(where, costs),
        trusted_sink=_flag(f"{where}.trusted_sink", table.get("trusted_sink", False)),
    )


def _costs(where: str, costs: Mapping[str, Any]) -> dict[str, int]:
    return {unit: _count(f"{where}.costs.{unit}", n, 0, INTEGER) for unit, n in costs.items()}


def _template(where: str, value: Any) -> tuple[str, ...]:
    text = _text(where, value)
    segments = tuple(text[1:].split("/"))
    if not text.startswith("/") or any(
        not _SEGMENT.fullmatch(s) or s in (".", "..")
        for s in (segments[:-1] if segments[-1] == "" else segments)
    ):
        _bad(where, "it is /segments, each plain text or {name}; the last may be {name...}")
    named = [s.strip("{}").removesuffix("...") for s in segments if s.startswith("{")]
    if len(set(named)) != len(named) or any(s.endswith("...}") for s in segments[:-1]):
        _bad(where, "a name stands once, and {name...} at the end")
    return segments


def _selector(where: str, pointer: str, value: Any) -> SelectorRule:
    where = f"{where}.{pointer}"
    table = {"kind": value} if type(value) is str else _table(where, value, "kind", "optional")
    if table.get("kind") not in SELECTOR_KINDS:
        _bad(where, f"a kind is one of {', '.join(SELECTOR_KINDS)}")
    optional = _flag(where, table.get("optional", False))
    return SelectorRule(_pointer(where, pointer), table["kind"], optional=optional)


def _pointer(where: str, text: str) -> str:
    top = text.split("/")[1:2]
    if not text.startswith("/") or top not in (["path"], ["query"], ["body"]):
        _bad(where, f"{text!r} is no pointer below /path, /query or /body")
    return text

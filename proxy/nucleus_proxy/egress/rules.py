"""Law: the operator's `egress` section opens roads outward; by default there is only the fetch.

The section of the policy file, read strictly into values (docs/spec/policy.md). Nothing in it
permits what a token does not: it opens routes, names secrets and fixes limits, and every request is
still decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nucleus_proxy.egress import routes as routing
from nucleus_proxy.egress import url
from nucleus_proxy.egress.addresses import not_public
from nucleus_proxy.egress.dial import Private
from nucleus_proxy.egress.fetching import Limits
from nucleus_proxy.egress.reading import count, keys, over_tls, tables, text, texts
from nucleus_proxy.egress.routes import Route, methods_of
from nucleus_proxy.fields import bad
from nucleus_tokens.errors import CredentialError

MOST_ROUTES: Final = 64
_TOP: Final = (
    "connect", "hosts", "ports", "types", "answer_bytes", "body_bytes", "seconds", "methods",
    "pins", "private", "secrets", "routes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a secret comes from: a file, or a descriptor."""

    file: Path | None = None
    fd: int | None = None


@dataclass(frozen=True, slots=True)
class Egress:
    """The whole section."""

    limits: Limits = field(default_factory=Limits)
    methods: Mapping[str, frozenset[str]] = field(default_factory=dict)
    hosts: frozenset[str] | None = None
    connect: frozenset[str] = frozenset()
    pins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    private: tuple[Private, ...] = ()
    secrets: Mapping[str, SecretSource] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)


def parse(value: Any, base: Path) -> Egress:
    """Read the section; a secret's file is relative to `base`. Raises CallerError
    `policy.unknown_key` or `policy.value`."""
    table = keys("egress", value, _TOP)
    limits = Limits()
    ports = frozenset(_ports(table["ports"])) if "ports" in table else limits.ports
    secrets = {
        name: _secret(f"egress.secrets.{name}", each, base)
        for name, each in tables("egress.secrets", table.get("secrets", {})).items()
    }
    routes = {
        name: routing.parse(name, each, secrets)
        for name, each in tables("egress.routes", table.get("routes", {})).items()
    }
    private = tuple(_private(table.get("private", {})))
    for route in routes.values():
        over_tls(f"egress.routes.{route.name}.url", route.base, private)
    if len(routes) > MOST_ROUTES:
        bad("egress.routes", f"there are more than {MOST_ROUTES}")
    return Egress(
        limits=Limits(
            answer_bytes=count(table, "answer_bytes", limits.answer_bytes, 64 * 1024 * 1024),
            body_bytes=count(table, "body_bytes", limits.body_bytes, 4 * 1024 * 1024),
            seconds=count(table, "seconds", int(limits.seconds), 600),
            types=tuple(texts("egress.types", table.get("types", list(limits.types)))),
            ports=ports,
        ),
        methods={
            _authority("egress.methods", host): methods_of(f"egress.methods.{host}", listed)
            for host, listed in tables("egress.methods", table.get("methods", {}), list).items()
        },
        hosts=frozenset(_names("egress.hosts", table["hosts"])) if "hosts" in table else None,
        connect=frozenset(_connects(table.get("connect", []))),
        pins={
            _name("egress.pins", host): tuple(_addresses(f"egress.pins.{host}", listed))
            for host, listed in tables("egress.pins", table.get("pins", {}), list).items()
        },
        private=private,
        secrets=secrets,
        routes=routes,
    )


def _ports(value: Any) -> list[int]:
    if type(value) is not list or not all(type(p) is int and 0 < p < 65536 for p in value):
        bad("egress.ports", "a list of ports is needed")
    return value


def _name(where: str, value: Any) -> str:
    try:
        host = url.host_and_port(f"{text(where, value)}:1")[0]
    except CredentialError:
        bad(where, f"{value!r} is not the name of a host in lower case")
    if host != value:
        bad(where, f"{value!r} is not the name of a host in lower case")
    return host


def _names(where: str, value: Any) -> list[str]:
    """Names, or `*.` and a name."""
    found = texts(where, value)
    for each in found:
        _name(where, each.removeprefix("*."))
    return found


def _authority(where: str, value: str) -> str:
    """A host, with a port where it is no default one."""
    name, colon, port = value.rpartition(":")
    _name(where, name if colon else value)
    if colon and not (port.isdigit() and 0 < int(port) < 65536):
        bad(where, f"{value!r} is not HOST or HOST:PORT")
    return value


def _connects(value: Any) -> list[str]:
    found = texts("egress.connect", value)
    for each in found:
        name, colon, port = each.rpartition(":")
        host = name.removeprefix("*.")
        if not colon or not port.isdigit() or not 0 < int(port) < 65536:
            bad("egress.connect", f"{each!r} is not HOST:PORT")
        if url.is_address(_name("egress.connect", host)):
            bad("egress.connect", f"{each!r} is an address: a tunnel needs a name")
    return found


def _addresses(where: str, value: Any) -> list[str]:
    found = texts(where, value)
    if not found or not all(url.is_address(each) for each in found):
        bad(where, "a list of IP addresses is needed")
    return found


def _private(value: Any) -> list[Private]:
    """ "HOST:PORT" = "ADDRESS", each an exception by name."""
    if type(value) is not dict:
        bad("egress.private", "a table is needed")
    found = []
    for key, address in value.items():
        name, _, port = key.rpartition(":")
        where = f"egress.private.{key}"
        if not port.isdigit() or not 0 < int(port) < 65536:
            bad(where, "HOST:PORT is needed")
        if not url.is_address(text(where, address)) or not not_public(address):
            bad(where, "a private IP address is needed")
        found.append(Private(_name(where, name), int(port), address))
    return found


def _secret(where: str, value: Any, base: Path) -> SecretSource:
    table = keys(where, value, ("file", "fd"))
    if len(table) != 1:
        bad(where, "it has a 'file' or an 'fd'")
    if "file" in table:
        return SecretSource(file=base / text(where, table["file"]))
    if type(table["fd"]) is not int or table["fd"] < 3:
        bad(where, "a descriptor is a number from 3")
    return SecretSource(fd=table["fd"])

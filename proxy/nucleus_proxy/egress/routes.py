"""Law: on a route the agent says a name, the operator said the host, the proxy adds the secret.

One reverse route as the policy file has it: a model's, or a trusted sink's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from nucleus_proxy.egress import url
from nucleus_proxy.egress.fetching import METHODS, READS
from nucleus_proxy.egress.reading import count, keys, tables, text, texts
from nucleus_proxy.fields import bad
from nucleus_tokens import flow, label_names, lattice, names
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.sinks import SECRET_READ

_ROUTE: Final = ("class", "url", "secret", "header", "operation", "sink")
_MODEL: Final = (*_ROUTE, "shape", "models", "max_output_tokens", "bytes_per_token")
_TRUSTED: Final = (*_ROUTE, "methods", "paths")
Shape = Literal["openai", "anthropic"]


@dataclass(frozen=True, slots=True)
class Price:
    """Of one model, in millionths of a dollar for a million tokens."""

    input: int
    output: int


@dataclass(frozen=True, slots=True)
class Route:
    """One reverse route: a name for the agent, a host and a credential for the proxy."""

    name: str
    kind: Literal["model", "trusted_sink"]
    base: url.Target
    secret: str
    header: str
    prefix: str  # what stands before the secret in its header
    operation: int
    sink: int
    # model
    shape: Shape = "openai"
    models: Mapping[str, Price] = field(default_factory=dict)
    max_output_tokens: int = 0
    bytes_per_token: int = 3
    # trusted_sink
    methods: frozenset[str] = READS
    paths: tuple[str, ...] = ("/",)

    @property
    def tool(self) -> str:
        """What a call of it is called, for `tool` caveats and in the trace."""
        return f"{self.kind}/{self.name}"


def methods_of(where: str, value: Any) -> frozenset[str]:
    """A list of methods."""
    found = frozenset(texts(where, value))
    if not found <= METHODS:
        bad(where, f"a method is one of {', '.join(sorted(METHODS))}")
    return found


def parse(name: str, value: Any, secrets: Mapping[str, object]) -> Route:
    """One table of `egress.routes`. Raises CallerError `policy.*`."""
    where = f"egress.routes.{name}"
    if not name or len(name) > 64 or not all(c.isalnum() or c in "-_." for c in name):
        bad(where, "a route's name is letters, digits, '-', '_' and '.'")
    kind = value.get("class")
    if kind not in ("model", "trusted_sink"):
        bad(where, "its 'class' is 'model' or 'trusted_sink'")
    table = keys(where, value, _MODEL if kind == "model" else _TRUSTED)
    try:
        base = url.parse(text(f"{where}.url", table.get("url")))
    except CredentialError as error:
        bad(f"{where}.url", error.message.removesuffix("."))
    if "?" in base.path:
        bad(f"{where}.url", "it has a query")
    secret = table.get("secret")
    if type(secret) is not str or secret not in secrets:
        bad(f"{where}.secret", "it names one of egress.secrets")
    shape = table.get("shape", "openai")
    if shape not in ("openai", "anthropic"):
        bad(f"{where}.shape", "it is 'openai' or 'anthropic'")
    default = "x-api-key: {}" if shape == "anthropic" else "authorization: Bearer {}"
    header, prefix = injected_in(where, table.get("header", default))
    operation = names.operation(table.get("operation", "web_fetch"))
    # What a declared model reads lands nowhere else; a trusted sink is asked what it writes.
    default_sink = SECRET_READ if kind == "model" else flow.default_sink(operation)
    made = Route(
        name=name, kind=kind, base=base, secret=secret, header=header, prefix=prefix,
        operation=operation,
        sink=label_names.sink(table["sink"]) if "sink" in table else default_sink,
        shape=shape,
    )  # fmt: skip
    return _as_model(made, where, table) if kind == "model" else _as_trusted(made, where, table)


def injected_in(where: str, value: Any) -> tuple[str, str]:
    """The header of a secret, as "NAME: PREFIX {}": its name, and what stands before the value.
    Raises CallerError `policy.value`."""
    name, colon, form = text(f"{where}.header", value).partition(": ")
    token = all(c.isalnum() or c == "-" for c in name)
    if not colon or not name or not token or form.count("{}") != 1 or not form.endswith("{}"):
        bad(f"{where}.header", "it reads 'NAME: {}' or 'NAME: PREFIX {}'")
    if name.lower() in ("host", "content-length", "transfer-encoding", "connection", "te"):
        bad(f"{where}.header", "this header is not the secret's")
    return name.lower(), form.removesuffix("{}")


def _as_model(made: Route, where: str, table: Mapping[str, Any]) -> Route:
    models = {}
    for name, price in tables(f"{where}.models", table.get("models", {})).items():
        at = f"{where}.models.{name}"
        costs = keys(at, price, ("input", "output"))
        for unit in ("input", "output"):
            if type(costs.get(unit)) is not int or not 0 <= costs[unit] <= 10**12:
                bad(at, f"its '{unit}' is micro-dollars for a million tokens")
        models[text(at, name)] = Price(costs["input"], costs["output"])
    if not models:
        bad(f"{where}.models", "a model route lists its models and what they cost")
    return replace(
        made,
        models=models,
        max_output_tokens=count(table, "max_output_tokens", 8192, 10**7),
        bytes_per_token=count(table, "bytes_per_token", 3, 64),
    )


def _as_trusted(made: Route, where: str, table: Mapping[str, Any]) -> Route:
    paths = texts(f"{where}.paths", table.get("paths", ["/"]))
    if not paths or not all(path.startswith("/") for path in paths):
        bad(f"{where}.paths", "a list of path prefixes is needed")
    methods = methods_of(f"{where}.methods", table.get("methods", sorted(READS)))
    if made.operation == lattice.RUN_BASH:
        bad(f"{where}.operation", "a route runs no command")
    return replace(made, paths=tuple(paths), methods=methods)

"""Law: a model request is a listed endpoint and a listed body of a listed model, and no more.

Reads a request of a model route into an `Order`: what is judged, what is sent, and what it can cost
at most. It is pure; `reverse` does the work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nucleus_proxy.binding import BoundCall
from nucleus_proxy.egress import shapes_anthropic, shapes_openai
from nucleus_proxy.egress.fields import Check, refuse
from nucleus_proxy.egress.routes import Price, Route
from nucleus_proxy.egress.tunnel import NOTHING_ELSE
from nucleus_proxy.egress.usage import Usage, visible
from nucleus_tokens import arguments
from nucleus_tokens.errors import CredentialError, NucleusError
from nucleus_verifier.facts import Selector

ENDPOINTS: Final[Mapping[str, Mapping[tuple[str, str], Check | None]]] = {
    "openai": {
        ("POST", "/v1/chat/completions"): shapes_openai.CHAT,
        ("POST", "/v1/responses"): shapes_openai.RESPONSES,
        ("POST", "/v1/embeddings"): shapes_openai.EMBEDDINGS,
        ("GET", "/v1/models"): None,
    },
    "anthropic": {
        ("POST", "/v1/messages"): shapes_anthropic.MESSAGES,
        ("POST", "/v1/messages/count_tokens"): shapes_anthropic.COUNT,
        ("GET", "/v1/models"): None,
    },
}
BODY_BYTES: Final = 4 * 1024 * 1024
MOST_CHOICES: Final = 16
# What a provider puts around a request: its own instructions, the frame of the tools.
OVERHEAD_TOKENS: Final = 4096
# No tokeniser makes fewer tokens of a text than one for so many bytes.
LONGEST_TOKEN: Final = 16


@dataclass(frozen=True, slots=True)
class Order:
    """One request of a model route."""

    route: Route
    method: str
    endpoint: str
    body: dict[str, Any] | None  # exactly what is judged
    price: Price
    stream: bool
    output_most: int  # tokens that may be made

    @property
    def args(self) -> dict[str, Any]:
        """The call's arguments, in the trace and for the holder's proof."""
        return {"endpoint": self.endpoint, "body": {} if self.body is None else self.body}

    @property
    def sent(self) -> bytes:
        """The body that is sent: what was judged, and that usage is to be told."""
        if self.body is None:
            return b""
        body = self.body
        if self.endpoint == "/v1/chat/completions" and self.stream:
            told = {**(body.get("stream_options") or {}), "include_usage": True}
            body = {**body, "stream_options": told}
        if self.endpoint == "/v1/responses":
            body = {**body, "store": False}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")

    @property
    def metered(self) -> bool:
        """Whether the endpoint makes tokens; a list or a count does not."""
        return self.body is not None and not self.endpoint.endswith("/count_tokens")

    def estimate(self, output_bytes: int) -> Usage:
        """What it used as far as we can see, where the provider did not say."""
        per = self.route.bytes_per_token
        return Usage(-(-len(self.sent) // per), min(-(-output_bytes // per), self.output_most))

    def bounded(self, said: Usage, output_bytes: int) -> Usage:
        """What the provider said it used, within what can be true of this request."""
        least_in = -(-visible(self.body) // LONGEST_TOKEN)
        most_in = len(self.sent) + OVERHEAD_TOKENS
        least_out = min(-(-output_bytes // LONGEST_TOKEN), self.output_most)
        return Usage(
            min(max(said.input, least_in), most_in),
            min(max(said.output, least_out), self.output_most),
        )

    @property
    def worst(self) -> Usage:
        """What it may use, to be promised before it runs."""
        if not self.metered:
            return Usage(0, 0)
        return Usage(self.estimate(0).input, self.output_most)

    def costs(self, used: Usage) -> dict[str, int]:
        """In the units of budgets, rounded up."""
        micro = used.input * self.price.input + used.output * self.price.output
        return {"tokens": used.input + used.output, "micro_usd": -(-micro // 1_000_000)}

    def bound(self) -> BoundCall:
        """The call of it. What a declared model answers is nothing new to the session: it records
        no exposure, and is no way out (docs/adr/0019)."""
        authority = self.route.base.authority
        return BoundCall(
            tool=self.route.tool,
            args=self.args,
            operation=self.route.operation,
            sink=self.route.sink,
            resources={**NOTHING_ELSE, "host": (authority,)},
            selectors=(Selector("/endpoint", "host", authority),),
            records=0,
            projects=0,
            costs={},
            obliged=False,
            classified=True,
        )


def read(route: Route, method: str, path: str, raw: bytes) -> Order:
    """Read a request. Raises CredentialError `model.endpoint`, `model.model` or `model.field`."""
    # One client adds this to a path of its own; it changes nothing that passes here.
    endpoint = path.removesuffix("?beta=true") if route.shape == "anthropic" else path
    known = ENDPOINTS[route.shape]
    if (method, endpoint) not in known:
        raise CredentialError(
            "model.endpoint",
            f"{method} {endpoint[:128]} is not an endpoint that passes here.",
            hint="Open are " + ", ".join(" ".join(each) for each in known) + ".",
        )
    check = known[(method, endpoint)]
    if check is None:
        if raw:
            refuse("", "there is none")
        return Order(route, method, endpoint, None, Price(0, 0), False, 0)
    body = _parsed(raw)
    check(body, "")
    price = route.models.get(body["model"])
    if price is None:
        raise CredentialError(
            "model.model",
            f"The model {body['model'][:64]!r} is not one of this route.",
            hint=f"It has {', '.join(sorted(route.models))}.",
        )
    return Order(
        route, method, endpoint, body, price, body.get("stream") is True, _output(route, body)
    )


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        body = arguments.parse(raw)
    except NucleusError as error:
        raise CredentialError(
            "model.field", "The request's body is not JSON of one reading."
        ) from error
    if type(body) is not dict:
        refuse("", "it is no object")
    return body


def _output(route: Route, body: dict[str, Any]) -> int:
    """The most tokens that may come back. A wish for more than the route's limit is refused."""
    most = route.max_output_tokens
    for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
        if name in body:
            if body[name] > route.max_output_tokens:
                refuse(name, f"this route makes {route.max_output_tokens} tokens at most")
            most = min(most, body[name])
    choices = body.get("n", 1)
    if not 1 <= choices <= MOST_CHOICES:
        refuse("n", f"it is 1 to {MOST_CHOICES}")
    return most * int(choices)

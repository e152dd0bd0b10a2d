"""Law: the operator's file says which call a request is; a request it does not name is refused.

A route fixes host, method and the shape of the path, so the tool's name stands for all three.
What varies are the arguments: {"path": …, "query": …, "body": …}, each only where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from nucleus_tokens import arguments, crypto, projection
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.patterns import is_path
from nucleus_verifier.choosing import SelectorRule, chosen, payload_label, undeclared
from nucleus_verifier.facts import Call, Selector
from nucleus_verifier.sidecar.asked import Asked, Target, Unreadable

Body = Literal["none", "json", "opaque"]
_JSON: Final = re.compile(r"application/json(?:; ?charset=utf-8)?", re.IGNORECASE)
# The name in a template that takes all segments that are left.
REST: Final = "..."


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the file."""

    tool: str
    host: str
    method: str
    template: tuple[str, ...]  # a literal segment, `{name}`, or at the end `{name...}`
    operation: int
    sink: int
    body: Body = "none"
    selectors: tuple[SelectorRule, ...] = ()
    payload: frozenset[str] = frozenset()
    adds: int = 0
    costs: Mapping[str, int] = field(default_factory=dict)
    trusted_sink: bool = False

    def captures(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """What stands at the names of the template, or None for another path. Raises Unreadable
        where only the case differs: some upstreams do not tell that apart."""
        rest = bool(self.template) and self.template[-1].endswith(REST + "}")
        fixed = self.template[:-1] if rest else self.template
        if len(segments) < len(fixed) + rest or (not rest and len(segments) != len(fixed)):
            return None
        found: dict[str, str] = {}
        near = False
        for wanted, given in zip(fixed, segments, strict=False):
            if wanted.startswith("{"):
                if not given:
                    return None
                found[wanted[1:-1]] = given
            elif wanted != given:
                if wanted.casefold() != given.casefold():
                    return None
                near = True
        if near:
            raise Unreadable("path.case")
        if rest:
            name = self.template[-1][1 : -len(REST) - 1]
            found[name] = "/" + "/".join(segments[len(fixed) :])
        return found


@dataclass(frozen=True, slots=True)
class Matched:
    """A request as a call; its payload's label depends on the session, so `at` finishes it."""

    route: Route
    args: dict[str, Any]
    selectors: tuple[Selector, ...]
    touched: Mapping[str, tuple[Any, ...] | None]

    def at(self, cells: int) -> Call:
        """The call while its session has seen `cells`."""
        route, more = self.route, self.touched.get("host", ())
        return Call(
            tool=route.tool,
            operation=route.operation,
            args=self.args,
            sink=route.sink,
            resources={**self.touched, "host": None if more is None else (route.host, *more)},
            selectors=self.selectors,
            records=projection.with_binding(
                projection.raises(route.operation, False, 0), route.adds
            ),
            projects=projection.with_binding(
                projection.projects(route.operation, route.trusted_sink, False, 0), route.adds
            ),
            label=payload_label(cells),
            costs=route.costs,
        )


class Routes:
    """The table, by host and method."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._rows: dict[tuple[str, str], list[Route]] = {}
        for route in routes:
            self._rows.setdefault((route.host, route.method), []).append(route)
        for rows in self._rows.values():
            # Literal before named, longer before rest: the most exact row is tried first.
            rows.sort(key=lambda r: [_vagueness(s) for s in r.template])

    def find(self, method: str, host: str, target: Target) -> tuple[Route, dict[str, str]]:
        """The most exact row, and what its names stand for. Raises Unreadable."""
        for route in self._rows.get((host, method), ()):
            found = route.captures(target.segments)
            if found is not None:
                return route, found
        raise Unreadable("route.unknown")


def _vagueness(segment: str) -> int:
    return segment.startswith("{") + segment.endswith(REST + "}")


def match(route: Route, captures: dict[str, str], target: Target, asked: Asked) -> Matched:
    """The arguments of a request. Raises Unreadable."""
    args: dict[str, Any] = {}
    if captures:
        args["path"] = captures
    if target.query:
        args["query"] = target.query
    if asked.body:
        args["body"] = _body(route, asked.body, asked.media)
    selectors, touched = chosen(route.selectors, args, _path, route.trusted_sink)
    declared = {rule.pointer for rule in route.selectors} | route.payload
    return Matched(route, args, (*selectors, *undeclared(declared, args)), touched)


def _path(_: SelectorRule, value: Any) -> str | None:
    # Whose file system it is we do not know: only what has nothing left to resolve is known.
    return value if is_path(value) else None


def _body(route: Route, body: bytes, media: str) -> Any:
    if route.body == "none":
        raise Unreadable("body.unexpected")
    if route.body == "opaque":
        return {"bytes": len(body), "sha256": crypto.sha256(body).hex()}
    if not _JSON.fullmatch(media):
        raise Unreadable("body.media")
    try:
        return arguments.parse(body)
    except CredentialError as error:
        raise Unreadable("body.json") from error

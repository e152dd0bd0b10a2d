"""Law: a session is one descriptor to a proxy process, which has the token and does the effects.

What sync and async sessions share: how a connection to the proxy comes about, how a request is
spelled, and what its answer means. Nothing secret is on this side.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from nucleus import active, asks, errors, places, shapes
from nucleus.asks import Ask, Declared
from nucleus.link import CONNECTION, Answer, Link
from nucleus_tokens.errors import CallerError, WorldError

T = TypeVar("T")

OPEN: Final = "nucleus/open"
WAIT: Final = "nucleus/wait"
REFERENCES: Final = "nucleus/refs"
GUARD: Final = "nucleus/guard"
GUARDED: Final = "nucleus/guarded"
_REFUSAL: Final = "nucleus/refusal"
_FAILURE: Final = "nucleus/failure"


@dataclass(frozen=True, slots=True)
class About:
    """What the proxy says of a session: public, all of it."""

    tid: str
    rid: str
    cell: str
    profile: str
    workspace: str
    expires: int


@dataclass(frozen=True, slots=True)
class Explained:
    """What would become of a call, and why. Steps are those of docs/spec/decide.md."""

    verdict: str
    step: int
    step_name: str
    code: str
    detail: str
    caveat: str
    added_by: str
    enough: str
    obligations: tuple[str, ...]


class Channel:
    """One connection to a proxy, and what it was opened for."""

    def __init__(self, link: Link, about: About) -> None:
        self.link = link
        self.about = about

    # Opening ------------------------------------------------------------------------------------

    @classmethod
    def open(
        cls, profile: str, workspace: Path, at: Path | None, environ: Mapping[str, str]
    ) -> Channel:
        """A new session at the proxy that listens at `at`, at NUCLEUS_SESSION, or where the home
        says; or the one whose descriptor NUCLEUS_SESSION_FD names. Raises WorldError or
        CallerError `session.*`."""
        given = environ.get(places.DESCRIPTOR_VARIABLE)
        if at is None and given is not None:
            link = Link(_inherited(given))
        else:
            named = environ.get(places.SOCKET_VARIABLE)
            listed = at or (Path(named) if named else places.find(None, environ).socket)
            link = Link(_connected(listed))
        return cls._asked(link, {"profile": profile, "workspace": str(workspace)})

    @classmethod
    def _asked(cls, link: Link, wanted: dict[str, Any]) -> Channel:
        try:
            return cls(link, _about(link.ask(OPEN, wanted)[1].result()))
        except BaseException:
            link.close()
            raise

    # Calling ------------------------------------------------------------------------------------

    def send(self, asked: Ask[Any]) -> tuple[int, Future[Answer]]:
        """Send one call, or raise `Asked` where it is only asked about. It waits for a person only
        inside an `approve` that covers it."""
        if active.asking():
            raise active.Asked(asked)
        allowed = active.waits()
        operation = "" if asked.declared is None else asked.declared.operation
        told = None
        if allowed is not None and allowed.covers(asked.tool, operation):
            told = allowed.told
        return self.link.ask(*_spelled(asked, told is not None), told)

    def narrowed(self, answer: Answer) -> About:
        """Take in what `attenuate` was answered."""
        expires = answer.get("expires")
        self.about = replace(
            self.about,
            rid=_text(answer, "rid"),
            expires=expires if type(expires) is int else self.about.expires,
        )
        return self.about

    def request(self, method: str, params: dict[str, Any]) -> tuple[int, Future[Answer]]:
        """Send one request about the session itself."""
        return self.link.ask(method, params)


def _spelled(asked: Ask[Any], waits: bool) -> tuple[str, dict[str, Any]]:
    meta: dict[str, Any] = {WAIT: waits}
    params = {"name": asked.tool, "arguments": asked.args, "_meta": meta}
    if asked.declared is None:
        if asked.refs:
            meta[REFERENCES] = dict(asked.refs)
        return "tools/call", params
    return GUARD, {**params, "declared": declared(asked.declared)}


def declared(said: Declared) -> dict[str, Any]:
    """What a guarded function says it does, as the proxy reads it."""
    return {
        "labels": list(said.labels),
        "operation": said.operation,
        "selectors": dict(said.selectors),
    }


def value(asked: Ask[T], answer: Answer) -> T:
    """What a call gave. Raises `Refused` for what did not run, EffectFailed for what failed."""
    meta = shapes.table(answer.get("_meta")) or {}
    refusal, failure = shapes.table(meta.get(_REFUSAL)), shapes.table(meta.get(_FAILURE))
    if refusal is not None:
        raise errors.refused(refusal, asked.tool)
    if failure is not None:
        raise errors.EffectFailed(
            shapes.text(failure.get("code")) or "effect.failed",
            shapes.text(failure.get("sentence")) or "The call failed.",
            hint=shapes.text(failure.get("hint")) or "",
            tool=asked.tool,
        )
    return asked.read(asks.answered(answer))


def asked_about(
    call: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any]
) -> Ask[Any]:
    """The request that a tool would send. Raises CallerError `explain.call`."""
    try:
        with active.only_asking():
            result = call(*args, **named)
            if hasattr(result, "send"):  # a coroutine: its first step sends
                result.send(None)
    except active.Asked as found:
        return found.asked
    raise CallerError(
        "explain.call",
        "This is no tool of a session.",
        hint="Ask like this: s.explain(net.fetch, url).",
    )


def explain(asked: Ask[Any]) -> dict[str, Any]:
    """A question about a call, as the proxy reads it."""
    made: dict[str, Any] = {"name": asked.tool, "arguments": asked.args}
    return made if asked.declared is None else {**made, "declared": declared(asked.declared)}


def explained(answer: Answer) -> Explained:
    """An answer to `explain`."""
    step = answer.get("step")
    rows = map(shapes.table, shapes.items(answer.get("obligations")) or ())
    return Explained(
        verdict=_text(answer, "verdict"),
        step=step if type(step) is int else 0,
        step_name=_text(answer, "step_name"),
        code=_text(answer, "code"),
        detail=_text(answer, "detail"),
        caveat=_text(answer, "caveat"),
        added_by=_text(answer, "added_by"),
        enough=_text(answer, "enough"),
        obligations=tuple(str(row.get("id")) for row in rows if row is not None),
    )


def handed(answer: Answer) -> Channel:
    """The session whose descriptor came with an answer."""
    number = answer.get(CONNECTION)
    if type(number) is not int:
        raise WorldError("session.ended", "The proxy gave no session.")
    return Channel(Link(socket.socket(fileno=number)), _about(answer))


def _about(answer: Answer) -> About:
    expires = answer.get("expires")
    return About(
        tid=_text(answer, "tid"),
        rid=_text(answer, "rid"),
        cell=_text(answer, "cell"),
        profile=_text(answer, "profile"),
        workspace=_text(answer, "workspace"),
        expires=expires if type(expires) is int else 0,
    )


def _text(answer: Answer, name: str) -> str:
    return shapes.text(answer.get(name)) or ""


def _inherited(given: str) -> socket.socket:
    try:
        number = int(given)
        os.set_inheritable(number, False)
        return socket.socket(fileno=number)
    except (ValueError, OSError) as error:
        raise CallerError(
            "session.descriptor", f"NUCLEUS_SESSION_FD={given} is no session."
        ) from error


def _connected(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    try:
        made.connect(str(path))
    except OSError as error:
        made.close()
        raise WorldError(
            "session.no_proxy",
            f"No proxy listens at {path}.",
            hint="In another terminal: nucleus session serve --profile NAME",
        ) from error
    return made

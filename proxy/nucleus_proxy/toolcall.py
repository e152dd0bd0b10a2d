"""Law: of a tools/call only what was judged reaches the server.

Reads the parameters strictly, takes the credential out, and drops from `_meta` what is neither the
protocol's nor a trace context: it would be a word from the agent to the server that nobody judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from nucleus_proxy import methods
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.held_values import MOST_REFERENCES
from nucleus_proxy.wire import Frame
from nucleus_tokens import arguments
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.limits import ARGUMENT_BYTES
from nucleus_verifier import resources

_NAME_CHARS: Final = 256
_URI_CHARS: Final = 4096
_PARAMS: Final[Mapping[str, frozenset[str]]] = {
    methods.TOOLS_CALL: methods.CALL_PARAMS,
    "resources/read": frozenset(("uri", "_meta")),
    "prompts/get": methods.CALL_PARAMS,
}
# Numbers may grow when they are spelled canonically (1e20), by less than this factor.
_GROWTH: Final = 8


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tools/call, or tools/list, without its credential. `frame` is what may be forwarded."""

    tool: str
    args: dict[str, Any]
    credential: str
    progress_token: str | int | None
    new_era: bool
    frame: Frame
    references: Mapping[str, str]  # argument's pointer -> the value it is said to be

    def with_references(self, build: Callable[[], BoundCall]) -> Callable[[], BoundCall]:
        """What builds the call, with these."""
        return lambda: replace(build(), references=self.references)


def credential_of(params: dict[str, Any]) -> str:
    """The credential in `_meta`; empty where there is none, which no verifier accepts."""
    meta = params.get("_meta")
    text = meta.get(methods.CREDENTIAL) if type(meta) is dict else None
    return text if type(text) is str else ""


def waits(params: dict[str, Any]) -> bool:
    """Whether the caller waits where a person must answer; it does unless it says otherwise."""
    meta = params.get("_meta")
    return not (type(meta) is dict and meta.get(methods.WAIT) is False)


def without_meta(params: dict[str, Any]) -> dict[str, Any]:
    """What a credential for tools/list is bound to."""
    return {key: value for key, value in params.items() if key != "_meta"}


def cleaned(frame: Frame, opened: frozenset[str]) -> Frame:
    """The frame with only those keys of `_meta` that may reach a server; the same if it has no
    others."""
    params = frame.params
    if "_meta" not in params:
        return frame
    meta = params["_meta"] if type(params["_meta"]) is dict else {}
    kept = {key: value for key, value in meta.items() if key in methods.CALL_META}
    if methods.CLIENT_CAPABILITIES in kept:
        kept[methods.CLIENT_CAPABILITIES] = methods.client_capabilities(
            kept[methods.CLIENT_CAPABILITIES], opened
        )
    if kept == params["_meta"]:
        return frame
    rest = without_meta(params)
    return frame.altered("params", {**rest, "_meta": kept} if kept else rest)


def read(frame: Frame, opened: frozenset[str]) -> ToolCall:
    """Read a tools/call. Raises CredentialError `call.params` or `call.too_large`."""
    params = frame.params
    allowed = _PARAMS[frame.method]
    if opened & frozenset(methods.SERVER_OPENABLE):
        allowed = allowed | methods.CALL_PARAMS_OF_INPUT
    unknown = sorted(params.keys() - allowed)
    if unknown:
        raise CredentialError("call.params", f"{frame.method} does not take {unknown[0]!r} here.")
    name, args = methods.judged_as(frame.method, params)
    if frame.method != methods.TOOLS_CALL:
        _check_read(args)
    if (
        type(name) is not str
        or not 0 < len(name) <= _NAME_CHARS
        or not name.isprintable()
        or not resources.spellable(name)
    ):
        raise CredentialError("call.params", "A tool's name is a short printable text.")
    if type(args) is not dict:
        raise CredentialError("call.params", "The arguments of a tool are an object.")
    # What is recorded must be readable again, in its canonical spelling too.
    large = len(frame.raw) > ARGUMENT_BYTES // _GROWTH
    if large and len(arguments.encode(args)) > ARGUMENT_BYTES:
        raise CredentialError(
            "call.too_large", f"The arguments of a call have at most {ARGUMENT_BYTES} bytes."
        )
    return ToolCall(
        name,
        args,
        credential_of(params),
        progress_token(params),
        methods.of_new_era(params),
        cleaned(frame, opened),
        _references(params),
    )


def _check_read(args: dict[str, Any]) -> None:
    """Raises CredentialError `call.params` for a read of what is no name."""
    name = args.get("uri", args.get("name"))
    if type(name) is not str or not 0 < len(name) <= _URI_CHARS or not resources.spellable(name):
        raise CredentialError("call.params", "What is read has a short text for its name.")
    given = args.get("arguments", {})
    if type(given) is not dict or not all(type(value) is str for value in given.values()):
        raise CredentialError("call.params", "The arguments of a prompt are texts.")


def _references(params: dict[str, Any]) -> dict[str, str]:
    """The references in `_meta`. Raises CredentialError `call.params` for another form."""
    meta = params.get("_meta")
    given = meta.get(methods.REFERENCES, {}) if type(meta) is dict else {}
    if (
        type(given) is not dict
        or len(given) > MOST_REFERENCES
        or not all(type(ref) is str for ref in given.values())
    ):
        raise CredentialError("call.params", "References are a table from pointer to reference.")
    return given


def progress_token(params: dict[str, Any]) -> str | int | None:
    """The token under which the client wants to hear of progress, if it does."""
    meta = params.get("_meta")
    token = meta.get("progressToken") if type(meta) is dict else None
    return token if type(token) in (str, int) else None

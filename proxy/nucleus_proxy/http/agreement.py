"""Law: what a header says of a message, its body says too, or nothing is looked at.

Gateways before us may have decided by the headers. What we decide by is the body.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from nucleus_proxy import methods
from nucleus_proxy.egress.httpd import Asked
from nucleus_proxy.wire import Frame
from nucleus_tokens.errors import CredentialError

VERSION: Final = "mcp-protocol-version"
METHOD: Final = "mcp-method"
NAME: Final = "mcp-name"
SESSION: Final = "mcp-session-id"
LAST_EVENT: Final = "last-event-id"
ONCE: Final = (
    VERSION,
    METHOD,
    NAME,
    SESSION,
    LAST_EVENT,
    "authorization",
    "content-type",
    "origin",
)
HEADER_MISMATCH: Final = -32020
NEW_ERA: Final = "2026-07-28"
# Whose parameter stands in Mcp-Name.
_NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_PACKED: Final = re.compile(r"=\?base64\?(.*)\?=")


def once(asked: Asked) -> None:
    """Raises CredentialError `http.request` where a header that counts stands there twice."""
    for name in ONCE:
        if sum(key == name for key, _ in asked.headers) > 1:
            raise CredentialError("http.request", f"The request has a second {name}.")


def agree(asked: Asked, frame: Frame) -> None:
    """Raises CredentialError `http.mismatch`.

    In the new era every message says its revision, method and name in its headers. Before, a header
    is not asked for; where there is one it holds.
    """
    params = frame.params
    new = is_new(frame)
    if new:
        if asked.one(VERSION) != params["_meta"][methods.PROTOCOL_VERSION]:
            raise differs(VERSION)
    elif frame.kind == "request" and asked.one(VERSION) == NEW_ERA:
        raise differs(VERSION)
    if (new or asked.has(METHOD)) and asked.one(METHOD) != frame.method:
        raise differs(METHOD)
    key = _NAMED.get(frame.method)
    if key is None:
        if asked.has(NAME):
            raise differs(NAME)
    elif (new or asked.has(NAME)) and unpacked(asked.one(NAME)) != params.get(key):
        raise differs(NAME)


def is_new(frame: Frame) -> bool:
    """Whether a message is of the new era."""
    return methods.of_new_era(frame.params)


def differs(name: str) -> CredentialError:
    """What is raised for this header."""
    return CredentialError("http.mismatch", f"The header {name} says something else than the body.")


def unpacked(value: str) -> str | None:
    """A header's value, unpacked where it is not ASCII; None for what is packed badly."""
    found = _PACKED.fullmatch(value)
    if found is None:
        return value
    try:
        return base64.b64decode(found[1], validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None


def said(frame: Frame) -> list[tuple[bytes, bytes]]:
    """What the headers of a message of ours say of its body; nothing in the old era, where the
    session says it."""
    params = frame.params
    if not methods.of_new_era(params):
        return []
    version = str(params["_meta"][methods.PROTOCOL_VERSION])
    made = [(VERSION.encode(), version.encode("latin-1", "replace"))]
    made.append((METHOD.encode(), packed(frame.method)))
    name = params.get(_NAMED.get(frame.method, ""))
    if type(name) is str:
        made.append((NAME.encode(), packed(name)))
    return made


def packed(text: str) -> bytes:
    """A value as a header spells it: packed where it is not plain ASCII, or would be unpacked."""
    plain = text.isascii() and text.isprintable() and text.strip() == text
    if plain and not _PACKED.fullmatch(text):
        return text.encode()
    return b"=?base64?" + base64.b64encode(text.encode("utf-8")) + b"?="

"""Law: one line is one JSON-RPC message or it is nothing; what was parsed is what is forwarded.

Newline-delimited JSON-RPC 2.0 as MCP speaks it over stdio, read strictly: UTF-8, no batches, no
duplicate keys, no unknown members, a bounded size and depth, and no carriage return inside a line
(a reader with universal newlines would find a second message behind it). A `Frame` keeps the bytes
it was parsed from; they are forwarded as they are unless policy takes something out, and then the
value is spelled once. The size is bounded where a line comes in from others and where an answer
goes out to its client, and nowhere in between: what grew on its way would be lost there.
"""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol

from nucleus_tokens import arguments
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.limits import JSON_DEPTH, STRING_CHARS

# Twice what one call's arguments may have, so that a base64 result of the same content fits.
FRAME_BYTES: Final = 8 * 1024 * 1024
# What the proxy may say in one line: two spellings of the most that a tool of its own gives back.
ANSWER_BYTES: Final = 64 * 1024 * 1024
UNBOUNDED: Final = 1 << 62  # of a stream that only we write to

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
# Of the range JSON-RPC leaves to implementations: the world failed, nothing was decided.
WORLD_FAILED: Final = -32000

Id = str | int
Key = tuple[type, Id]
Kind = Literal["request", "notification", "response"]

_MEMBERS: Final = frozenset(("jsonrpc", "id", "method", "params"))
_ANSWERS: Final = (frozenset(("jsonrpc", "id", "result")), frozenset(("jsonrpc", "id", "error")))


def key_of(value: Any) -> Key | None:
    """An id that a message speaks of, as a key; None for what is no id."""
    return (type(value), value) if type(value) in (str, int) else None


@dataclass(frozen=True, slots=True)
class Frame:
    """One message and the bytes it was parsed from (without the newline)."""

    raw: bytes
    value: dict[str, Any]
    kind: Kind
    id: Id | None
    method: str

    @property
    def params(self) -> dict[str, Any]:
        """The parameters; empty when there are none."""
        return self.value.get("params") or {}

    @property
    def key(self) -> Key:
        """The id as a key: 1 and "1" are two ids."""
        if self.id is None:
            raise ValueError("a notification has no id")
        return (type(self.id), self.id)

    def altered(self, member: str, content: Any) -> Frame:
        """The same message with one member replaced, spelled anew."""
        value = {**self.value, member: content}
        return replace(self, raw=spell(value), value=value)


class Reader(Protocol):
    """What is needed of asyncio.StreamReader."""

    async def readuntil(self, separator: bytes = ...) -> bytes: ...


class Writer(Protocol):
    """What is needed of asyncio.StreamWriter."""

    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...
    def close(self) -> None: ...


class BadFrame(CredentialError):
    """A line that is no message. `id` is set where the message could still be told apart."""

    def __init__(self, code: str, message: str, *, rpc: int, id: Id | None = None) -> None:  # noqa: A002  # the name on the wire
        super().__init__(code, message)
        self.rpc = rpc
        self.id = id


_encoder: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False)
# Line breaks to some readers, beside those that JSON escapes always.
_BREAKS: Final = (("\x85", "\\u0085"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))


def spell(value: Any) -> bytes:
    """One line of JSON without its newline: no reader sees a line break in it. In UTF-8, so that
    a text takes what it took before; half a character stays an escape."""
    text = _encoder.encode(value)
    if not text.isascii():
        for found, escape in _BREAKS:
            text = text.replace(found, escape)
    return text.encode("utf-8", "backslashreplace")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object names a key twice")
    return made


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large for a number")
    return number


_server_decoder = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_finite
)


def _depth(value: Any) -> bool:
    """Whether the nesting stays within the limit."""
    level = [value]
    for _ in range(JSON_DEPTH + 1):
        level = [
            item
            for node in level
            if type(node) in (dict, list)
            for item in (node.values() if type(node) is dict else node)
        ]
        if not level:
            return True
    return False


def _parse_server(data: bytes) -> Any:
    """As strict in structure, but free in its numbers: an answer is shown, not judged or digested.

    Servers do send 64-bit ids, and refusing an answer undoes nothing.
    """
    try:
        value = _server_decoder.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CredentialError("json.refused", f"The JSON was refused: {error}.") from error
    if not _depth(value):
        raise CredentialError("json.refused", "The JSON was refused: it is nested too deeply.")
    return value


def parse(line: bytes, *, from_server: bool = False, limit: int = FRAME_BYTES) -> Frame:
    """Read one line. Raises BadFrame `wire.too_large`, `.json`, `.batch` or `.message`. Where a
    stream has bounded its lines, or they are ours, `limit` is UNBOUNDED."""
    raw = line.removesuffix(b"\n").removesuffix(b"\r")
    if len(raw) > limit:
        raise BadFrame(
            "wire.too_large", f"A message has at most {limit} bytes.", rpc=INVALID_REQUEST
        )
    if b"\r" in raw:
        raise BadFrame(
            "wire.json", "A carriage return inside a message is refused.", rpc=PARSE_ERROR
        )
    try:
        value = _parse_server(raw) if from_server else arguments.parse(raw, limit)
    except CredentialError as error:
        raise BadFrame("wire.json", error.message, rpc=PARSE_ERROR) from error
    if type(value) is list:
        raise BadFrame("wire.batch", "Batches are refused.", rpc=INVALID_REQUEST)
    frame_id = value.get("id") if type(value) is dict else None
    known_id = frame_id if type(frame_id) in (str, int) else None
    try:
        return _frame(raw, value)
    except ValueError as error:
        message = f"Not a JSON-RPC 2.0 message: {error}."
        raise BadFrame("wire.message", message, rpc=INVALID_REQUEST, id=known_id) from error


def _need(condition: bool, why: str) -> None:
    if not condition:
        raise ValueError(why)


def _frame(raw: bytes, value: Any) -> Frame:
    _need(type(value) is dict, "it is not an object")
    _need(value.get("jsonrpc") == "2.0", "it does not say 2.0")
    found = value.get("id")
    if "method" in value:
        _need(value.keys() <= _MEMBERS, "it has an unknown member")
        method = value["method"]
        _need(type(method) is str and 0 < len(method) <= STRING_CHARS, "a method is a string")
        _need(type(value.get("params")) in (dict, type(None)), "params is not an object")
        if "id" not in value:
            return Frame(raw, value, "notification", None, method)
        _id(found)
        return Frame(raw, value, "request", found, method)
    _need(value.keys() in _ANSWERS, "it is neither a request nor an answer")
    _id(found)
    if "error" in value:
        error = value["error"]
        _need(type(error) is dict and type(error.get("code")) is int, "an error has a code")
    return Frame(raw, value, "response", found, "")


def _id(value: Any) -> None:
    # A bool is an int to Python; a float has several spellings; null names nobody.
    _need(type(value) in (str, int), "an id is a string or an integer")
    _need(type(value) is int or len(value) <= STRING_CHARS, "an id is too long")


async def read_line(reader: Reader, limit: int = FRAME_BYTES) -> bytes:
    """The next line with its newline; empty at the end of the stream.

    What stands after the last newline was never finished and is dropped. Raises BadFrame
    `wire.too_large`, after which the stream cannot be read further.
    """
    try:
        return await reader.readuntil(b"\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
    except asyncio.LimitOverrunError as error:
        raise BadFrame(
            "wire.too_large", f"A message has at most {limit} bytes.", rpc=INVALID_REQUEST
        ) from error


# Messages of our own -------------------------------------------------------------------------


def error(
    frame_id: Id | None, code: int, message: str, data: dict[str, Any] | None = None
) -> bytes:
    """An error answer."""
    content: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        content["data"] = data
    return spell({"jsonrpc": "2.0", "id": frame_id, "error": content})


def result(frame_id: Id, content: dict[str, Any]) -> bytes:
    """An answer."""
    return spell({"jsonrpc": "2.0", "id": frame_id, "result": content})


def request(frame_id: Id, method: str, params: dict[str, Any]) -> bytes:
    """A request of our own."""
    return spell({"jsonrpc": "2.0", "id": frame_id, "method": method, "params": params})


def notification(method: str, params: dict[str, Any]) -> bytes:
    """A notification of our own."""
    return spell({"jsonrpc": "2.0", "method": method, "params": params})

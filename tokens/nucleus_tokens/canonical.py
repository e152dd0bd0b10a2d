"""Law: one value has one spelling. What does not re-encode to the same bytes is refused.

Canonical JSON here is: UTF-8, no whitespace, object keys sorted by code point, integers only,
strings in NFC without lone surrogates. It spells headers, caveats, approvals and trace records.
Arguments of calls, which may hold floats, are spelled by `arguments.py` (RFC 8785).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from json.encoder import encode_basestring
from typing import Any

from nucleus_tokens.errors import CredentialError
from nucleus_tokens.limits import INTEGER


def _refuse_float(_: str) -> Any:
    raise ValueError("floats have no canonical spelling here")


def _bounded_int(digits: str) -> int:
    value = int(digits) if len(digits) < 18 else INTEGER + 1
    if not -INTEGER <= value <= INTEGER:
        raise ValueError("an integer is beyond 2**53 - 1")
    return value


_scan: Any = json.JSONDecoder(
    parse_float=_refuse_float, parse_constant=_refuse_float, parse_int=_bounded_int
).scan_once  # type: ignore[attr-defined]  # the C scanner, absent from the stubs


# CPython's own encoder, without the wrapper that builds it anew for every value.
_encode: Any = json.encoder.c_make_encoder(  # type: ignore[attr-defined]  # absent from the stubs
    None, None, encode_basestring, None, ":", ",", True, False, False
)


def _check(value: Any) -> None:
    """Refuse what has two spellings or none: floats, huge integers, non-NFC or broken strings."""
    kind = type(value)
    if kind is str:
        if not value.isascii() and not unicodedata.is_normalized("NFC", value):
            raise ValueError("a string is not in Unicode normal form C")
    elif kind is int:
        if not -INTEGER <= value <= INTEGER:
            raise ValueError("an integer is beyond 2**53 - 1")
    elif kind is list or kind is tuple:
        for item in value:
            if type(item) is not str or not item.isascii():
                _check(item)
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise ValueError("an object key is not a string")
            _check(key)
            _check(item)
    elif value is not None and kind is not bool:
        raise ValueError(f"{kind.__name__} has no canonical spelling")


def encode(value: Any) -> bytes:
    """The canonical bytes of a JSON value. Raises ValueError for what cannot be spelled."""
    try:
        _check(value)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return "".join(_encode(value, 0)).encode("utf-8")


def _varies(text: str) -> bool:
    """Whether JSON could say the same otherwise: only blanks, escapes, objects and -0 do so."""
    return " " in text or "\\" in text or "{" in text or "-0" in text or not text.isprintable()


def decode(data: bytes) -> Any:
    """The value of canonical bytes. Raises CredentialError `json.canonical` for anything else.

    Bounded by the caller's limit on `len(data)`: the scanner is linear, and its recursion is
    stopped by the interpreter, which is reported like any other refusal.
    """
    return decode_all((data,))[0]


def decode_all(parts: Iterable[bytes]) -> list[Any]:
    """`decode` of each, for less: their values are spelled again together.

    Each part is read to its end, and no spelling of a value is shorter than the canonical one. So
    two wrong spellings cannot make up for each other: equal together is equal one by one.
    """
    values: list[Any] = []
    end = -1
    try:
        texts = [part.decode() for part in parts]
        joined = ",".join(texts)
        for text in texts:
            value, at = _scan(joined, end + 1)
            end += 1 + len(text)
            if at != end:
                raise ValueError("more or less than one value")
            values.append(value)
        if _varies(joined) and "".join(_encode(values, 0)) != f"[{joined}]":
            raise ValueError("another spelling of the same value")
        # ASCII is in normal form C, and the scanner bounded the integers.
        if not joined.isascii():
            _check(values)
    except (ValueError, StopIteration, RecursionError) as error:
        raise CredentialError("json.canonical", "not canonical JSON") from error
    return values

"""Law: a value has one RFC 8785 spelling, and what is not I-JSON (RFC 7493) has none.

Integers lie within 2**53 - 1, floats are finite, strings hold no lone surrogates, nothing is nested
deeper than 64 levels. Digests of arguments and the lines of a trace are over these bytes.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

from nucleus_tokens import crypto
from nucleus_tokens.limits import INTEGER, JSON_DEPTH

# What is plain has its one spelling from here: it needs no other numbers, nor another order.
_plainly: Final = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, check_circular=False, separators=(",", ":")
).encode


def check(value: Any, depth: int = 0) -> bool:
    """Raise ValueError for a value outside I-JSON or nested deeper than 64 levels. Whether it is
    plain: no number in it is a float, and no key has a character beyond ASCII."""
    if depth > JSON_DEPTH:
        raise ValueError(f"it is nested deeper than {JSON_DEPTH} levels")
    kind = type(value)
    plain = True
    if kind is str:
        if not value.isascii():
            value.encode("utf-8")  # a lone surrogate is a UnicodeEncodeError, a ValueError
    elif kind is int:
        if not -INTEGER <= value <= INTEGER:
            raise ValueError("an integer is beyond 2**53 - 1")
    elif kind is float:
        # Below 1e21 a whole float is spelled like an integer, and must be one that is exact.
        if not math.isfinite(value) or (INTEGER < abs(value) < 1e21 and value == int(value)):
            raise ValueError("a number is not finite, or beyond 2**53 - 1 and whole")
        plain = False
    elif kind is list:
        for item in value:
            plain = check(item, depth + 1) and plain
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise ValueError("an object key is not a string")
            if not key.isascii():
                check(key)
                plain = False
            plain = check(item, depth + 1) and plain
    elif value is not None and kind is not bool:
        raise ValueError(f"{kind.__name__} is not JSON")
    return plain


def number(value: float) -> str:
    """ECMAScript's Number::toString, which RFC 8785 section 3.2.2.3 prescribes."""
    if value == 0:
        return "0"
    if value == int(value) and abs(value) < 2**53:
        return str(int(value))
    mantissa, _, exponent_text = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    if fraction == "0":
        fraction = ""
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent_text or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    sign = "-" if value < 0 else ""
    if 0 < point <= 21:
        return sign + (
            digits[:point] + "." + digits[point:]
            if len(digits) > point
            else digits.ljust(point, "0")
        )
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    exponent = point - 1
    mark = "e+" if exponent > 0 else "e-"
    return (
        sign + digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + mark + str(abs(exponent))
    )


def _spell(value: Any, out: list[str]) -> None:
    kind = type(value)
    if kind is float:
        out.append(number(value))
    elif kind is dict:
        comma = "{"
        for key in sorted(value, key=lambda key: key.encode("utf-16-be")):
            out.append(comma + _plainly(key) + ":")
            _spell(value[key], out)
            comma = ","
        out.append("}" if value else "{}")
    elif kind is list:
        comma = "["
        for item in value:
            out.append(comma)
            _spell(item, out)
            comma = ","
        out.append("]" if value else "[]")
    else:
        out.append(_plainly(value))


def spell(value: Any) -> bytes:
    """RFC 8785 bytes of a value. Raises ValueError as `check` does."""
    if check(value):
        return _plainly(value).encode("utf-8")
    out: list[str] = []
    _spell(value, out)
    return "".join(out).encode("utf-8")


def digest(args: Any) -> bytes:
    """SHA-256 over the domain `nucleus/args/v1` and the RFC 8785 bytes. Raises ValueError."""
    return crypto.sha256(b"nucleus/args/v1\0" + spell(args))

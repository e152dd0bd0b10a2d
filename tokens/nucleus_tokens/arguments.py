"""Law: what was parsed is what is judged, digested and forwarded; nothing is parsed twice.

One strict reading of JSON from outside: no duplicate keys, nothing that `jcs.check` refuses; and
its one spelling, for digests and records.
"""

from __future__ import annotations

import json
from typing import Any

from nucleus_tokens import crypto
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_tokens.jcs import check, spell
from nucleus_tokens.limits import ARGUMENT_BYTES


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object names a key twice")
    return made


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant)


def parse(data: bytes, limit: int = ARGUMENT_BYTES) -> Any:
    """Strictly parse one JSON text. Raises CredentialError `json.refused` with the reason."""
    try:
        if len(data) > limit:
            raise ValueError(f"it is longer than {limit} bytes")
        value = _decoder.decode(data.decode("utf-8"))
        check(value)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CredentialError("json.refused", f"The JSON was refused: {reason}.") from error
    return value


def encode(value: Any) -> bytes:
    """RFC 8785 bytes of a value. Raises CallerError `json.refused` for what is not I-JSON."""
    try:
        return spell(value)
    except (ValueError, RecursionError) as error:
        raise CallerError("json.refused", f"This is not I-JSON: {error}.") from error


def args_digest(args: Any) -> bytes:
    """`digest` of arguments from anywhere. Raises CallerError `json.refused`."""
    return crypto.sha256(b"nucleus/args/v1\0" + encode(args))

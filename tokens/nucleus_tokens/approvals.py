"""Law: an approval turns named obligations of one token prefix from Ask into Allow, nothing else.

It is a statement signed by an approver, shown to nobody but the verifier. It names the token, the
prefix, the cell, the obligations, and either one call's digest or a pattern with a count. It can
change no level, scope, budget, label, time or holder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from nucleus_tokens import canonical, caveats, crypto
from nucleus_tokens.caveats import Caveat
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.limits import APPROVAL_BYTES, APPROVAL_USES, INTEGER, LIST_ITEMS

DOMAIN: Final = b"nucleus/approval/v1\0"
_FIELDS: Final = [
    "approver", "cell", "count", "digest", "id", "not_after", "obligations", "pattern", "rid",
    "tid", "v",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class UnverifiedApproval:
    """A well-formed approval whose signature nobody has checked."""

    id: str
    approver: str  # key id in the verifier's bundle
    tid: str
    rid: str
    cell: str
    obligations: tuple[str, ...]
    digest: str | None  # of the one call, or
    pattern: tuple[Caveat, ...] | None  # what the calls must satisfy, `count` times in all
    count: int
    not_after: int
    signed: bytes
    signature: bytes


def _need(condition: bool) -> None:
    if not condition:
        raise ValueError


def parse(data: bytes) -> UnverifiedApproval:
    """Read `signature(64) || body`. Raises CredentialError `approval.malformed`."""
    try:
        _need(64 < len(data) <= APPROVAL_BYTES)
        value = canonical.decode(data[64:])
        _need(type(value) is dict and sorted(value) == _FIELDS and value["v"] == 1)
        for field, size in (("id", 32), ("tid", 32), ("rid", 32)):
            text = value[field]
            _need(type(text) is str and len(text) == size)
            _need(all(c in "0123456789abcdef" for c in text))
        _need(type(value["approver"]) is str and type(value["cell"]) is str)
        obligations = value["obligations"]
        _need(type(obligations) is list and 0 < len(obligations) <= LIST_ITEMS)
        _need(all(type(o) is str for o in obligations) and obligations == sorted(set(obligations)))
        digest, pattern = value["digest"], value["pattern"]
        # Exactly one of the two, and one call is approved exactly once.
        _need((digest is None) != (pattern is None))
        count = value["count"]
        _need(type(count) is int and 0 < count <= (1 if pattern is None else APPROVAL_USES))
        _need(type(value["not_after"]) is int and 0 <= value["not_after"] <= INTEGER)
        if digest is not None:
            _need(type(digest) is str and len(digest) == 64)
            bytes.fromhex(digest)
        else:
            _need(type(pattern) is list and 0 < len(pattern) <= LIST_ITEMS)
            _need(all(type(c) is list and c and c[0] in caveats.IN_APPROVAL for c in pattern))
        return UnverifiedApproval(
            id=value["id"],
            approver=value["approver"],
            tid=value["tid"],
            rid=value["rid"],
            cell=value["cell"],
            obligations=tuple(obligations),
            digest=digest,
            pattern=None if pattern is None else tuple(map(caveats.from_value, pattern)),
            count=count,
            not_after=value["not_after"],
            signed=data[64:],
            signature=data[:64],
        )
    except (ValueError, TypeError, KeyError, CredentialError) as error:
        raise CredentialError("approval.malformed", "The approval is not well formed.") from error


def write(body: dict[str, Any], approver_private: bytes) -> bytes:
    """Sign an approval given as JSON fields. Raises CredentialError `approval.malformed`."""
    try:
        spelled = canonical.encode(body)
    except ValueError as error:
        raise CredentialError("approval.malformed", f"It cannot be written: {error}.") from error
    data = crypto.sign(approver_private, DOMAIN + spelled) + spelled
    parse(data)
    return data


def signature_holds(approval: UnverifiedApproval, approver_key: bytes) -> bool:
    """Whether this approver signed exactly these bytes."""
    return crypto.verify(approver_key, DOMAIN + approval.signed, approval.signature)

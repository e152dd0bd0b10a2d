"""Law: an approval turns named obligations of one token prefix from Ask into Allow, nothing else.

It is a statement signed by an approver, shown to nobody but the verifier. It names the token, the
prefix, the cell, the obligations, and either one call's digest or a pattern with a count. It can
change no level, scope, budget, label, time or holder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nucleus_tokens import canonical, caveats, crypto
from nucleus_tokens.caveats import Caveat, Scope
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.fields import hexed, integer, members, name_set, need, text
from nucleus_tokens.limits import APPROVAL_BYTES, APPROVAL_USES, LIST_ITEMS
from nucleus_tokens.patterns import affordable

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


def parse(data: bytes) -> UnverifiedApproval:
    """Read `signature(64) || body`. Raises CredentialError `approval.malformed`."""
    try:
        need(len(data) <= APPROVAL_BYTES)
        value = members(canonical.decode(data[64:]), _FIELDS)
        integer(value["v"], 1, 1)
        for field in ("id", "tid", "rid"):
            hexed(value[field], 16)
        digest, pattern = value["digest"], value["pattern"]
        # Exactly one of the two, and one call is approved exactly once.
        need((digest is None) != (pattern is None))
        if digest is not None:
            hexed(digest, 32)
        else:
            need(type(pattern) is list and 0 < len(pattern) <= LIST_ITEMS)
            need(all(type(c) is list and c and c[0] in caveats.IN_APPROVAL for c in pattern))
            pattern = tuple(map(caveats.from_value, pattern))
            scopes = [c for c in pattern if type(c) is Scope]
            need(affordable([p for scope in scopes for p in scope.patterns]))
        obligations = name_set(value["obligations"])
        need(bool(obligations))
        return UnverifiedApproval(
            value["id"], text(value["approver"]), value["tid"], value["rid"], text(value["cell"]),
            tuple(obligations), digest, pattern,
            integer(value["count"], 1, 1 if pattern is None else APPROVAL_USES),
            integer(value["not_after"]), data[64:], data[:64],
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, CredentialError) as error:
        raise CredentialError("approval.malformed", "The approval is not well formed.") from error


def signature_holds(approval: UnverifiedApproval, approver_key: bytes) -> bool:
    """Whether this approver signed exactly these bytes."""
    return crypto.verify(approver_key, DOMAIN + approval.signed, approval.signature)

"""Law: a release moves one level of one content one step, for the sinks it names, once.

A declassification: a statement signed by somebody whom the verifier's bundle lists for that. It
names the delegation tree, the SHA-256 of the very content, the axis with the exact level before and
after, the sinks, and when it ends. It says nothing about any other level: a release of Internal
leaves Secret what it is, one of Untrusted leaves Adversarial (`labelling.py`).

Only what a person read or a program verified becomes trusted; cleaning a text does not make it so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from nucleus_tokens import canonical, crypto, jcs, label_names, labelling, labels
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.fields import hexed, integer, members, name_set, need, text
from nucleus_tokens.limits import APPROVAL_BYTES

DOMAIN: Final = b"nucleus/release/v1\0"
_VALUE_DOMAIN: Final = b"nucleus/value/v1\0"
_FIELDS: Final = [
    "axis", "basis", "by", "content", "from", "id", "not_after", "reason", "sinks", "to", "tree",
    "v",
]  # fmt: skip
AXES: Final = ("confidentiality", "integrity", "authority")
# On what it rests. Only the first two make an untrusted value trusted.
BASES: Final = ("human_review", "deterministic_verification", "sanitization")
_LEVELS: Final = {
    "confidentiality": label_names.CONFIDENTIALITY_NUMBER,
    "integrity": label_names.INTEGRITY_NUMBER,
    "authority": label_names.AUTHORITY_NUMBER,
}


@dataclass(frozen=True, slots=True)
class UnverifiedRelease:
    """A well-formed release whose signature nobody has checked."""

    id: str
    by: str  # key id in the verifier's bundle
    tree: str
    content: bytes
    axis: str
    source: int
    target: int
    basis: str
    sinks: frozenset[int]
    not_after: int
    reason: str
    signed: bytes
    signature: bytes

    def applies(self, label: int) -> bool:
        """Whether the step starts at exactly this label's level."""
        match self.axis:
            case "confidentiality":
                return labelling.lowers_conf(label, self.source, self.target)
            case "integrity":
                return labelling.raises_integ(label, self.source, self.target)
            case _:
                return labelling.raises_authority(label, self.source, self.target)

    def released(self, label: int) -> int:
        """The label after the step; the same where it does not apply."""
        match self.axis:
            case "confidentiality":
                return labelling.lower_conf(label, self.source, self.target)
            case "integrity":
                return labelling.raise_integ(label, self.source, self.target)
            case _:
                return labelling.raise_authority(label, self.source, self.target)


def commitment(value: Any) -> bytes:
    """SHA-256 of a content: of a text its UTF-8 bytes, as of a file; of any other JSON value its
    one spelling (RFC 8785) under a domain of its own."""
    if type(value) is str:
        return crypto.sha256(value.encode("utf-8"))
    return crypto.sha256(_VALUE_DOMAIN + jcs.digest(value))


def parse(data: bytes) -> UnverifiedRelease:
    """Read `signature(64) || body`. Raises CredentialError `release.malformed`."""
    try:
        need(64 < len(data) <= APPROVAL_BYTES)
        value = members(canonical.decode(data[64:]), _FIELDS)
        integer(value["v"], 1, 1)
        hexed(value["id"], 16)
        content = hexed(value["content"], 32)
        need(any(content))  # bound to nothing: for whatever comes
        axis, basis = value["axis"], value["basis"]
        need(axis in AXES and basis in BASES)
        source, target = _LEVELS[axis][value["from"]], _LEVELS[axis][value["to"]]
        # Down in confidentiality, up in integrity and authority; never the other way.
        need(target < source if axis == "confidentiality" else target > source)
        if axis == "integrity" and target == labels.TRUSTED:
            need(basis != "sanitization" and source == labels.UNTRUSTED)
        sinks = frozenset(label_names.SINK_NUMBER[name] for name in name_set(value["sinks"]))
        need(bool(sinks))
        return UnverifiedRelease(
            id=value["id"],
            by=text(value["by"]),
            tree=text(value["tree"]),
            content=content,
            axis=axis,
            source=source,
            target=target,
            basis=basis,
            sinks=sinks,
            not_after=integer(value["not_after"]),
            reason=text(value["reason"]),
            signed=data[64:],
            signature=data[:64],
        )
    except (ValueError, TypeError, KeyError, CredentialError) as error:
        raise CredentialError("release.malformed", "The release is not well formed.") from error


def signature_holds(release: UnverifiedRelease, key: bytes) -> bool:
    """Whether this key signed exactly these bytes."""
    return crypto.verify(key, DOMAIN + release.signed, release.signature)


def sign(body: dict[str, Any], private: bytes) -> bytes:
    """Sign a release given as JSON fields. Raises CredentialError `release.malformed`."""
    try:
        spelled = canonical.encode(body)
    except ValueError as error:
        raise CredentialError("release.malformed", "The release is not well formed.") from error
    data = crypto.sign(private, DOMAIN + spelled) + spelled
    parse(data)
    return data

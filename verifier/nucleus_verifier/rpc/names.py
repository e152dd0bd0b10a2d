"""Law: an identity has one spelling, and a server's DNS name belongs to exactly one identity.

SPIFFE IDs as in the SPIFFE-ID standard, section 2, and narrower where the standard leaves a choice:
the scheme and the trust domain are in small letters, since an ID with two spellings could be
compared unequal to itself.

gRPC clients in Python check a server's DNS names only, never its URI. So an identity whose path is
made of DNS labels also owns one DNS name, derived from it: `spiffe://example.org/issuer/eu` is
`eu.issuer.example.org`. The labels hold no dot, so within one trust domain no two identities have
the same name; the authority signs no other DNS name for anybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from nucleus_tokens.errors import CallerError

SCHEME: Final = "spiffe://"
_MOST: Final = 2048  # bytes of a whole ID; the standard's own limit
_DOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,253}[a-z0-9])?")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._-]+")
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DNS_CHARS: Final = 253


@dataclass(frozen=True, slots=True)
class WorkloadId:
    """A SPIFFE ID of a workload: once you hold one it is valid."""

    trust_domain: str
    segments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain}/{'/'.join(self.segments)}"

    @property
    def dns_name(self) -> str | None:
        """The DNS name that only this identity owns; None if its path has no such spelling."""
        labels = (*reversed(self.segments), *self.trust_domain.split("."))
        name = ".".join(labels)
        named = len(name) <= _DNS_CHARS and all(_LABEL.fullmatch(label) for label in labels)
        return name if named else None


def check_trust_domain(text: str) -> str:
    """The name of a trust domain. Raises CallerError `identity.trust_domain`."""
    if not _DOMAIN.fullmatch(text) or ".." in text:
        raise CallerError(
            "identity.trust_domain",
            "A trust domain is small letters, digits, dots and dashes, such as 'example.org'.",
        )
    return text


def workload_id(text: str, trust_domain: str) -> WorkloadId:
    """Parse an ID of this trust domain. Raises CallerError `identity.id`."""
    domain, slash, path = text.removeprefix(SCHEME).partition("/")
    segments = tuple(path.split("/"))
    if (
        not text.startswith(SCHEME)
        or len(text) > _MOST
        or domain != trust_domain
        or not slash
        or not all(_SEGMENT.fullmatch(s) and s not in (".", "..") for s in segments)
    ):
        raise CallerError(
            "identity.id",
            f"{text[:200]!r} is no identity of {trust_domain}.",
            hint=f"It looks like {SCHEME}{trust_domain}/agent/one.",
        )
    return WorkloadId(domain, segments)

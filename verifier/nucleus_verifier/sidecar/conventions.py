"""Law: how a gateway tells of a request is configured for each listener, and never guessed.

Each convention reads its own headers and no other's: a client can send those of another gateway. A
header that is there twice is no header. Every credential comes from the one configured place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol
from urllib.parse import unquote

from nucleus_verifier.sidecar.asked import Asked, Unreadable, bears_body
from nucleus_verifier.sidecar.settings import Listener

BEARER: Final = "Bearer "
_CERT: Final = "-----BEGIN CERTIFICATE-----"


class Names(NamedTuple):
    """The headers of one convention."""

    method: str
    target: str
    host: str
    length: str
    encoding: str
    peer: str


NGINX: Final = Names(
    "x-original-method", "x-original-uri", "x-original-host", "x-original-length",
    "x-original-encoding", "x-original-client-cert",
)  # fmt: skip
FORWARD: Final = Names(
    "x-forwarded-method", "x-forwarded-uri", "x-forwarded-host", "x-original-length",
    "x-original-encoding", "x-original-peer",
)  # fmt: skip


class Headers(Protocol):
    """Headers that know what was sent twice."""

    def getall(self, key: str, default: Sequence[str], /) -> Sequence[str]: ...


def single(headers: Headers, name: str) -> str | None:
    """The one value of a header, or None. Raises Unreadable for more than one."""
    values = headers.getall(name, ())
    if len(values) > 1:
        raise Unreadable(f"header.twice.{name}")
    return values[0] if values else None


def needed(headers: Headers, name: str) -> str:
    """As `single`, for a header that the gateway always sends. Raises Unreadable."""
    value = single(headers, name)
    if not value:
        raise Unreadable(f"header.missing.{name}")
    return value


def credential(listener: Listener, value: str | None) -> str:
    """The credential in its header. Raises Unreadable."""
    if value is None:
        raise Unreadable("credential.missing")
    if listener.header != "authorization":
        return value
    if not value.startswith(BEARER):
        raise Unreadable("credential.scheme")
    return value[len(BEARER) :]


def from_subrequest(listener: Listener, headers: Headers) -> Asked:
    """What nginx's auth_request, or a forward-auth, says in headers. Raises Unreadable."""
    names = NGINX if listener.convention == "nginx" else FORWARD
    method = needed(headers, names.method)
    hidden = bears_body(
        method, single(headers, names.length), single(headers, names.encoding)
    )  # fmt: skip
    peer = single(headers, names.peer) if listener.peer else None
    if peer and listener.convention == "nginx":
        peer = spiffe_id_of(peer)
    return Asked(
        credential(listener, single(headers, listener.header)),
        method,
        needed(headers, names.host),
        needed(headers, names.target),
        None if hidden else b"",
        "",
        peer or None,
        trace_of(headers),
    )


def trace_of(headers: Headers) -> str:
    """Whose trace it belongs to; twice is never, and refuses nothing."""
    values = headers.getall("traceparent", ())
    return values[0] if len(values) == 1 else ""


def spiffe_id_of(escaped: str) -> str | None:
    """The SPIFFE ID of a certificate that the gateway has verified, as it forwards it."""
    from cryptography import x509

    text = unquote(escaped)
    if text.count(_CERT) != 1:
        raise Unreadable("peer.certificate")
    try:
        leaf = x509.load_pem_x509_certificate(text.encode("ascii"))
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound) as error:
        raise Unreadable("peer.certificate") from error
    return uris[0] if len(uris) == 1 and uris[0].startswith("spiffe://") else None

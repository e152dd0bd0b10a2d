"""Law: a verifier's home holds its own key, which nobody else ever sees, and whom it believes.

The key is made here and made known to the issuer by the workload that the issuance policy names for
this audience; then the trust bundle is fetched. With the bundle, which is written last, it exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nucleus.home import Home
from nucleus_issuer import files
from nucleus_issuer.bundle import Bundle, TrustedApprover, TrustedIssuer
from nucleus_issuer.keyring import KeyRing
from nucleus_issuer.mint import Audience
from nucleus_issuer.store import Store
from nucleus_tokens.errors import CallerError
from nucleus_verifier.rpc import issuer_pb2 as pb

if TYPE_CHECKING:
    from nucleus.remote import RemoteIssuer


def join(place: Home, issuer: RemoteIssuer, audience: str, akid: str) -> Bundle:
    """Make this home the one of a verifier of `audience`. A home whose keys were put there, of a
    replica of the same audience, gets its state and keeps its keys. Raises CallerError or
    WorldError."""
    for each in (place.config, place.data, place.state):
        files.private_directory(each)
    if place.exists:
        found = place.keyring().bundle()
        if found.audience != audience:
            raise CallerError(
                "join.audience", f"The keys that are here are those of {found.audience}."
            )
        if place.store_path.exists():
            raise CallerError("home.exists", f"There is a home at {place.data} already.")
        place.verifier_keys()
        Store.open(place.store_path, create=True, clock=place.clock).close()
        return found
    Store.open(place.store_path, create=True, clock=place.clock).close()

    def told(public: bytes) -> Bundle:
        issuer.register(audience, akid, public)
        return bundle_of(issuer.trust_bundle(audience), akid, public)

    return KeyRing.join(place.keys_directory, akid=akid, random=place.random, told=told).bundle()


def bundle_of(told: pb.TrustBundle, akid: str, public: bytes) -> Bundle:
    """What the issuer says, as a home keeps it. The audience's key is our own alone."""
    return Bundle(
        told.audience,
        tuple(TrustedIssuer(i.iss, i.kid, i.public) for i in told.issuers),
        tuple(
            TrustedApprover(a.id, a.key, tuple(a.operations), a.releases) for a in told.approvers
        ),
        (Audience(told.audience, akid, public),),
    )

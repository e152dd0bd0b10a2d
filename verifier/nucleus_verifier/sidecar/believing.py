"""Law: whom a sidecar believes is what its issuer says now; its own keys stay its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from nucleus_tokens import crypto, names
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_verifier.facts import Approver, Keys
from nucleus_verifier.rpc import issuer_pb2 as pb

_EPOCH_BYTES: Final = 8


def believed(own: Keys, told: pb.TrustBundle) -> Keys:
    """The keys of a verifier under this trust bundle, with the private keys it has. Raises
    WorldError `bundle.told`: then nothing may be allowed under it."""
    bad = WorldError("bundle.told", "The issuer's trust bundle cannot be used.")
    if told.audience != own.audience or not told.issuers:
        raise bad
    publics = [*(i.public for i in told.issuers), *(a.key for a in told.approvers)]
    if any(len(key) != crypto.KEY_BYTES for key in publics):
        raise bad
    try:
        approvers = {
            a.id: Approver(a.key, names.obligation_bits(list(a.operations))) for a in told.approvers
        }
    except (ValueError, CallerError) as error:
        raise bad from error
    return replace(
        own,
        issuers={(i.iss, i.kid): i.public for i in told.issuers},
        approvers=approvers,
        epoch=int.from_bytes(crypto.sha256(told.digest)[:_EPOCH_BYTES], "big"),
    )

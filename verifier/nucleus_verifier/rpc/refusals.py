"""Law: an error of ours crosses a socket as a status, one sentence and its stable code.

A stranger gets one constant answer. What is not an error of ours says nothing of itself.
"""

from __future__ import annotations

from typing import Final

import grpc

from nucleus_tokens.errors import CallerError, CredentialError, NucleusError, WorldError

CODE: Final = "nucleus-code"
STRANGER: Final = "refused"
RATE: Final = "service.rate"
_EXISTS: Final = frozenset(("token.already_issued", "audience.taken"))


def status_of(error: NucleusError) -> grpc.StatusCode:
    """The status that says who is to blame."""
    if isinstance(error, WorldError):
        return grpc.StatusCode.UNAVAILABLE
    if error.code in _EXISTS:
        return grpc.StatusCode.ALREADY_EXISTS
    return grpc.StatusCode.INVALID_ARGUMENT


def raised(error: grpc.RpcError) -> NucleusError:
    """What a failed call means to us. Raised where the call was made."""
    status = getattr(error, "code", lambda: None)()
    says = getattr(error, "details", lambda: None)() or ""
    trailing = getattr(error, "trailing_metadata", lambda: None)() or ()
    code = next((str(value) for key, value in trailing if key == CODE), "")
    if status is grpc.StatusCode.PERMISSION_DENIED:
        return CallerError("service.refused", "The service refused: its log says why.")
    if status is grpc.StatusCode.RESOURCE_EXHAUSTED and code == RATE:
        return WorldError("service.rate", says)
    if code and status is grpc.StatusCode.UNAVAILABLE:
        return WorldError(code, says)
    if code and status in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.ALREADY_EXISTS):
        blame = CredentialError if code.startswith("credential.") else CallerError
        return blame(code, says)
    return WorldError(
        "service.unreachable",
        "The service did not answer: check its address, that it runs, and both identities.",
    )

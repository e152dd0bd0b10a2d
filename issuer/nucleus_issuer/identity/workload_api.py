"""Law: a caller of the Workload API gets the documents of the identities it was attested to have.

The five calls of the SPIFFE Workload API (standard, section 5), for one attested caller: who is
behind the socket was settled before this file runs (`attest.py`). A call without the header that
proves it did not come from a browser is refused, as the standard demands (section 3).

The messages are those of the `spiffe` package: a second copy under another name would clash with
it in one process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence, Set
from typing import Any, Final, NoReturn

import grpc
import grpc.aio
from google.protobuf import json_format, struct_pb2
from spiffe._proto import workload_pb2 as pb
from spiffe._proto import workload_pb2_grpc as api

from nucleus_issuer.identity.authority import TrustAuthority
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_verifier.rpc.names import WorkloadId

HEADER: Final = "workload.spiffe.io"
_MOST_AUDIENCES: Final = 32

Changed = Callable[[], "asyncio.Future[None]"]


class WorkloadApi(api.SpiffeWorkloadAPIServicer):
    """The service for callers that are `identities`.

    `seconds` is how long an X.509-SVID lives; a new one follows at half of that, and when another
    key signs. `changed` gives a future that is done when the authority has new keys. JWT-SVIDs are
    for `audiences`, if these are given, and for no other.
    """

    def __init__(
        self,
        authority: Callable[[], TrustAuthority],
        identities: Sequence[WorkloadId],
        *,
        seconds: int,
        changed: Changed,
        audiences: Set[str] | None = None,
    ) -> None:
        self._authority = authority
        self._identities = tuple(identities)
        self._seconds = seconds
        self._changed = changed
        self._audiences = audiences

    async def FetchX509SVID(
        self, _: pb.X509SVIDRequest, context: Any
    ) -> AsyncIterator[pb.X509SVIDResponse]:
        await self._admit(context)
        while True:
            changed, authority = self._changed(), self._authority()
            made = [authority.x509_svid(i, self._seconds) for i in self._identities]
            bundle = authority.x509_bundle()
            yield pb.X509SVIDResponse(
                svids=[
                    pb.X509SVID(
                        spiffe_id=str(svid.id),
                        x509_svid=svid.chain,
                        x509_svid_key=svid.key,
                        bundle=bundle,
                    )
                    for svid in made
                ]
            )
            half, settles = self._seconds / 2, authority.settles
            await _until(changed, half if settles is None else min(half, settles))

    async def FetchX509Bundles(
        self, _: pb.X509BundlesRequest, context: Any
    ) -> AsyncIterator[pb.X509BundlesResponse]:
        await self._admit(context)
        while True:
            changed, authority = self._changed(), self._authority()
            yield pb.X509BundlesResponse(
                bundles={authority.trust_domain_id: authority.x509_bundle()}
            )
            await _until(changed)

    async def FetchJWTSVID(self, request: pb.JWTSVIDRequest, context: Any) -> pb.JWTSVIDResponse:
        await self._admit(context)
        wanted = [i for i in self._identities if request.spiffe_id in ("", str(i))]
        if not wanted:
            await _refuse(context, grpc.StatusCode.PERMISSION_DENIED, "no such identity for you")
        if len(request.audience) > _MOST_AUDIENCES:
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "too many audiences")
        if self._audiences is not None and not set(request.audience) <= self._audiences:
            await _refuse(context, grpc.StatusCode.PERMISSION_DENIED, "no such audience for you")
        try:
            svids = [
                pb.JWTSVID(spiffe_id=str(i), svid=self._authority().jwt_svid(i, request.audience))
                for i in wanted
            ]
        except CallerError as error:
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, error.message)
        return pb.JWTSVIDResponse(svids=svids)

    async def FetchJWTBundles(
        self, _: pb.JWTBundlesRequest, context: Any
    ) -> AsyncIterator[pb.JWTBundlesResponse]:
        await self._admit(context)
        while True:
            changed, authority = self._changed(), self._authority()
            yield pb.JWTBundlesResponse(bundles={authority.trust_domain_id: authority.jwt_bundle()})
            await _until(changed)

    async def ValidateJWTSVID(
        self, request: pb.ValidateJWTSVIDRequest, context: Any
    ) -> pb.ValidateJWTSVIDResponse:
        await self._admit(context)
        try:
            identity, claims = self._authority().validate_jwt(request.svid, request.audience)
        except CredentialError as error:
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, error.message)
        struct = struct_pb2.Struct()
        json_format.ParseDict(claims, struct)
        return pb.ValidateJWTSVIDResponse(spiffe_id=str(identity), claims=struct)

    async def _admit(self, context: Any) -> None:
        if (HEADER, "true") not in (context.invocation_metadata() or ()):
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, f"{HEADER} is missing")
        if not self._identities:
            await _refuse(context, grpc.StatusCode.PERMISSION_DENIED, "no identity for you")


async def _until(changed: asyncio.Future[None], seconds: float | None = None) -> None:
    """Until so much time has passed or the authority has other keys than were sent: `changed` was
    asked for before they were looked at, so that nothing falls between."""
    await asyncio.wait({changed}, timeout=seconds)


def add_to_server(service: WorkloadApi, server: grpc.aio.Server) -> None:
    """Offer the Workload API on a server."""
    register: Callable[[WorkloadApi, grpc.aio.Server], None] = (
        api.add_SpiffeWorkloadAPIServicer_to_server
    )
    register(service, server)


async def _refuse(context: Any, code: grpc.StatusCode, why: str) -> NoReturn:
    await context.abort(code, why)
    raise AssertionError("abort raises")

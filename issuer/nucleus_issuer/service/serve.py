"""Law: the service is put together here, and answers nobody before it knows what was revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Final

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from nucleus_issuer.bundle import Bundle
from nucleus_issuer.exchanging import Exchanger
from nucleus_issuer.issuing import Issuer
from nucleus_issuer.keyring import Opened
from nucleus_issuer.opening import IssuerOpener
from nucleus_issuer.revoking import Revoker
from nucleus_issuer.service import door
from nucleus_issuer.service.approving import Approving
from nucleus_issuer.service.door import Answering, Door, Log, Method, Talking, Unary
from nucleus_issuer.service.issuance import Audiences, Issuance, Minting
from nucleus_issuer.service.leases import LEASE_SECONDS, Leases
from nucleus_issuer.service.looking import Looking
from nucleus_issuer.service.metrics import Metrics
from nucleus_issuer.service.policy import Caller, IssuancePolicy
from nucleus_issuer.service.watching import Watching
from nucleus_issuer.store import Store
from nucleus_tokens import crypto
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.rpc.bounds import at_once
from nucleus_verifier.rpc.mtls import Workload

SERVICE: Final = "nucleus.issuer.v1.Issuer"
MESSAGE_BYTES: Final = 256 * 1024
MOST_CALLS: Final = 64  # at once on one connection; a client waits with more
_GRACE_SECONDS: Final = 1.0
_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_metadata_size", 16 * 1024),
    *at_once(MOST_CALLS),
    # Everybody proves anew who they are, with the identity they have then.
    ("grpc.max_connection_age_ms", 30 * 60 * 1000),
    ("grpc.max_connection_age_grace_ms", 30 * 1000),
    # Whoever connects says who it is, and does not hold a descriptor with silence.
    ("grpc.server_handshake_timeout_ms", 5_000),
    # Whoever is gone without a word must not be waited for.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service is made of. `alone` says that no other node serves this state; `bundle` gives
    whom verifiers believe as it is now; `signers` are the issuer's keys, the latest last."""

    store: Store
    alone: bool
    signers: Sequence[Opened]
    bundle: Callable[[], Bundle]
    policy: IssuancePolicy
    workload: Workload
    clock: Callable[[], int]
    random: Callable[[int], bytes]
    log: Log
    metrics: Metrics
    lease_seconds: float = LEASE_SECONDS


async def serve(parts: Parts, address: str, ready: Callable[[int], None]) -> None:
    """Serve at `host:port` or `unix:/path` until cancelled; `ready` is told the port. Raises
    WorldError `service.address`."""
    leases = Leases(parts.store, alone=parts.alone, seconds=parts.lease_seconds)
    await leases.refresh()
    parts.metrics.observe(leases)
    server = grpc.aio.server(options=_OPTIONS)
    health_of = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_of, server)
    server.add_generic_rpc_handlers((_door(parts, leases),))
    try:
        port = server.add_secure_port(address, parts.workload.server_credentials())
    except RuntimeError as error:
        raise WorldError(
            "service.address", f"Nobody can listen at {address}: is it free, and is it ours?"
        ) from error
    loop = asyncio.get_running_loop()

    def failed(error: WorldError) -> None:
        parts.log(f"the state cannot be read: {error}")

    def heard() -> None:
        with suppress(RuntimeError):  # we have ended meanwhile
            loop.call_soon_threadsafe(leases.hear)

    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop, _GRACE_SECONDS)
        await server.start()
        deaf = await asyncio.to_thread(parts.store.listen, heard)
        stack.push_async_callback(asyncio.to_thread, deaf)
        tasks = [asyncio.ensure_future(leases.poll(failed))]
        tasks.append(asyncio.ensure_future(_tell(health_of, leases)))
        for each in tasks:
            stack.callback(each.cancel)
        ready(port)
        await asyncio.gather(*tasks)


async def _tell(health_of: health.aio.HealthServicer, leases: Leases) -> None:
    """The usual health service: serving while leases could be given."""
    states = health_pb2.HealthCheckResponse
    while True:
        state = states.SERVING if leases.fresh else states.NOT_SERVING
        for name in ("", SERVICE):
            await health_of.set(name, state)
        await asyncio.sleep(max(0.5, min(1.0, leases.seconds / 4)))


def _door(parts: Parts, leases: Leases) -> Door:
    opener = _opener(parts.signers)
    audiences = Audiences(parts.store, parts.bundle)
    issuance = Issuance(
        parts.store,
        _minting(parts, opener, audiences),
        audiences,
        parts.bundle,
        parts.policy.providers,
        parts.clock,
        parts.lease_seconds,
    )
    revoker = Revoker(parts.store, opener)
    watching = Watching(parts.store, revoker, leases, issuance.digest)
    looking = Looking(parts.store, revoker, opener)
    desk = Approving(parts.store, parts.bundle, parts.clock)
    approve = door.operator("approve")
    methods: dict[str, Method] = {
        "Issue": Unary(pb.IssueRequest, _granted, issuance.issue),
        "Exchange": Unary(pb.ExchangeRequest, _granted, issuance.exchange),
        "RegisterAudience": Unary(pb.RegisterAudienceRequest, _audience, issuance.register),
        "GetTrustBundle": Unary(pb.GetTrustBundleRequest, _audience, issuance.trust_bundle),
        "Allot": Unary(pb.AllotRequest, _audience, issuance.allot),
        "List": Unary(pb.ListRequest, door.known, looking.list),
        "Tree": Unary(pb.TreeRequest, door.known, looking.tree),
        # Whoever reveals a preimage revokes: being in the trust domain is enough to be heard.
        "Revoke": Answering(pb.RevokeRequest, door.anybody, watching.revoke),
        "Watch": Talking(pb.WatchRequest, _watches, watching.watch),
        "RequestApproval": Unary(pb.ApprovalRequest, _audience, desk.request),
        "GetApproval": Unary(pb.ApprovalId, _audience, desk.get),
        "WithdrawApproval": Unary(pb.ApprovalId, _audience, desk.withdraw),
        "ListApprovals": Unary(pb.ListApprovalsRequest, approve, desk.list),
        "Approve": Unary(pb.ApproveRequest, approve, desk.approve),
        "Deny": Unary(pb.DenyRequest, approve, desk.deny),
    }
    return Door(
        SERVICE,
        methods,
        trust_domain=parts.workload.id.trust_domain,
        policy=parts.policy,
        clock=parts.clock,
        log=parts.log,
        counted=parts.metrics.counted,
    )


def _granted(caller: Caller) -> bool:
    return bool(caller.grants)


def _audience(caller: Caller) -> bool:
    return bool(caller.audiences)


def _watches(caller: Caller) -> bool:
    return bool(caller.audiences) or "watch" in caller.rights


def _minting(parts: Parts, opener: IssuerOpener, audiences: Audiences) -> Minting:
    signer = parts.signers[-1].signer
    issuer = Issuer(signer, parts.store, clock=parts.clock, random=parts.random)
    exchanger = Exchanger(
        signer,
        opener,
        parts.store,
        audiences.named,
        clock=parts.clock,
        random=parts.random,
    )
    return Minting(issuer, exchanger)


def _opener(signers: Sequence[Opened]) -> IssuerOpener:
    if not signers:
        raise CallerError(
            "home.no_issuer", "No issuer's key is here: tokens are issued on another host."
        )
    every = {(each.signer.iss, each.signer.kid): each for each in signers}
    return IssuerOpener(
        {who: crypto.public_of(each.signer.private) for who, each in every.items()},
        {who: each.exchange.private for who, each in every.items()},
    )

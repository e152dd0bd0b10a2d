"""Nobody gets in who is not let in, and nobody outside learns why."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nucleus_issuer.identity.authority import TrustAuthority
from nucleus_issuer.service.serve import MESSAGE_BYTES
from nucleus_issuer.store import wall_clock
from nucleus_tokens.errors import NucleusError
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.rpc.client import SERVICE, IssuerClient
from nucleus_verifier.rpc.mtls import Dialled, Workload, parse_id
from tests.issuer.making import SCALE
from tests.service.stage import ISSUER, Stage, order, running
from tests.support.chance import CHANCE

METHODS = sorted(pb.DESCRIPTOR.services_by_name["Issuer"].methods_by_name)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with running(tmp_path_factory.mktemp("attack")) as made:
        made.register()
        yield made


@pytest.fixture(scope="module")
def authority(stage: Stage) -> TrustAuthority:
    """The trust domain's own: so that attackers get certificates as it would sign them."""
    return TrustAuthority.open(stage.home / "data" / "identity", wall_clock)


def channel(
    stage: Stage, roots: TrustAuthority, by: TrustAuthority | None, name: str, seconds: int = 3600
) -> grpc.Channel:
    """A connection that believes `roots`, with a certificate of `by` for `name`; none by None."""
    key = chain = None
    if by is not None:
        svid = by.x509_svid(parse_id(f"spiffe://{by.trust_domain}/{name}"), seconds)
        key = load_der_private_key(svid.key, None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        chain = x509.load_der_x509_certificate(svid.chain).public_bytes(Encoding.PEM)
    return grpc.secure_channel(
        stage.address,
        grpc.ssl_channel_credentials(roots.x509_bundle_pem(), key, chain),
        [
            ("grpc.ssl_target_name_override", ISSUER.dns_name),
            ("grpc.use_local_subchannel_pool", 1),
        ],
    )


def ask(on: grpc.Channel, method: str, data: bytes = b"") -> tuple[Any, str, Any]:
    """The status, words and metadata of a call of raw bytes; streams are asked for one answer."""
    path = SERVICE + method
    try:
        if method == "Watch":
            next(on.stream_stream(path)(iter((data,)), timeout=10), None)
        elif method == "Revoke":
            next(on.unary_stream(path)(data, timeout=10), None)
        else:
            on.unary_unary(path)(data, timeout=10)
    except grpc.RpcError as error:
        call: Any = error
        return call.code(), call.details() or "", call.trailing_metadata()
    return grpc.StatusCode.OK, "", ()


def test_no_certificate_no_answer(stage: Stage, authority: TrustAuthority) -> None:
    with channel(stage, authority, None, "") as on:
        assert (ask(on, "List"))[0] is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("domain", ["example.org", "example.com"])
def test_another_authority_is_nobody(
    stage: Stage, authority: TrustAuthority, tmp_path: Path, domain: str
) -> None:
    """Also one that calls its trust domain the same."""
    other = TrustAuthority.create(tmp_path / "other", domain, wall_clock)
    with channel(stage, authority, other, "ops") as on:
        assert (ask(on, "List"))[0] is grpc.StatusCode.UNAVAILABLE


def test_an_expired_identity_is_nobody(stage: Stage, authority: TrustAuthority) -> None:
    with channel(stage, authority, authority, "ops", -30) as on:
        assert (ask(on, "List"))[0] is grpc.StatusCode.UNAVAILABLE


def test_a_connection_does_not_outlive_its_identity(
    stage: Stage, authority: TrustAuthority
) -> None:
    with channel(stage, authority, authority, "ops", 2) as on:
        seen = {(ask(on, "List"))[0]}
        assert seen == {grpc.StatusCode.OK}
        end = time.monotonic() + 20
        while (status := ask(on, "List"))[0] is grpc.StatusCode.OK:
            assert time.monotonic() < end
            time.sleep(0.05)  # asked without end it would be told of its rate
        assert status[:2] == (grpc.StatusCode.PERMISSION_DENIED, "refused")


async def test_another_workload_is_not_taken_for_the_issuer(stage: Stage) -> None:
    """A real issuer, which answers under the identity of another workload."""
    impostor = Stage(stage.identity, name="impostor.sock")
    await asyncio.to_thread(stage.stop)  # one process serves one state
    await asyncio.to_thread(impostor.start, "other")
    try:
        workload = await asyncio.to_thread(Workload.open, stage.socket("agent"))
        for server, fails in ((ISSUER, True), (parse_id("spiffe://example.org/other"), False)):
            dialled = Dialled(workload, impostor.address, server)
            client = IssuerClient(dialled.channel)
            if fails:
                with pytest.raises(NucleusError, match=r"\[service.unreachable\]"):
                    await client.list()
            else:
                await client.list()
            await dialled.close()
        workload.close()
    finally:
        await asyncio.to_thread(impostor.stop)
        await asyncio.to_thread(stage.start)


@pytest.mark.parametrize("method", [*METHODS, "Nothing", "../Issue"])
def test_a_stranger_gets_one_answer_whatever_is_asked(
    stage: Stage, authority: TrustAuthority, method: str
) -> None:
    """In the trust domain, but in no line of the policy."""
    with channel(stage, authority, authority, "stranger") as on:
        for data in (b"", b"\xff\xff\xff", order("x").SerializeToString()):
            status, says, metadata = ask(on, method, data)
            assert (status, says) == (grpc.StatusCode.PERMISSION_DENIED, "refused")
            assert not [key for key, _ in metadata or () if key.startswith("nucleus")]
    stage.until_said("spiffe://example.org/stranger")


def test_a_known_caller_is_refused_elsewhere_as_a_stranger_is(
    stage: Stage, authority: TrustAuthority
) -> None:
    with channel(stage, authority, authority, "agent") as on:
        for method in ("RegisterAudience", "Watch", "Approve", "ListApprovals", "GetTrustBundle"):
            assert (ask(on, method))[:2] == (grpc.StatusCode.PERMISSION_DENIED, "refused")


def test_what_is_not_a_message_or_too_large_is_refused_and_the_service_goes_on(
    stage: Stage, authority: TrustAuthority
) -> None:
    with channel(stage, authority, authority, "agent") as on:
        status, _, metadata = ask(on, "Issue", b"\xff\xff\xff\xff")
        assert status is grpc.StatusCode.INVALID_ARGUMENT
        assert ("nucleus-code", "service.malformed") in tuple(metadata)
        huge = order("huge", memo="x" * MESSAGE_BYTES).SerializeToString()
        assert (ask(on, "Issue", huge))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (ask(on, "List"))[0] is grpc.StatusCode.OK


KNOWN = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED}


@settings(
    max_examples=60 * SCALE,
    suppress_health_check=(*CHANCE, HealthCheck.function_scoped_fixture),
)
@given(
    who=st.sampled_from(["agent", "tool", "ops"]),
    calls=st.lists(st.tuples(st.sampled_from(METHODS), st.binary(max_size=80)), max_size=20),
)
def test_no_bytes_make_the_service_fail(
    stage: Stage, authority: TrustAuthority, who: str, calls: list[tuple[str, bytes]]
) -> None:
    with channel(stage, authority, authority, who) as on:
        for method, data in calls:
            status, says, _ = ask(on, method, data)
            assert status in KNOWN, (method, data, status, says)


async def refusal(awaited: Awaitable[Any]) -> str:
    try:
        await awaited
    except NucleusError as error:
        return error.code
    return ""


async def test_mutated_orders_are_refused_or_carried_out_never_a_failure(stage: Stage) -> None:
    """Texts where a number, a key or a caveat should be."""
    async with stage.client("agent") as agent:
        for n, changes in enumerate(
            (
                {"caveats": ["\x00"]},
                {"caveats": ["[" * 5000]},
                {"caveats": ['["path","in",["\\ud800"]]']},
                {"caveats": ['["budget","calls",1e9]']},
                {"caveats": ['["delegate",{},""]']},
                {"obligations": ["fly"]},
                {"memo": "m" * 5000},
                {"memo": "nul\x00"},
                {"sub": "\x00"},
                {"profile": "../read-only"},
                {"audience": "tool.example\x00"},
                {"ttl": 2**62},
                {"depth": 2**31 - 1},
            )
        ):
            said = await refusal(agent.issue(order(f"mutated-{n}", **changes)))
            assert said != "service.unreachable", changes

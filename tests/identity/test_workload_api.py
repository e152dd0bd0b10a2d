"""The embedded Workload API serves py-spiffe, the client that SPIRE's users have."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from cryptography.x509 import Certificate
from spiffe import TrustDomain, WorkloadApiClient, X509Source
from spiffe._proto import workload_pb2 as pb
from spiffe._proto import workload_pb2_grpc as api

from nucleus_issuer.identity.authority import TrustAuthority
from nucleus_issuer.identity.workload_api import HEADER, WorkloadApi
from nucleus_issuer.store import wall_clock
from nucleus_verifier.rpc.mtls import parse_id
from tests.identity.host import DOMAIN, SECONDS, Host, as_user, host
from tests.support.patience import until

UID = os.getuid()
REGISTRY = f"""
[[workload]]
id = "spiffe://example.org/agent/one"
uid = {UID}
[[workload]]
id = "spiffe://example.org/agent/two"
uid = {UID}
exe = "/nowhere/else"
[[workload]]
id = "spiffe://example.org/vm/7"
socket = "vm-7.sock"
"""
ASK = """
try:
    with WorkloadApiClient(sys.argv[1], default_timeout=10) as client:
        print("is", client.fetch_x509_svid().spiffe_id)
except Exception as error:
    print("refused", error)
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with host(tmp_path_factory.mktemp("identity"), REGISTRY) as made:
        yield made


@pytest.fixture
def client(running: Host) -> Iterator[WorkloadApiClient]:
    with running.client() as made:
        yield made


def _raw(running: Host) -> api.SpiffeWorkloadAPIStub:
    return api.SpiffeWorkloadAPIStub(
        grpc.insecure_channel(f"unix://{running.folder / 'workload.sock'}")
    )


def test_a_process_gets_the_identity_of_its_user(client: WorkloadApiClient) -> None:
    assert [str(s.spiffe_id) for s in client.fetch_x509_svids()] == [
        "spiffe://example.org/agent/one"
    ]


def test_a_socket_can_be_an_identity(running: Host) -> None:
    with running.client("vm-7.sock") as client:
        assert str(client.fetch_x509_svid().spiffe_id) == "spiffe://example.org/vm/7"


def test_bundles_of_both_kinds(client: WorkloadApiClient) -> None:
    domain = TrustDomain(DOMAIN)
    assert client.fetch_x509_bundles().get_bundle_for_trust_domain(domain) is not None
    assert client.fetch_jwt_bundles().get_bundle_for_trust_domain(domain) is not None


def test_a_jwt_is_fetched_and_validated(client: WorkloadApiClient) -> None:
    svid = client.fetch_jwt_svid({"issuer"})
    assert str(svid.spiffe_id) == "spiffe://example.org/agent/one"
    assert str(client.validate_jwt_svid(svid.token, "issuer").spiffe_id) == str(svid.spiffe_id)
    with pytest.raises(Exception, match="not valid here"):
        client.validate_jwt_svid(svid.token, "another")


def test_nobody_gets_a_jwt_of_another_identity(running: Host) -> None:
    for wanted in ("spiffe://example.org/agent/two", "spiffe://example.org/vm/7", "spiffe://x/y"):
        with pytest.raises(grpc.RpcError) as refused:
            _raw(running).FetchJWTSVID(
                pb.JWTSVIDRequest(audience=["a"], spiffe_id=wanted),
                metadata=(("workload.spiffe.io", "true"),),
                timeout=SECONDS,
            )
        assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_a_call_without_the_header_is_refused(running: Host) -> None:
    """A browser, led to a local address by a page, cannot set it."""
    stub = _raw(running)
    calls = [
        lambda m: next(stub.FetchX509SVID(pb.X509SVIDRequest(), metadata=m, timeout=SECONDS)),
        lambda m: next(stub.FetchX509Bundles(pb.X509BundlesRequest(), metadata=m, timeout=SECONDS)),
        lambda m: next(stub.FetchJWTBundles(pb.JWTBundlesRequest(), metadata=m, timeout=SECONDS)),
        lambda m: stub.FetchJWTSVID(pb.JWTSVIDRequest(audience=["a"]), metadata=m, timeout=SECONDS),
        lambda m: stub.ValidateJWTSVID(
            pb.ValidateJWTSVIDRequest(audience="a", svid="b"), metadata=m, timeout=SECONDS
        ),
    ]
    for call in calls:
        for metadata in ((), (("workload.spiffe.io", "false"),)):
            with pytest.raises(grpc.RpcError) as refused:
                call(metadata)
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_attack_another_user_is_nobody(running: Host) -> None:
    if UID != 0:
        pytest.fail("run this as root: it needs a process of another user")
    said = as_user(65534, running.folder / "workload.sock", ASK)
    assert "refused" in said
    assert "no identity for you" in said


def test_a_socket_that_is_an_identity_is_not_for_other_users(running: Host) -> None:
    if UID != 0:
        pytest.fail("run this as root: it needs a process of another user")
    assert "is spiffe://" not in as_user(65534, running.folder / "vm-7.sock", ASK)


def test_a_workload_follows_a_rotation_without_restarting(tmp_path: Path) -> None:
    """It hears of the new key, and later it has a certificate of it."""
    heard: list[tuple[Certificate, frozenset[Certificate]]] = []
    with (
        host(tmp_path, REGISTRY) as made,
        X509Source(
            WorkloadApiClient(f"unix://{made.folder / 'workload.sock'}"),
            timeout_in_seconds=SECONDS,
        ) as source,
    ):

        def hear() -> None:
            context = source.get_x509_context()
            bundle = context.x509_bundle_set.get_bundle_for_trust_domain(TrustDomain(DOMAIN))
            assert bundle is not None
            heard.append((context.default_svid.leaf, frozenset(bundle.x509_authorities)))

        hear()
        source.subscribe_for_updates(hear)
        made.rotate()
        until(lambda: len({leaf.serial_number for leaf, _ in heard}) >= 3, "two documents more")
    (begun, old), *rest = heard
    (first,) = old
    told = [each for each in rest if each[1] != old]
    assert {known for _, known in told} == {told[0][1]}
    (second,) = told[0][1] - old
    begun.verify_directly_issued_by(first)
    told[0][0].verify_directly_issued_by(first)
    told[-1][0].verify_directly_issued_by(second)


class _Proven:
    """A call with the header, as far as the service looks at it."""

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ((HEADER, "true"),)


@pytest.mark.parametrize("kind", ["FetchX509SVID", "FetchX509Bundles", "FetchJWTBundles"])
async def test_a_key_that_comes_while_somebody_is_slow_to_read_is_not_missed(
    tmp_path: Path, kind: str
) -> None:
    place = tmp_path / "identity"
    authority = TrustAuthority.create(place, DOMAIN, wall_clock)
    changed = asyncio.get_running_loop().create_future()
    service = WorkloadApi(
        lambda: authority,
        [parse_id(f"spiffe://{DOMAIN}/agent/one")],
        seconds=3600,
        changed=lambda: changed,
    )
    sent = getattr(service, kind)(None, _Proven())
    first = await anext(sent)
    # It is still being written when there is a new key.
    authority = TrustAuthority.rotate(place, wall_clock)
    before, changed = changed, asyncio.get_running_loop().create_future()
    before.set_result(None)
    assert await asyncio.wait_for(anext(sent), SECONDS) != first
    await sent.aclose()


def test_a_short_lived_identity_is_renewed_before_it_ends(tmp_path: Path) -> None:
    with host(tmp_path, REGISTRY, lives="2s") as made, made.client() as client:
        renewed = threading.Event()
        serials: list[int] = []

        def update(context: object) -> None:
            serials.append(context.default_svid.leaf.serial_number)  # type: ignore[attr-defined]
            if len(serials) >= 3:
                renewed.set()

        stream = client.stream_x509_contexts(update, lambda error: None)
        assert renewed.wait(SECONDS)
        stream.cancel()
        assert len(set(serials)) == len(serials)

"""Another workload of the trust domain cannot be taken for the issuer, by gRPC or by anybody."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from nucleus_issuer.identity.authority import TrustAuthority, X509Document
from nucleus_issuer.store import wall_clock
from nucleus_verifier.rpc.names import WorkloadId, workload_id

DOMAIN = "example.org"
ISSUER = workload_id("spiffe://example.org/issuer", DOMAIN)
AGENT = workload_id("spiffe://example.org/agent/issuer", DOMAIN)
LOOKALIKE = workload_id("spiffe://example.org/issuer.example.org", DOMAIN)


def _pem(svid: X509Document) -> tuple[bytes, bytes]:
    key = load_der_private_key(svid.key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    return key, x509.load_der_x509_certificate(svid.chain).public_bytes(Encoding.PEM)


class _Echo(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
            return b",".join(context.auth_context().get("peer_spiffe_id", []))

        return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def _server(authority: TrustAuthority, svid: X509Document) -> Iterator[int]:
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers((_Echo(),))
        port = server.add_secure_port(
            "127.0.0.1:0",
            grpc.ssl_server_credentials(
                [_pem(svid)], authority.x509_bundle_pem(), require_client_auth=True
            ),
        )
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait()


def _call(authority: TrustAuthority, port: int, client: X509Document | None) -> bytes:
    key, chain = (None, None) if client is None else _pem(client)
    credentials = grpc.ssl_channel_credentials(authority.x509_bundle_pem(), key, chain)
    options = [("grpc.ssl_target_name_override", ISSUER.dns_name)]
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        found: bytes = channel.unary_unary("/test/Echo")(b"", timeout=5)
        return found


@pytest.fixture
def authority(tmp_path: Path) -> TrustAuthority:
    return TrustAuthority.create(tmp_path / "identity", DOMAIN, wall_clock)


def test_the_issuer_is_known_by_its_name(authority: TrustAuthority) -> None:
    client = authority.x509_svid(AGENT)
    with _server(authority, authority.x509_svid(ISSUER)) as port:
        assert _call(authority, port, client) == str(AGENT).encode()


@pytest.mark.parametrize("imposter", [AGENT, LOOKALIKE])
def test_another_workload_is_not_the_issuer(
    authority: TrustAuthority, imposter: WorkloadId
) -> None:
    client = authority.x509_svid(AGENT)
    svid = authority.x509_svid(imposter)
    with _server(authority, svid) as port, pytest.raises(grpc.RpcError):
        _call(authority, port, client)


def test_another_authority_is_nobody(authority: TrustAuthority, tmp_path: Path) -> None:
    other = TrustAuthority.create(tmp_path / "other", DOMAIN, wall_clock)
    with _server(authority, authority.x509_svid(ISSUER)) as port:
        with pytest.raises(grpc.RpcError):
            _call(authority, port, other.x509_svid(AGENT))
        with pytest.raises(grpc.RpcError):
            _call(authority, port, None)
    with _server(other, other.x509_svid(ISSUER)) as port, pytest.raises(grpc.RpcError):
        _call(authority, port, authority.x509_svid(AGENT))


def test_an_expired_identity_is_nobody(authority: TrustAuthority) -> None:
    with _server(authority, authority.x509_svid(ISSUER)) as port, pytest.raises(grpc.RpcError):
        _call(authority, port, authority.x509_svid(AGENT, seconds=-30))

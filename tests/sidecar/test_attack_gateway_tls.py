"""A sidecar's listener over mutual TLS: one gateway may ask, and nobody else, however near.

And nginx with real client certificates: whoever holds the connection is who the certificate says,
and a client that writes the header itself is nobody.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
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

from nucleus_issuer.identity.authority import TrustAuthority
from nucleus_issuer.store import wall_clock
from nucleus_tokens.header import Holder
from nucleus_verifier.rpc import verifier_pb2 as pb
from nucleus_verifier.rpc.mtls import parse_id
from nucleus_verifier.sidecar.checking import SERVICE
from tests.identity.host import host
from tests.sidecar.gateways import gateway
from tests.sidecar.stage import HOST, Sidecar, Tool, sidecar
from tests.support import world
from tests.support.patience import until
from tests.support.ports import free_port

GATEWAY = "spiffe://example.org/gateway"
AGENT = "spiffe://example.org/agent"
NAMES = ("gateway", "agent", "verifier")
REGISTRY = "".join(
    f'[[workload]]\nid = "spiffe://example.org/{name}"\nsocket = "{name}.sock"\n' for name in NAMES
)
LISTENERS = f"""
[listeners.far]
convention = "check"
address = "127.0.0.1:PORT"
gateway = "{GATEWAY}"
peer = true

[listeners.envoy]
convention = "envoy-grpc"
address = "127.0.0.1:SECOND"
gateway = "{GATEWAY}"

[listeners.nginx]
convention = "nginx"
address = "unix:{{folder}}/nginx.sock"
peer = true
"""


class Place:
    """One trust domain, and a sidecar in it."""

    def __init__(self, tool: Sidecar, authority: TrustAuthority, ports: tuple[int, int]) -> None:
        self.tool = tool
        self.authority = authority
        self.ports = ports


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("tls")
    ports = (free_port(), free_port())
    listeners = LISTENERS.replace("PORT", f"{ports[0]}").replace("SECOND", f"{ports[1]}")
    with host(root / "identity", REGISTRY) as identity:
        authority = TrustAuthority.open(identity.home / "data" / "identity", wall_clock)
        socket_ = f"unix://{identity.folder / 'verifier.sock'}"
        with sidecar(root, listeners, SPIFFE_ENDPOINT_SOCKET=socket_) as tool:
            yield Place(tool, authority, ports)


def pem(by: TrustAuthority, name: str, seconds: int = 3600) -> tuple[bytes, bytes]:
    """A key and a certificate as the authority signs them."""
    svid = by.x509_svid(parse_id(f"spiffe://{by.trust_domain}/{name}"), seconds)
    key = load_der_private_key(svid.key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    return key, x509.load_der_x509_certificate(svid.chain).public_bytes(Encoding.PEM)


def channel(
    place: Place, by: TrustAuthority | None, name: str, seconds: int = 3600, which: int = 0
) -> grpc.Channel:
    key = chain = None
    if by is not None:
        key, chain = pem(by, name, seconds)
    return grpc.secure_channel(
        f"127.0.0.1:{place.ports[which]}",
        grpc.ssl_channel_credentials(place.authority.x509_bundle_pem(), key, chain),
        [
            ("grpc.ssl_target_name_override", "verifier.example.org"),
            ("grpc.use_local_subchannel_pool", 1),
        ],
    )


def ask(on: grpc.Channel, place: Place, peer: str = AGENT) -> str:
    """What a good request of the agent's comes to: `admitted`, `refused`, or the call's status."""
    token = place.tool.signed(
        "notes.read", {"path": {"name": "one"}}, holder=Holder(AGENT, world.public("agent"))
    )
    request = pb.CheckRequest(
        credential=token, method="GET", host=HOST, target="/notes/one", peer=peer
    )
    try:
        said: pb.CheckResponse = on.unary_unary(
            f"/{SERVICE}/Check", pb.CheckRequest.SerializeToString, pb.CheckResponse.FromString
        )(request, timeout=10)
    except grpc.RpcError as error:
        code: Any = error
        return str(code.code().name)
    return str(said.WhichOneof("answer"))


def test_the_gateway_that_is_named_is_believed(place: Place) -> None:
    with channel(place, place.authority, "gateway") as on:
        assert ask(on, place) == "admitted"
        assert ask(on, place, "spiffe://example.org/other") == "refused"
        assert ask(on, place, "") == "refused", "the token is bound to somebody"


@pytest.mark.parametrize("name", ["agent", "verifier", "gateway/two", "gateway.example.org"])
def test_another_workload_of_the_trust_domain_is_nobody(place: Place, name: str) -> None:
    with channel(place, place.authority, name) as on:
        assert ask(on, place) == "refused"
    until(lambda: place.tool.events(why="'listener.gateway'"), "the reason in the log")


def test_no_certificate_no_answer(place: Place) -> None:
    for which in (0, 1):
        with channel(place, None, "", which=which) as on:
            assert ask(on, place) == "UNAVAILABLE"
    with grpc.insecure_channel(f"127.0.0.1:{place.ports[0]}") as on:
        assert ask(on, place) == "UNAVAILABLE"


@pytest.mark.parametrize("domain", ["example.org", "example.com"])
def test_another_authority_is_nobody(place: Place, tmp_path: Path, domain: str) -> None:
    """Also one that calls its trust domain the same."""
    other = TrustAuthority.create(tmp_path / "other", domain, wall_clock)
    with channel(place, other, "gateway") as on:
        assert ask(on, place) == "UNAVAILABLE"


def test_an_expired_identity_is_nobody(place: Place) -> None:
    with channel(place, place.authority, "gateway", -30) as on:
        assert ask(on, place) == "UNAVAILABLE"


def test_a_connection_does_not_outlive_its_identity(place: Place) -> None:
    with channel(place, place.authority, "gateway", 2) as on:
        assert ask(on, place) == "admitted"
        end = time.monotonic() + 20
        while ask(on, place) == "admitted":
            assert time.monotonic() < end
            time.sleep(0.05)
        until(lambda: place.tool.events(why="'listener.gateway.expired'"), "the reason in the log")


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_no_message_is_refused_and_the_sidecar_goes_on(place: Place, which: int) -> None:
    service = (SERVICE, "envoy.service.auth.v3.Authorization")[which]
    with channel(place, place.authority, "gateway", which=which) as on:
        call = on.unary_unary(f"/{service}/Check")
        for data in (b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"\x00", b"x" * 9_000_000):
            with pytest.raises(grpc.RpcError):
                call(data, timeout=10)
        with pytest.raises(grpc.RpcError) as said:
            on.unary_unary(f"/{service}/Other")(b"", timeout=10)
        code: Any = said.value
        assert code.code() is grpc.StatusCode.UNIMPLEMENTED
    with channel(place, place.authority, "gateway") as on:
        assert ask(on, place) == "admitted"


# nginx with client certificates -------------------------------------------------------------------


@pytest.fixture(scope="module")
def nginx(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """docs/gateways/nginx.conf, with what its comment on client certificates says."""
    folder = tmp_path_factory.mktemp("nginx")
    key, chain = pem(place.authority, "gateway")
    for name, data in (
        ("key.pem", key), ("cert.pem", chain), ("roots.pem", place.authority.x509_bundle_pem())
    ):  # fmt: skip
        path = folder / name
        path.touch(0o600)
        path.write_bytes(data)

    def with_tls(text: str) -> str:
        text = text.replace('X-Original-Client-Cert ""', "X-Original-Client-Cert $verified_cert")
        text = text.replace(
            "  server {\n",
            "  map $ssl_client_verify $verified_cert {\n"
            '    SUCCESS $ssl_client_escaped_cert; default "";\n  }\n'
            "  server {\n"
            f"    ssl_certificate {folder}/cert.pem;\n    ssl_certificate_key {folder}/key.pem;\n"
            f"    ssl_client_certificate {folder}/roots.pem;\n    ssl_verify_client optional;\n",
            1,
        )
        return text.replace("listen 127.0.0.1:PORT;", "listen 127.0.0.1:PORT ssl;")

    tool = Tool()
    try:
        with gateway(
            "nginx", place.tool.folder, tool.port, place.tool.folder / "nginx.sock", with_tls
        ) as port:
            yield port
    finally:
        tool.close()


def status(
    place: Place, port: int, tmp_path: Path, who: tuple[bytes, bytes] | None, *more: str
) -> int:
    levels = world.levels(read_files="always")
    credential = place.tool.bearer(levels, holder=Holder(AGENT, None))
    context = ssl.create_default_context(cadata=place.authority.x509_bundle_pem().decode())
    if who is not None:
        path = tmp_path / "both.pem"
        path.write_bytes(who[0] + who[1])
        context.load_cert_chain(path)
    raw = socket.create_connection(("127.0.0.1", port), 20)
    with context.wrap_socket(raw, server_hostname="gateway.example.org") as sock:
        lines = ["GET /notes/one HTTP/1.1", f"Host: {HOST}", "Connection: close",
                 f"Authorization: Bearer {credential}", *more, "", ""]  # fmt: skip
        sock.sendall("\r\n".join(lines).encode())
        answer = http.client.HTTPResponse(sock)  # type: ignore[arg-type]
        answer.begin()
        answer.read()
        return answer.status


def test_the_client_is_who_its_certificate_says(place: Place, nginx: int, tmp_path: Path) -> None:
    assert status(place, nginx, tmp_path, pem(place.authority, "agent")) == 200
    assert status(place, nginx, tmp_path, pem(place.authority, "verifier")) == 403


def test_a_client_does_not_say_itself_who_it_is(place: Place, nginx: int, tmp_path: Path) -> None:
    from urllib.parse import quote

    stolen = pem(place.authority, "agent")[1].decode()
    for more in (
        f"X-Original-Client-Cert: {quote(stolen)}", f"X-Original-Peer: {AGENT}",
        f"x_original_client_cert: {quote(stolen)}",
    ):  # fmt: skip
        assert status(place, nginx, tmp_path, None, more) == 403
        assert status(place, nginx, tmp_path, pem(place.authority, "verifier"), more) == 403


def test_a_certificate_of_another_authority_names_nobody(
    place: Place, nginx: int, tmp_path: Path
) -> None:
    other = TrustAuthority.create(tmp_path / "other", "example.org", wall_clock)
    assert status(place, nginx, tmp_path, pem(other, "agent")) in (400, 403)

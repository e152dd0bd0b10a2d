"""The authority signs what it was told to and nothing else; its keys survive and rotate."""

from __future__ import annotations

import json
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store

from nucleus_issuer.identity.authority import TrustAuthority
from nucleus_tokens.errors import CallerError, CredentialError, NucleusError, WorldError
from nucleus_verifier.rpc.names import workload_id
from tests.issuer.making import NOW, Clock

DOMAIN = "example.org"
AGENT = workload_id("spiffe://example.org/agent/one", DOMAIN)
ISSUER = workload_id("spiffe://example.org/issuer", DOMAIN)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authority(tmp_path: Path, clock: Clock) -> TrustAuthority:
    return TrustAuthority.create(tmp_path / "identity", DOMAIN, clock)


def _leaf(authority: TrustAuthority) -> x509.Certificate:
    return x509.load_der_x509_certificate(authority.x509_svid(AGENT).chain)


def test_a_certificate_names_its_identity_and_the_one_dns_name(authority: TrustAuthority) -> None:
    names = _leaf(authority).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [str(AGENT)]
    assert names.get_values_for_type(x509.DNSName) == ["one.agent.example.org"]
    assert len(list(names)) == 2


def test_a_certificate_cannot_sign_another(authority: TrustAuthority) -> None:
    leaf = _leaf(authority)
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert not usage.crl_sign


def test_a_certificate_is_accepted_by_another_implementation(
    authority: TrustAuthority, clock: Clock
) -> None:
    """Debian's openssl and grpc's BoringSSL see it in the other tests; this is a third."""
    from datetime import UTC, datetime

    roots = x509.load_pem_x509_certificates(authority.x509_bundle_pem())
    at = datetime.fromtimestamp(clock(), UTC)
    verifier = PolicyBuilder().store(Store(roots)).time(at).build_client_verifier()
    verified = verifier.verify(_leaf(authority), [])
    assert verified.subjects is not None
    assert x509.UniformResourceIdentifier(str(AGENT)) in verified.subjects


def test_every_svid_has_a_key_of_its_own(authority: TrustAuthority) -> None:
    made = [authority.x509_svid(AGENT) for _ in range(3)]
    assert len({svid.key for svid in made}) == 3
    assert made[0].key.hex() not in repr(made[0])


def test_another_trust_domain_is_refused(authority: TrustAuthority) -> None:
    stranger = workload_id("spiffe://other.org/agent/one", "other.org")
    for make in (authority.x509_svid, lambda i: authority.jwt_svid(i, ["a"])):
        with pytest.raises(CallerError):
            make(stranger)


def test_keys_survive_a_restart_and_rotate_with_overlap(tmp_path: Path, clock: Clock) -> None:
    place = tmp_path / "identity"
    first = TrustAuthority.create(place, DOMAIN, clock)
    token = first.jwt_svid(AGENT, ["issuer"])
    assert TrustAuthority.open(place, clock).validate_jwt(token, "issuer")[0] == AGENT
    clock.now += 60
    second = TrustAuthority.rotate(place, clock)
    assert second.validate_jwt(token, "issuer")[0] == AGENT
    assert len(x509.load_pem_x509_certificates(second.x509_bundle_pem())) == 2
    later = second.jwt_svid(AGENT, ["issuer"])
    with pytest.raises(CredentialError):
        first.validate_jwt(later, "issuer")
    kids = [key["kid"] for key in json.loads(second.jwt_bundle())["keys"]]
    assert jwt.get_unverified_header(later)["kid"] == kids[-1]
    # The first generation dies by itself; when all have, nothing is signed.
    clock.now = NOW + 365 * 86_400 + 1
    assert len(json.loads(second.jwt_bundle())["keys"]) == 1
    clock.now += 60
    with pytest.raises(WorldError) as expired:
        second.x509_svid(AGENT)
    assert expired.value.code == "identity.expired"


def test_a_key_signs_once_it_is_known(tmp_path: Path, clock: Clock) -> None:
    place = tmp_path / "identity"
    TrustAuthority.create(place, DOMAIN, clock)

    def signs(authority: TrustAuthority) -> int:
        """Which of its keys, counted from the oldest; the same for both kinds of document."""
        roots = x509.load_pem_x509_certificates(authority.x509_bundle_pem())
        kids = [key["kid"] for key in json.loads(authority.jwt_bundle())["keys"]]
        number = kids.index(jwt.get_unverified_header(authority.jwt_svid(AGENT, ["a"]))["kid"])
        x509.load_der_x509_certificate(authority.x509_svid(AGENT).chain).verify_directly_issued_by(
            roots[number]
        )
        return number

    first = TrustAuthority.open(place, clock, announce=60)
    assert (signs(first), first.settles) == (0, None), "there is no other"
    clock.now += 60
    TrustAuthority.rotate(place, clock)
    clock.now += 1000  # seen late
    second = first.again(place)
    assert (signs(second), second.settles) == (0, 60)
    clock.now += 59
    assert (signs(second), second.settles) == (0, 1)
    TrustAuthority.rotate(place, clock)
    third = second.again(place)
    clock.now += 1
    assert (signs(third), third.settles) == (1, 59), "the second's time goes on"
    clock.now += 59
    assert (signs(third), third.settles) == (2, None)
    # One that begins does not know whom another told of what: the oldest is known to all.
    fresh = TrustAuthority.open(place, clock, announce=60)
    assert (signs(fresh), fresh.settles) == (0, 60)
    clock.now += 60
    assert signs(fresh) == 2


def test_a_key_that_nobody_knows_yet_signs_where_the_known_one_ends(
    tmp_path: Path, clock: Clock
) -> None:
    place = tmp_path / "identity"
    TrustAuthority.create(place, DOMAIN, clock)
    old = TrustAuthority.open(place, clock, announce=60)
    ends = NOW + 365 * 86_400
    clock.now = ends - 150
    TrustAuthority.rotate(place, clock)
    for began in (TrustAuthority.open(place, clock, announce=60), old.again(place)):
        clock.now = ends - 121
        assert began.x509_svid(AGENT).expires == ends
        clock.now = ends - 120
        assert began.x509_svid(AGENT).expires == clock.now + 3600
        clock.now = ends - 150


def test_a_jwt_is_for_its_audience_and_its_time(authority: TrustAuthority, clock: Clock) -> None:
    token = authority.jwt_svid(AGENT, ["issuer"], seconds=60)
    identity, claims = authority.validate_jwt(token, "issuer")
    assert (identity, claims["aud"]) == (AGENT, ["issuer"])
    clock.now += 59
    authority.validate_jwt(token, "issuer")
    clock.now += 1
    _refused(authority, token, "issuer")


def _refused(authority: TrustAuthority, token: str, audience: str) -> None:
    with pytest.raises(CredentialError) as refused:
        authority.validate_jwt(token, audience)
    assert refused.value.code == "identity.jwt"


def test_a_forged_jwt_is_refused(authority: TrustAuthority) -> None:
    good = authority.jwt_svid(AGENT, ["issuer"])
    header, body, signature = good.split(".")
    claims = {"sub": str(ISSUER), "aud": ["issuer"], "exp": NOW + 60}
    kid = jwt.get_unverified_header(good)["kid"]
    mine = ec.generate_private_key(ec.SECP256R1())
    for token in (
        "",
        "a.b.c",
        good + "x",
        f"{header}.{body}.",
        f"{header}.{body[:-4]}AAAA.{signature}",
        jwt.encode(claims, mine, algorithm="ES256", headers={"kid": kid}),
        jwt.encode(claims, mine, algorithm="ES256"),
        jwt.encode(claims, "", algorithm="none", headers={"kid": kid}),
        jwt.encode(claims, "k" * 32, algorithm="HS256", headers={"kid": kid}),
        "x" * 100_000,
    ):
        _refused(authority, token, "issuer")
    _refused(authority, good, "other")
    _refused(authority, good, "")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"v":1}', b"[" * 5000])
def test_a_damaged_key_file_is_one_sentence(tmp_path: Path, clock: Clock, content: bytes) -> None:
    place = tmp_path / "identity"
    TrustAuthority.create(place, DOMAIN, clock)
    (place / "authority-0001.json").write_bytes(content)
    with pytest.raises(NucleusError) as said:
        TrustAuthority.open(place, clock)
    assert said.value.code == "identity.file"


def test_a_key_file_that_others_read_is_not_used(tmp_path: Path, clock: Clock) -> None:
    place = tmp_path / "identity"
    TrustAuthority.create(place, DOMAIN, clock)
    (place / "authority-0001.json").chmod(0o640)
    with pytest.raises(WorldError) as said:
        TrustAuthority.open(place, clock)
    assert said.value.code == "file.permissions"


def test_there_is_one_authority_in_a_place(tmp_path: Path, clock: Clock) -> None:
    TrustAuthority.create(tmp_path / "identity", DOMAIN, clock)
    with pytest.raises(CallerError):
        TrustAuthority.create(tmp_path / "identity", "other.org", clock)
    with pytest.raises(WorldError):
        TrustAuthority.open(tmp_path, clock)

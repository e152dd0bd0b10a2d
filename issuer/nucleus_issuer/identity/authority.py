"""Law: this authority signs the identity it was told to, its one DNS name, and nothing else.

X.509-SVIDs as in the SPIFFE X509-SVID standard (section 4: one URI, no CA bit, digitalSignature)
and JWT-SVIDs as in JWT-SVID (section 3: sub, aud, exp; ES256). Keys of workloads are made here,
handed out over the workload's own socket, and never written down.

The authority's keys rest in one file (0600) per generation. A rotation adds a generation: the
bundle holds all that have not expired, and the newest signs once it has been in there for a while.
So nobody is shown what was signed by a key they have not heard of, and nobody has to restart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from jwt.algorithms import ECAlgorithm

from nucleus_issuer import files
from nucleus_tokens.errors import CallerError, CredentialError, WorldError
from nucleus_verifier.rpc.names import SCHEME, WorkloadId, check_trust_domain, workload_id

Clock = Callable[[], int]

SVID_SECONDS: Final = 3600
AUTHORITY_SECONDS: Final = 365 * 86_400
# A clock that runs a little behind ours must not see a certificate from the future.
_BACKDATED: Final = 60
_FILE_BYTES: Final = 16 * 1024
_JWT_CHARS: Final = 8192
_ALGORITHM: Final = "ES256"
_DER: Final = serialization.Encoding.DER
_PEM: Final = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True)
class Generation:
    """One key of the authority, for both kinds of document."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate

    @property
    def id(self) -> str:
        """The key's id in JWTs: the start of the SHA-256 of its public key."""
        public = self.key.public_key().public_bytes(
            _DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        digest = hashes.Hash(hashes.SHA256())
        digest.update(public)
        return digest.finalize()[:16].hex()

    @property
    def expires(self) -> int:
        return int(self.certificate.not_valid_after_utc.timestamp())


@dataclass(frozen=True, slots=True)
class X509Document:
    """An X.509-SVID: DER throughout, times in unix seconds."""

    id: WorkloadId
    chain: bytes
    key: bytes = field(repr=False)
    expires: int


class TrustAuthority:
    """The signing half of one trust domain."""

    def __init__(
        self,
        trust_domain: str,
        generations: Collection[Generation],
        clock: Clock,
        *,
        announce: int = 0,
        since: Mapping[str, int] | None = None,
    ) -> None:
        """`announce` is for how many seconds a key is in the bundle before it signs; `since` says
        from when on each was, by its id: from now on, for the others."""
        self.trust_domain = check_trust_domain(trust_domain)
        self._generations = sorted(generations, key=lambda g: g.expires)
        self._clock = clock
        self._announce = announce
        now = clock()
        self._since = {g.id: (since or {}).get(g.id, now) for g in generations}

    # Keys ---------------------------------------------------------------------------------------

    @classmethod
    def create(cls, directory: Path, trust_domain: str, clock: Clock) -> TrustAuthority:
        """Make the first generation in `directory`. Raises CallerError `identity.exists`."""
        files.private_directory(directory)
        if any(directory.glob("authority-*.json")):
            raise CallerError(
                "identity.exists", f"There is an identity authority in {directory} already."
            )
        _write(directory, 1, _generate(check_trust_domain(trust_domain), clock()))
        return cls.open(directory, clock)

    @classmethod
    def open(
        cls,
        directory: Path,
        clock: Clock,
        *,
        announce: int = 0,
        since: Mapping[str, int] | None = None,
    ) -> TrustAuthority:
        """The authority of `directory`. Raises WorldError `identity.missing` or `identity.file`."""
        found = [_read(path) for path in sorted(directory.glob("authority-*.json"))]
        if not found:
            raise WorldError(
                "identity.missing",
                f"There is no identity authority in {directory}.",
                hint="Make one with: nucleus identity init TRUST_DOMAIN",
            )
        domains = {domain for domain, _ in found}
        if len(domains) != 1:
            raise WorldError("identity.file", f"{directory} holds keys of several trust domains.")
        generations = [generation for _, generation in found]
        return cls(domains.pop(), generations, clock, announce=announce, since=since)

    def again(self, directory: Path) -> TrustAuthority:
        """As the directory is now; what was in the bundle before has been there since. Raises as
        `open`."""
        return self.open(directory, self._clock, announce=self._announce, since=self._since)

    @classmethod
    def rotate(cls, directory: Path, clock: Clock) -> TrustAuthority:
        """Add a generation; what the older ones signed stays valid until it expires."""
        old = cls.open(directory, clock)
        number = 1 + max(_number(path) for path in directory.glob("authority-*.json"))
        _write(directory, number, _generate(old.trust_domain, clock()))
        return cls.open(directory, clock)

    # Documents ----------------------------------------------------------------------------------

    def x509_svid(self, identity: WorkloadId, seconds: int = SVID_SECONDS) -> X509Document:
        """A fresh key and certificate for `identity`. Raises CallerError `identity.id` for an
        identity of another trust domain, WorldError `identity.expired`."""
        self._ours(identity)
        now, signer = self._clock(), self._signer()
        expires = min(now + seconds, signer.expires)
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(str(identity))]
        if identity.dns_name is not None:
            names.append(x509.DNSName(identity.dns_name))
        certificate = (
            x509.CertificateBuilder()
            # Never the authority's own subject: OpenSSL would take the leaf for self-signed.
            .subject_name(_name("workload"))
            .issuer_name(signer.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_time(now - _BACKDATED))
            .not_valid_after(_time(expires))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(signer.key, hashes.SHA256())
        )
        private = key.private_bytes(
            _DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return X509Document(identity, certificate.public_bytes(_DER), private, expires)

    def jwt_svid(self, identity: WorkloadId, audience: Collection[str], seconds: int = 300) -> str:
        """A JWT-SVID for exactly these audiences. Raises CallerError `identity.audience`."""
        self._ours(identity)
        if not audience or not all(audience):
            raise CallerError("identity.audience", "A JWT-SVID needs an audience.")
        now, signer = self._clock(), self._signer()
        claims = {
            "aud": sorted(set(audience)),
            "exp": min(now + seconds, signer.expires),
            "iat": now,
            "sub": str(identity),
        }
        return jwt.encode(
            claims, signer.key, algorithm=_ALGORITHM, headers={"kid": signer.id, "typ": "JWT"}
        )

    def validate_jwt(self, token: str, audience: str) -> tuple[WorkloadId, dict[str, Any]]:
        """Who a JWT-SVID is about, and its claims. Raises CredentialError `identity.jwt`."""
        refused = CredentialError("identity.jwt", "The JWT-SVID is not valid here.")
        try:
            if len(token) > _JWT_CHARS or not audience:
                raise refused
            kid = jwt.get_unverified_header(token).get("kid")
            signer = next(g for g in self._alive() if g.id == kid)
            claims: dict[str, Any] = jwt.decode(
                token,
                signer.key.public_key(),
                algorithms=[_ALGORITHM],
                audience=audience,
                options={
                    "require": ["sub", "aud", "exp"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
            # By our clock, not by the library's.
            if type(claims["exp"]) is not int or self._clock() >= claims["exp"]:
                raise refused
            return workload_id(claims["sub"], self.trust_domain), claims
        except (jwt.PyJWTError, StopIteration, CallerError, TypeError, AttributeError) as error:
            raise refused from error

    # Bundles ------------------------------------------------------------------------------------

    @property
    def trust_domain_id(self) -> str:
        return SCHEME + self.trust_domain

    def x509_bundle(self) -> bytes:
        """Every living root, DER, one after the other."""
        return b"".join(g.certificate.public_bytes(_DER) for g in self._alive())

    def x509_bundle_pem(self) -> bytes:
        """The same as PEM, for servers that read files."""
        return b"".join(g.certificate.public_bytes(_PEM) for g in self._alive())

    def jwt_bundle(self) -> bytes:
        """The living JWT keys as a JWKS (SPIFFE Trust Domain and Bundle, section 4)."""
        keys = []
        for generation in self._alive():
            jwk = ECAlgorithm.to_jwk(generation.key.public_key(), as_dict=True)
            keys.append({**jwk, "kid": generation.id, "use": "jwt-svid"})
        return json.dumps({"keys": keys}, sort_keys=True).encode("utf-8")

    # --------------------------------------------------------------------------------------------

    def _ours(self, identity: WorkloadId) -> None:
        if identity.trust_domain != self.trust_domain:
            raise CallerError("identity.id", f"{identity} is not of {self.trust_domain}.")

    def _alive(self) -> list[Generation]:
        return [g for g in self._generations if g.expires > self._clock()]

    @property
    def settles(self) -> int | None:
        """In how many seconds another key signs, because by then it is known; None for never."""
        now, later = self._clock(), self._alive()[1:]
        return min((at - now for g in later if (at := self._known(g)) > now), default=None)

    def _known(self, generation: Generation) -> int:
        """When everybody has heard of it."""
        return self._since[generation.id] + self._announce

    def _signer(self) -> Generation:
        """The newest that everybody knows. Before there is one, the oldest: it signed before we
        began. One that ends before the next is known is no longer asked."""
        now, alive = self._clock(), self._alive()
        if not alive:
            raise WorldError(
                "identity.expired",
                "Every key of the identity authority has expired.",
                hint="Make a new one with: nucleus identity rotate",
            )
        lasting = [g for g in alive if g.expires > now + 2 * self._announce] or alive[-1:]
        known = [g for g in lasting if self._known(g) <= now]
        return known[-1] if known else lasting[0]


def _generate(trust_domain: str, now: int) -> tuple[str, Generation]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("authority")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_time(now - _BACKDATED))
        .not_valid_after(_time(now + AUTHORITY_SECONDS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(SCHEME + trust_domain)]),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return trust_domain, Generation(key, certificate)


def _write(directory: Path, number: int, made: tuple[str, Generation]) -> None:
    domain, generation = made
    key = generation.key.private_bytes(
        _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    value = {
        "certificate": generation.certificate.public_bytes(_PEM).decode("ascii"),
        "key": key.decode("ascii"),
        "trust_domain": domain,
        "v": 1,
    }
    files.create(directory / f"authority-{number:04}.json", json.dumps(value).encode("ascii"))


def _read(path: Path) -> tuple[str, Generation]:
    bad = WorldError("identity.file", f"{path} is not a key of an identity authority.")
    try:
        value = json.loads(files.read(path, secret=True, most=_FILE_BYTES))
        if sorted(value) != ["certificate", "key", "trust_domain", "v"] or value["v"] != 1:
            raise bad
        key = serialization.load_pem_private_key(value["key"].encode("ascii"), None)
        certificate = x509.load_pem_x509_certificate(value["certificate"].encode("ascii"))
        certificate.verify_directly_issued_by(certificate)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise bad
        if key.public_key() != certificate.public_key():
            raise bad
        return check_trust_domain(value["trust_domain"]), Generation(key, certificate)
    except (
        ValueError, TypeError, AttributeError, KeyError, RecursionError, InvalidSignature
    ) as error:  # fmt: skip
        raise bad from error


def _number(path: Path) -> int:
    digits = path.stem.removeprefix("authority-")
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Nucleus"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Nucleus {common}"),
        ]
    )


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)


def _usage(**given: bool) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: given.get(name, False) for name in names})

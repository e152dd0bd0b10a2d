"""Law: one directory holds one host's keys; each file has one name, one kind and one purpose.

    issuer-<kid>.key  exchange-<kid>.key  approver-<id>.key     sealed by a passphrase
    audience-<akid>.key  trace.key                              plain, for services
    bundle.json                                                 public

Agents' holder keys stand elsewhere, with the agents.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nucleus_issuer import bundle, files, keys
from nucleus_issuer.bundle import Bundle, TrustedApprover, TrustedIssuer
from nucleus_issuer.keys import Key, Passphrase, PublicKey, Random, Strength
from nucleus_issuer.mint import Audience, Signer
from nucleus_issuer.opening import IssuerOpener
from nucleus_tokens import crypto, names
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_verifier.facts import Keys

BUNDLE: Final = "bundle.json"
TRACE: Final = "trace.key"


@dataclass(frozen=True, slots=True)
class Opened:
    """An issuer whose keys were opened: who signs, and the private half of its own seal."""

    signer: Signer
    exchange: Key

    def opener(self) -> IssuerOpener:
        """Opens the tokens that this key signed, of whatever audience."""
        who = (self.signer.iss, self.signer.kid)
        public = crypto.public_of(self.signer.private)
        return IssuerOpener({who: public}, {who: self.exchange.private})


class KeyRing:
    """The keys in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def initialise(
        cls,
        directory: Path,
        *,
        iss: str,
        kid: str,
        audience: str,
        akid: str,
        approver: str,
        random: Random,
        issuer_passphrase: Passphrase,
        approver_passphrase: Passphrase,
        operations: tuple[str, ...] = names.OPERATIONS,
        strength: Strength = "moderate",
    ) -> KeyRing:
        """Make every key of a host and its bundle, or nothing at all: they are made in a directory
        beside, which becomes this one in one step. Raises CallerError `file.exists` where anything
        stands already: nothing is overwritten."""
        if directory.exists() and any(directory.iterdir()):
            raise CallerError("file.exists", f"{directory} is not empty and is not overwritten.")
        ring = cls(directory.with_name(f".{directory.name}.{os.getpid()}.new"))
        made = {
            ring.issuer_path(kid): (keys.generate("issuer", kid, random), issuer_passphrase),
            ring.exchange_path(kid): (keys.generate("exchange", kid, random), issuer_passphrase),
            ring.approver_path(approver): (
                keys.generate("approver", approver, random),
                approver_passphrase,
            ),
            ring.audience_path(akid): (keys.generate("audience", akid, random), None),
            ring.directory / TRACE: (keys.generate("trace", "trace", random), None),
        }
        files.private_directory(ring.directory)
        try:
            for path, (key, passphrase) in made.items():
                keys.write(path, key, random=random, passphrase=passphrase, strength=strength)
            public = {key.kind: key.public for key, _ in made.values()}
            may = tuple(sorted(operations))
            files.create(
                ring.directory / BUNDLE,
                Bundle(
                    audience,
                    (TrustedIssuer(iss, kid, public["issuer"]),),
                    (TrustedApprover(approver, public["approver"], may, True),),
                    (Audience(audience, akid, public["audience"]),),
                ).encode(),
                0o644,
            )
            files.become(ring.directory, directory)
        except BaseException:
            files.remove_directory(ring.directory)
            raise
        return cls(directory)

    # Where things stand -----------------------------------------------------------------------

    def issuer_path(self, kid: str) -> Path:
        return self.directory / f"issuer-{keys.check_name(kid)}.key"

    def exchange_path(self, kid: str) -> Path:
        return self.directory / f"exchange-{keys.check_name(kid)}.key"

    def approver_path(self, approver: str) -> Path:
        return self.directory / f"approver-{keys.check_name(approver)}.key"

    def audience_path(self, akid: str) -> Path:
        return self.directory / f"audience-{keys.check_name(akid)}.key"

    # Opening ----------------------------------------------------------------------------------

    def bundle(self) -> Bundle:
        """Whom this host believes. Raises WorldError."""
        return bundle.load(self.directory / BUNDLE)

    def save_bundle(self, new: Bundle) -> None:
        """Believe somebody else from now on."""
        bundle.save(self.directory / BUNDLE, new)

    def verifier_keys(self) -> Keys:
        """What a verifier on this host is started with: needs no passphrase. Raises WorldError."""
        trusted = self.bundle()
        private = {
            a.akid: keys.read(self.audience_path(a.akid), "audience").private
            for a in trusted.audiences
            if a.name == trusted.audience and self.audience_path(a.akid).exists()
        }
        if not private:
            raise WorldError(
                "keys.no_audience",
                f"No key of the audience {trusted.audience} is here: restore it, or make one.",
            )
        return trusted.keys(private)

    def issuer(self, kid: str, passphrase: Passphrase) -> Opened:
        """Open the issuer's keys. Raises WorldError `keys.not_in_bundle` for a kid that no
        verifier of this host would believe."""
        issuer = keys.read(self.issuer_path(kid), "issuer", passphrase)
        exchange = keys.read(self.exchange_path(kid), "exchange", passphrase)
        for trusted in self.bundle().issuers:
            if trusted.kid == kid and trusted.public == issuer.public:
                return Opened(Signer(trusted.iss, kid, issuer.private, exchange.public), exchange)
        raise WorldError("keys.not_in_bundle", f"The bundle does not list the issuer key {kid}.")

    def issuers(self, passphrase: Passphrase) -> list[Opened]:
        """Every issuer's key that is here and that the bundle lists, the latest (by id) last:
        what the earlier ones signed is still exchanged and revoked. Raises as `issuer` does."""
        here = sorted(i.kid for i in self.bundle().issuers if self.issuer_path(i.kid).exists())
        return [self.issuer(kid, passphrase) for kid in here]

    def approver(self, approver: str, passphrase: Passphrase) -> Key:
        """Open an approver's key. Raises WorldError or CallerError."""
        return keys.read(self.approver_path(approver), "approver", passphrase)

    def trace(self) -> Key:
        """The key that signs checkpoints. Raises WorldError."""
        return keys.read(self.directory / TRACE, "trace")


def make_holder(path: Path, holder: str, random: Random) -> PublicKey:
    """A new Ed25519 key for an agent, in a plain file (0600) on its side."""
    key = keys.generate("holder", holder, random)
    keys.write(path, key, random=random)
    return PublicKey(key.kind, key.id, key.public)


def read_holder(path: Path) -> Key:
    """An agent's key. Raises WorldError."""
    return keys.read(path, "holder")

"""Law: one directory holds one host's keys; each file has one name, one kind and one purpose.

    issuer-<kid>.key  exchange-<kid>.key  approver-<id>.key     sealed by a passphrase
    audience-<akid>.key  trace.key                              plain, for services
    bundle.json                                                 public

Agents' holder keys stand elsewhere, with the agents.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from nucleus_issuer import bundle, files, keys
from nucleus_issuer.bundle import Bundle, TrustedApprover, TrustedIssuer
from nucleus_issuer.keys import Key, Kind, Passphrase, PublicKey, Random, Strength
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

    @classmethod
    def join(
        cls, directory: Path, *, akid: str, random: Random, told: Callable[[bytes], Bundle]
    ) -> KeyRing:
        """Make the keys of a verifier's host, or nothing: `told` makes the audience's public key
        known elsewhere, and gives whom to believe. Raises what it raises, and CallerError
        `file.exists`."""
        if directory.exists() and any(directory.iterdir()):
            raise CallerError("file.exists", f"{directory} is not empty and is not overwritten.")
        ring = cls(directory.with_name(f".{directory.name}.{os.getpid()}.new"))
        own = keys.generate("audience", akid, random)
        files.private_directory(ring.directory)
        try:
            keys.write(ring.audience_path(akid), own, random=random)
            trace = keys.generate("trace", "trace", random)
            keys.write(ring.directory / TRACE, trace, random=random)
            files.create(ring.directory / BUNDLE, told(own.public).encode(), 0o644)
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

    # Rotating ---------------------------------------------------------------------------------

    def rotate(
        self, kid: str, *, random: Random, passphrase: Passphrase, strength: Strength = "moderate"
    ) -> TrustedIssuer:
        """Make the next issuer's and exchange key, under the passphrase of the one before. With
        the bundle, which is written last, it exists; the one before is believed until `retire`.

        Raises CallerError `keys.not_later`: the latest key is the last by name. WorldError
        `keys.passphrase` for another passphrase than that of the key before."""
        trusted = self.bundle()
        before = self.issuers(passphrase)
        if not before:
            raise CallerError("keys.no_issuer", "No issuer's key is here that could be followed.")
        latest = max(issuer.kid for issuer in trusted.issuers)
        if keys.check_name(kid) <= latest:
            raise CallerError(
                "keys.not_later", f"A new key's name comes after {latest!r} in the alphabet."
            )
        made = keys.generate("issuer", kid, random)
        exchange = keys.generate("exchange", kid, random)
        # What an interrupted run left is of no use to anybody: no bundle names it.
        for path, key in ((self.issuer_path(kid), made), (self.exchange_path(kid), exchange)):
            path.unlink(missing_ok=True)
            keys.write(path, key, random=random, passphrase=passphrase, strength=strength)
        new = TrustedIssuer(before[-1].signer.iss, kid, made.public)
        self.save_bundle(replace(trusted, issuers=(*trusted.issuers, new)))
        return new

    def reseal(
        self, old: Passphrase, new: Passphrase, *, random: Random, strength: Strength = "moderate"
    ) -> list[str]:
        """Seal the issuer's keys anew, under another passphrase; their ids. What an interrupted
        run has sealed already is left alone. Raises WorldError or CallerError `keys.*`."""
        done = []
        for issuer in self.bundle().issuers:
            both: tuple[tuple[Path, Kind], ...] = (
                (self.issuer_path(issuer.kid), "issuer"),
                (self.exchange_path(issuer.kid), "exchange"),
            )
            for path, kind in both:
                if not path.exists():
                    continue
                try:
                    keys.read(path, kind, new)
                except WorldError as error:
                    if error.code != "keys.passphrase":
                        raise
                    key = keys.read(path, kind, old)
                    beside = path.with_name(f".{path.name}.new")
                    beside.unlink(missing_ok=True)
                    keys.write(beside, key, random=random, passphrase=new, strength=strength)
                    keys.read(beside, kind, new)  # before the other is gone
                    files.become(beside, path)
                done.append(f"{kind} {issuer.kid}")
        return done

    def retire(self, kid: str) -> None:
        """Believe a key no more: everything it signed is refused from now on. Raises CallerError
        `keys.last`, `keys.unknown`."""
        trusted = self.bundle()
        left = tuple(issuer for issuer in trusted.issuers if issuer.kid != kid)
        if len(left) == len(trusted.issuers):
            raise CallerError("keys.unknown", "The bundle lists no issuer's key of this name.")
        if not left:
            raise CallerError("keys.last", "It is the only issuer's key: rotate first.")
        self.save_bundle(replace(trusted, issuers=left))

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

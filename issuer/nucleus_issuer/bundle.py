"""Law: whom a verifier believes stands in one public file; what is not listed does not exist.

The bundle names one audience, the issuers and approvers it believes, and the audiences an issuer
may seal to. With the audience's private keys it becomes `nucleus_verifier.facts.Keys`. It holds no
secret, but whoever can write it decides what is believed: it is refused if others can.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nucleus_issuer import files
from nucleus_issuer.mint import Audience
from nucleus_tokens import canonical, crypto, names
from nucleus_tokens.errors import CallerError, NucleusError, WorldError
from nucleus_verifier.facts import Approver, Keys

_FILE_BYTES: Final = 256 * 1024
_FIELDS: Final = ["approvers", "audience", "audiences", "issuers", "type", "v"]
_EPOCH_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer's Ed25519 key."""

    iss: str
    kid: str
    public: bytes


@dataclass(frozen=True, slots=True)
class TrustedApprover:
    """An approver's Ed25519 key, the operations (names) it may approve, and whether it may
    release values (declassify) as well."""

    id: str
    key: bytes
    operations: tuple[str, ...]
    releases: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    """Whom one audience believes."""

    audience: str
    issuers: tuple[TrustedIssuer, ...]
    approvers: tuple[TrustedApprover, ...]
    audiences: tuple[Audience, ...]

    def encode(self) -> bytes:
        """The one spelling of this bundle. Raises CallerError `bundle.malformed`."""
        value = {
            "approvers": [
                {
                    "id": a.id,
                    "key": a.key.hex(),
                    "operations": sorted(a.operations),
                    **({"releases": True} if a.releases else {}),
                }
                for a in sorted(self.approvers, key=lambda a: a.id)
            ],
            "audience": self.audience,
            "audiences": [
                {"akid": a.akid, "name": a.name, "public": a.public.hex()}
                for a in sorted(self.audiences, key=lambda a: (a.name, a.akid))
            ],
            "issuers": [
                {"iss": i.iss, "kid": i.kid, "public": i.public.hex()}
                for i in sorted(self.issuers, key=lambda i: (i.iss, i.kid))
            ],
            "type": "nucleus-bundle",
            "v": 1,
        }
        try:
            data = canonical.encode(value) + b"\n"
            decode(data)
        except (ValueError, WorldError) as error:
            raise CallerError("bundle.malformed", f"This bundle cannot be: {error}.") from error
        return data

    def keys(self, private: Mapping[str, bytes]) -> Keys:
        """What a verifier is started with; `private` maps akid to the audience's X25519 key.

        Raises WorldError `bundle.audience_key` for a key the bundle does not list.
        """
        listed = {a.akid: a.public for a in self.audiences if a.name == self.audience}
        for akid, key in private.items():
            if akid not in listed or not crypto.same(listed[akid], crypto.exchange_public_of(key)):
                raise WorldError(
                    "bundle.audience_key",
                    f"The audience key {akid} is not the one the bundle lists for {self.audience}.",
                )
        return Keys(
            audience=self.audience,
            audience_keys=dict(private),
            issuers={(i.iss, i.kid): i.public for i in self.issuers},
            approvers={
                a.id: Approver(a.key, names.obligation_bits(a.operations)) for a in self.approvers
            },
            # Caches of what was verified under another bundle are never asked.
            epoch=int.from_bytes(crypto.sha256(self.encode())[:_EPOCH_BYTES], "big"),
        )

    def releasers(self) -> dict[str, bytes]:
        """The keys, by id, that may sign a release of a value."""
        return {a.id: a.key for a in self.approvers if a.releases}

    def audience_named(self, name: str | None = None) -> Audience:
        """Where to seal to; the latest key (by id) of that audience. Raises CallerError
        `audience.unknown`."""
        wanted = self.audience if name is None else name
        found = [a for a in self.audiences if a.name == wanted]
        if not found:
            raise CallerError(
                "audience.unknown", "The bundle lists no audience of this name: register it first."
            )
        return max(found, key=lambda a: a.akid)


def decode(data: bytes) -> Bundle:
    """Read a bundle. Raises WorldError `bundle.malformed` for every other byte string."""
    try:
        value = canonical.decode(data.removesuffix(b"\n"))
        if type(value) is not dict or sorted(value) != _FIELDS:
            raise ValueError("fields")
        if (value["type"], value["v"]) != ("nucleus-bundle", 1):
            raise ValueError("type")
        bundle = Bundle(
            _text(value["audience"]),
            tuple(
                TrustedIssuer(_text(iss), _text(kid), _key(public))
                for iss, kid, public in _items(value["issuers"], ["iss", "kid", "public"])
            ),
            tuple(
                TrustedApprover(_text(id_), _key(key), _operations(operations), releases)
                for (id_, key, operations), releases in map(_approver, value["approvers"])
            ),
            tuple(
                Audience(_text(name), _text(akid), _key(public))
                for akid, name, public in _items(value["audiences"], ["akid", "name", "public"])
            ),
        )
        _distinct([(i.iss, i.kid) for i in bundle.issuers])
        _distinct([a.id for a in bundle.approvers])
        # One person under two names would be two voices where policy wants two people.
        _distinct([a.key for a in bundle.approvers])
        _distinct([(a.name, a.akid) for a in bundle.audiences])
    except (ValueError, TypeError, NucleusError) as error:
        raise WorldError(
            "bundle.malformed", "The bundle is damaged or not a bundle: write it anew."
        ) from error
    return bundle


def load(path: Path) -> Bundle:
    """Read a bundle file. Raises WorldError `bundle.malformed` or `file.*`."""
    return decode(files.read(path, secret=False, most=_FILE_BYTES))


def save(path: Path, bundle: Bundle) -> None:
    """Write a bundle file, whole, in place of the one before. Others may read it."""
    files.replace(path, bundle.encode(), 0o644)


def _items(value: Any, fields: list[str]) -> list[list[Any]]:
    if type(value) is not list or any(type(v) is not dict or sorted(v) != fields for v in value):
        raise ValueError("items")
    return [[item[f] for f in fields] for item in value]


def _approver(item: Any) -> tuple[list[Any], bool]:
    """A key that may not release says nothing of it: there is one spelling."""
    releases = type(item) is dict and item.get("releases") is True
    plain = {k: v for k, v in item.items() if k != "releases"} if releases else item
    return _items([plain], ["id", "key", "operations"])[0], releases


def _text(value: Any) -> str:
    if type(value) is not str or not value:
        raise ValueError("text")
    return value


def _key(value: Any) -> bytes:
    if type(value) is not str or len(value) != 2 * crypto.KEY_BYTES or value != value.lower():
        raise ValueError("key")
    return bytes.fromhex(value)


def _operations(value: Any) -> tuple[str, ...]:
    if type(value) is not list or value != sorted(set(value)):
        raise ValueError("operations")
    names.obligation_bits(value)
    return tuple(value)


def _distinct(values: list[Any]) -> None:
    if len(values) != len(set(values)):
        raise ValueError("twice")

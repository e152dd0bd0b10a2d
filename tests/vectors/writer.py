"""A second writer of "nucleus token v1": hashlib, hmac, json and libsodium, nothing of ours.

It follows the specification and not the source, writes whatever it is told (also what no verifier
may accept) and is deterministic: where libsodium would draw an ephemeral key for a sealed box,
this takes a given one. What comes out is a sealed box like any other (`test_vectors` opens it).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from nacl import bindings

GROUP_ORDER: Final = 2**252 + 27742317777372353535851937790883648493


def key(name: str) -> bytes:
    """32 bytes that follow from a name."""
    return hashlib.sha256(b"nucleus vectors v1\0" + name.encode()).digest()


def name16(name: str) -> str:
    """16 bytes in hex that follow from a name: a tid, a nonce, a link, an approval's id."""
    return key(name)[:16].hex()


@functools.cache
def public(private: bytes) -> bytes:
    """Ed25519."""
    made: bytes = bindings.crypto_sign_seed_keypair(private)[0]
    return made


@functools.cache
def exchange_public(private: bytes) -> bytes:
    """X25519."""
    made: bytes = bindings.crypto_scalarmult_base(private)
    return made


def sign(private: bytes, message: bytes) -> bytes:
    """Ed25519, 64 bytes."""
    both = bindings.crypto_sign(message, bindings.crypto_sign_seed_keypair(private)[1])
    return bytes(both[:64])


def other_signature(signature: bytes) -> bytes:
    """(R, S + L): the same group equation, another byte string. RFC 8032 wants S < L."""
    moved = int.from_bytes(signature[32:], "little") + GROUP_ORDER
    return signature[:32] + moved.to_bytes(32, "little")


def seal(to: bytes, plain: bytes, ephemeral: bytes) -> bytes:
    """libsodium's crypto_box_seal with a given ephemeral key."""
    shown = exchange_public(ephemeral)
    nonce = hashlib.blake2b(shown + to, digest_size=24).digest()
    return shown + bytes(bindings.crypto_box(plain, nonce, to, ephemeral))


def canonical(value: Any) -> bytes:
    """No white space, keys in order, characters as they are."""
    return json.dumps(
        value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False
    ).encode("utf-8", "surrogatepass")


def digest_of_args(args: Any) -> str:
    """For arguments whose canonical form and RFC 8785 form are the same: no floats, ASCII keys."""
    return hashlib.sha256(b"nucleus/args/v1\0" + canonical(args)).hexdigest()


def digest_of_call(tool: str, args: Any) -> str:
    """What an approval of one call names."""
    spelled = tool.encode()
    head = b"nucleus/call/v1\0" + len(spelled).to_bytes(4, "big") + spelled
    return hashlib.sha256(head + bytes.fromhex(digest_of_args(args))).hexdigest()


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def varint(number: int) -> bytes:
    """LEB128, least significant group first."""
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


def field(data: bytes, kind: int = 2) -> bytes:
    """One libmacaroons v2 field."""
    return bytes((kind,)) + varint(len(data)) + data


def mac(secret: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256."""
    return hmac.digest(secret, message, "sha256")


def root_tag(root_key: bytes, identifier: bytes) -> bytes:
    """The chain's first tag."""
    return mac(mac(b"macaroons-key-generator".ljust(32, b"\0"), root_key), identifier)


def header(
    body: Mapping[str, Any] | bytes,
    *,
    issuer: bytes,
    audience: bytes,
    exchange: bytes,
    root_key: bytes,
    salt: str,
    separator: bytes = b"\0",
) -> bytes:
    """An identifier: signature, body, zero, two seals. `salt` names the ephemeral keys."""
    spelled = body if isinstance(body, bytes) else canonical(body)
    seals = seal(audience, root_key, key(f"ephemeral 1 {salt}"))
    seals += seal(exchange, root_key, key(f"ephemeral 2 {salt}"))
    signed = spelled + separator + seals
    return sign(issuer, b"nucleus/header/v1\0" + signed) + signed


@dataclass(frozen=True)
class Chain:
    """A token as its parts, and the tag after every part: what revocation ids are made from."""

    identifier: bytes
    caveats: tuple[bytes, ...]
    tags: tuple[bytes, ...]

    @property
    def tag(self) -> bytes:
        return self.tags[-1]

    def add(self, *caveats: list[Any] | bytes) -> Chain:
        """Append caveats, as values or as raw bytes; the tag holds whatever they are."""
        made = self
        for caveat in caveats:
            raw = caveat if isinstance(caveat, bytes) else canonical(caveat)
            tag = mac(made.tag, raw)
            made = Chain(made.identifier, (*made.caveats, raw), (*made.tags, tag))
        return made

    def digest(self) -> bytes:
        """Of the identifier and all caveats, each with its length before it."""
        parts = (self.identifier, *self.caveats)
        spelled = b"".join(len(p).to_bytes(4, "big") + p for p in parts)
        return hashlib.sha256(spelled).digest()

    def hand(
        self, giver: str, taker: str, depth: int, *, covers: Chain | None = None, **change: Any
    ) -> Chain:
        """Delegate; `covers` is the chain that is signed when it is not this one."""
        body = {
            "depth": depth,
            "key": public(key(taker)).hex(),
            "purpose": "summarise",
            "to": taker,
            **change,
        }
        signed = (covers or self).digest() + canonical(["delegate", body])
        signature = sign(key(giver), b"nucleus/delegate/v1\0" + signed)
        return self.add(["delegate", body, signature.hex()])

    def bind(self, tool: str, args: Any, /, **change: Any) -> Chain:
        """Append a request."""
        body = {
            "args": digest_of_args(args),
            "instance": "verifier:vectors",
            "nonce": name16("nonce"),
            "time": NOW,
            "tool": tool,
            **change,
        }
        return self.add(["req", body])

    def proof(self, holder: str) -> bytes:
        """The holder's signature over all of it."""
        return sign(key(holder), b"nucleus/proof/v1\0" + self.digest())

    def raw(self, *, tail: bytes | None = None) -> bytes:
        """libmacaroons v2, with the empty location that pymacaroons writes."""
        sections = b"".join(field(c) + b"\0" for c in self.caveats)
        end = b"\0" + field(self.tag, 6) if tail is None else tail
        return b"\x02" + field(b"", 1) + field(self.identifier) + b"\0" + sections + end

    def text(self, proof: bytes | None = None) -> str:
        """The credential."""
        return text(self.raw(), proof)

    def preimages(self) -> tuple[bytes, ...]:
        """What revokes each prefix when it is shown."""
        return tuple(mac(tag, b"nucleus/revoke/v1") for tag in self.tags)

    def rids(self) -> tuple[str, ...]:
        """The public revocation id of each prefix, the bare header's first."""
        return tuple(hashlib.sha256(b"rid" + p).hexdigest()[:32] for p in self.preimages())

    def with_tag(self, tag: bytes) -> Chain:
        """The same chain under another last tag."""
        return replace(self, tags=(*self.tags[:-1], tag))


def begin(identifier: bytes, root_key: bytes) -> Chain:
    """The chain with no caveat."""
    return Chain(identifier, (), (root_tag(root_key, identifier),))


def text(raw: bytes, proof: bytes | None = None) -> str:
    """`nuc1_<token>` or `nuc1_<token>.<proof>`."""
    return "nuc1_" + b64(raw) + ("" if proof is None else "." + b64(proof))


NOW: Final = 1_800_000_000

"""Law: every cryptographic primitive Nucleus uses is one function here; nothing is negotiable.

MAC: HMAC-SHA-256 (RFC 2104), byte for byte what libmacaroons computes. Signatures: Ed25519
(RFC 8032, libsodium's strict verification). Sealing: X25519 sealed boxes (libsodium
`crypto_box_seal`). Callers use `crypto.mac(...)`, never a copied name, so that the symbolic
unforgeability check can run the real token code over terms instead of bytes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from nacl.signing import SigningKey

KEY_BYTES = 32
SIGNATURE_BYTES = 64
# An X25519 sealed box is an ephemeral public key (32), a Poly1305 tag (16) and the plaintext.
SEALED_KEY_BYTES = 32 + 16 + KEY_BYTES

_INNER = bytes(x ^ 0x36 for x in range(256))
_OUTER = bytes(x ^ 0x5C for x in range(256))
_PAD = bytes(32)


def sha256(data: bytes) -> bytes:
    """SHA-256 of `data`, 32 bytes."""
    return hashlib.sha256(data).digest()


def mac(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256 under a 32-byte key (RFC 2104), written out because it runs per caveat."""
    block = key + _PAD
    return hashlib.sha256(
        block.translate(_OUTER) + hashlib.sha256(block.translate(_INNER) + message).digest()
    ).digest()


def mac_chain(key: bytes, messages: Iterable[bytes]) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """`mac` of each message under the MAC before it: the last, and each of them ready for `macs`.

    Written out like `mac`: what makes a key ready serves both MACs under it.
    """
    hashed, inner, outer, pad = hashlib.sha256, _INNER, _OUTER, _PAD
    block = key + pad
    into, over = block.translate(inner), block.translate(outer)
    ready = []
    for message in messages:
        key = hashed(over + hashed(into + message).digest()).digest()
        block = key + pad
        into, over = block.translate(inner), block.translate(outer)
        ready.append((into, over))
    return key, ready


def macs(ready: Iterable[tuple[bytes, bytes]], message: bytes) -> list[bytes]:
    """`mac` of one message under each of the keys that `mac_chain` made ready."""
    hashed = hashlib.sha256
    return [hashed(over + hashed(into + message).digest()).digest() for into, over in ready]


def same(a: bytes, b: bytes) -> bool:
    """Constant-time equality of two secrets or tags."""
    return hmac.compare_digest(a, b)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """True iff `signature` (64 bytes) is an Ed25519 signature of `message` under `public`."""
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public)
    except (CryptoError, ValueError, TypeError):
        return False
    return True


def sign(private: bytes, message: bytes) -> bytes:
    """The 64-byte Ed25519 signature of `message` under a 32-byte seed."""
    return SigningKey(private).sign(message).signature


def public_of(private: bytes) -> bytes:
    """The Ed25519 public key of a 32-byte seed."""
    return bytes(SigningKey(private).verify_key)


def exchange_public_of(private: bytes) -> bytes:
    """The X25519 public key of a 32-byte private key."""
    return bytes(PrivateKey(private).public_key)


def seal(public: bytes, key: bytes) -> bytes:
    """Seal a 32-byte key to an X25519 public key. Not deterministic: libsodium draws a key."""
    return bytes(SealedBox(PublicKey(public)).encrypt(key))


def unseal(private: bytes, public: bytes, sealed: bytes) -> bytes | None:
    """The sealed bytes, or None when the box was not made for this key or was altered.

    `public` belongs to `private`: computing it anew would cost half of the opening.
    """
    try:
        return bytes(bindings.crypto_box_seal_open(sealed, public, private))
    except (CryptoError, ValueError, TypeError):
        return None

"""Law: the bytes of a macaroon, read in exactly one spelling, and their MAC chain.

This file knows libmacaroons' v2 binary form and HMAC. It knows nothing of what an identifier or a
caveat means. The canonical spelling is the one pymacaroons writes: an empty location field,
first-party caveats only, minimal varints, a 32-byte tag, and nothing after it.

    02  01 00  02 <n> identifier 00  ( 02 <n> caveat 00 )*  00  06 20 <tag>
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from typing import Final, NamedTuple

from nucleus_tokens import crypto
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.limits import CAVEATS, CREDENTIAL_CHARS

PREFIX: Final = "nuc1_"
HEAD: Final = b"\x02\x01\x00"
TAIL: Final = b"\x00\x06\x20"
_TO_URL = bytes.maketrans(b"+/", b"-_")
# Characters of the other alphabet, and padding, become one that strict decoding refuses.
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")
# By how many characters stand in an unfinished group: those without unused bits.
_LAST: Final = (bytes(range(256)), b"", b"AQgw", b"AEIMQUYcgkosw048")
# What libmacaroons derives every root key with (macaroons.c, "macaroons-key-generator").
_GENERATOR: Final = b"macaroons-key-generator".ljust(32, b"\x00")
_REVOKE: Final = b"nucleus/revoke/v1"


class UnverifiedToken(NamedTuple):
    """A well-formed chain nobody has checked: no field of it may be believed."""

    identifier: bytes
    caveats: tuple[bytes, ...]
    tag: bytes


class UnverifiedCredential(NamedTuple):
    """A token as it was presented, with the holder's proof if one came with it."""

    token: UnverifiedToken
    proof: bytes | None


class Spelled(NamedTuple):
    """The start of a credential in whole groups of four characters, and the bytes they spell."""

    text: str
    raw: bytes


NOTHING: Final = Spelled(PREFIX, b"")


def _malformed(why: str) -> CredentialError:
    return CredentialError("token.malformed", f"The token is not well formed: {why}.")


def to_text(raw: bytes) -> str:
    """base64url without padding (RFC 4648 section 5)."""
    return binascii.b2a_base64(raw, newline=False).translate(_TO_URL).rstrip(b"=").decode()


def from_text(text: str) -> bytes:
    """The bytes of the one base64url spelling. Raises CredentialError `token.encoding`."""
    try:
        spelled = text.encode("ascii")
        raw = binascii.a2b_base64(
            spelled.translate(_FROM_URL) + b"=" * (-len(spelled) % 4), strict_mode=True
        )
    except (ValueError, UnicodeError) as error:
        raise CredentialError("token.encoding", "Not base64url without padding.") from error
    # What is left to vary are the unused bits of the last character.
    if spelled and spelled[-1] not in _LAST[len(spelled) % 4]:
        raise CredentialError("token.encoding", "Not the canonical base64url spelling.")
    return raw


def _field(raw: bytes, at: int) -> tuple[bytes, int]:
    """The identifier field (type 2) that starts at `at`, and the index after its terminator."""
    if raw[at] != 2:
        raise _malformed("a field of an unexpected type")
    length = raw[at + 1]
    start = at + 2
    if length >= 128:
        high = raw[start]
        if high == 0 or high >= 128:
            raise _malformed("a length that is not minimal")
        length = (length & 127) | high << 7
        start += 1
    end = start + length
    if raw[end] != 0:
        raise _malformed("a section that is not first-party")
    return raw[start:end], end + 1


def parse(raw: bytes) -> UnverifiedToken:
    """Read one token. Raises CredentialError `token.malformed` for every other byte string."""
    try:
        if raw[:3] != HEAD:
            raise _malformed("not libmacaroons v2 with an empty location")
        identifier, at = _field(raw, 3)
        caveats: list[bytes] = []
        while raw[at] == 2:
            # `_field` again, without the call: most caveats are shorter than 128 bytes.
            size = raw[at + 1]
            end = at + 2 + size
            if size < 128 and raw[end] == 0:
                caveats.append(raw[at + 2 : end])
                at = end + 1
            else:
                caveat, at = _field(raw, at)
                caveats.append(caveat)
        if len(caveats) > CAVEATS:
            raise _malformed(f"more than {CAVEATS} caveats")
        if raw[at : at + 3] != TAIL or len(raw) != at + 35:
            raise _malformed("no 32-byte tag at the end, or bytes after it")
    except IndexError as error:
        raise _malformed("it ends too early") from error
    return UnverifiedToken(identifier, tuple(caveats), raw[at + 3 :])


def read_credential(text: str, start: Spelled = NOTHING) -> UnverifiedCredential:
    """Step 1: `nuc1_<token>` or `nuc1_<token>.<proof>`, at most 7,168 characters.

    `start` is how the text begins, where that was read before: it is not read again. Raises
    CredentialError `token.encoding`, `token.too_large` or `token.malformed`.
    """
    if type(text) is not str or not text.startswith(PREFIX):
        raise CredentialError("token.encoding", "A credential starts with nuc1_.")
    if len(text) > CREDENTIAL_CHARS:
        raise CredentialError(
            "token.too_large", f"A credential has at most {CREDENTIAL_CHARS} characters."
        )
    body, dot, proof_text = text[len(start.text) :].partition(".")
    proof = from_text(proof_text) if dot else None
    if proof is not None and len(proof) != crypto.SIGNATURE_BYTES:
        raise _malformed("a proof that is not 64 bytes")
    return UnverifiedCredential(parse(start.raw + from_text(body)), proof)


# The chain ------------------------------------------------------------------------------------


def first_tag(root_key: bytes, identifier: bytes) -> bytes:
    """tag_0 under a token's root key, as libmacaroons computes it."""
    return crypto.mac(crypto.mac(_GENERATOR, root_key), identifier)


def follow(tag: bytes, caveats: Iterable[bytes]) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The tag after all the caveats, and every tag on the way as `rids` takes it."""
    return crypto.mac_chain(tag, caveats)


# Revocation ids -------------------------------------------------------------------------------


def preimage(tag: bytes) -> bytes:
    """rev_i: shows that one held the prefix with this tag, and tells nothing of the tag."""
    return crypto.mac(tag, _REVOKE)


def rid_of_preimage(rev: bytes) -> str:
    """rid_i, public: 16 bytes in hex. Revoking it kills every token that extends this prefix."""
    return crypto.sha256(b"rid" + rev)[:16].hex()


def rid(tag: bytes) -> str:
    """The revocation id of the prefix with this tag."""
    return rid_of_preimage(preimage(tag))


def rids(tags: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """The revocation ids of the prefixes with these tags."""
    sha256 = crypto.sha256
    return [sha256(b"rid" + rev)[:16].hex() for rev in crypto.macs(tags, _REVOKE)]


# What holders sign -----------------------------------------------------------------------------


def _measured(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def prefix_digest(identifier: bytes, caveats: Iterable[bytes]) -> bytes:
    """SHA-256 of the identifier and the caveats, each with its length before it."""
    return crypto.sha256(b"".join((_measured(identifier), *map(_measured, caveats))))


def delegate_message(identifier: bytes, before: Iterable[bytes], unsigned: bytes) -> bytes:
    """What a delegate signature covers: the whole prefix, and the caveat without its signature."""
    return b"nucleus/delegate/v1\0" + prefix_digest(identifier, before) + unsigned


def proof_message(identifier: bytes, caveats: Iterable[bytes]) -> bytes:
    """What a request proof covers: the identifier and every caveat, the request included."""
    return b"nucleus/proof/v1\0" + prefix_digest(identifier, caveats)

"""Law: a second opinion on the bytes. Two implementations read one token, and must see one token.

The kernel's chain and pymacaroons each parse the same text, compute the tags under the root key
that the audience's seal holds, and write it again. `cross_check` says where they differ. What the
caveats mean is no part of it: pymacaroons does not know. It judges nothing and gives no authority;
an agreement that both accept is not a decision.

Some differences are by design: pymacaroons takes other spellings of a token, and does not notice a
caveat that nobody signed when it is not met (docs/spec/token.md). The kernel refuses all of these.
"""

from __future__ import annotations

from dataclasses import dataclass

from nucleus_tokens import chain, crypto, header, writing
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.limits import CREDENTIAL_CHARS
from nucleus_verifier.facts import Keys

_WHAT = ("identifier", "caveats", "tag", "text", "chain")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one implementation makes of a text. `refused` is empty when it read a token."""

    refused: str
    identifier: bytes = b""
    caveats: tuple[bytes, ...] = ()
    tag: bytes = b""
    text: str = ""  # the token, written again
    holds: bool | None = None  # the chain's tag, under the audience's key; None without a root key


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """Both readings, and one sentence for each difference."""

    ours: Reading
    theirs: Reading
    differences: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Both refuse the text, or both read the same token and say the same of its chain."""
        return not self.differences


def cross_check(text: str, keys: Keys) -> CrossCheck:
    """Read a credential's token with the kernel and with pymacaroons. Total: no text raises."""
    ours, theirs = _ours(text, keys), _theirs(text, keys)
    return CrossCheck(ours, theirs, _differences(ours, theirs))


def _differences(ours: Reading, theirs: Reading) -> tuple[str, ...]:
    if ours.refused and theirs.refused:
        return ()
    if ours.refused:
        return (f"pymacaroons reads it, the kernel does not: {ours.refused}",)
    if theirs.refused:
        return (f"the kernel reads it, pymacaroons does not: {theirs.refused}",)
    pairs = (
        (ours.identifier, theirs.identifier),
        (ours.caveats, theirs.caveats),
        (ours.tag, theirs.tag),
        (ours.text, theirs.text),
        (ours.holds, theirs.holds),
    )
    return tuple(
        f"they differ on the {what}"
        for what, (mine, other) in zip(_WHAT, pairs, strict=True)
        if mine != other
    )


def _ours(text: str, keys: Keys) -> Reading:
    try:
        token = chain.read_credential(text).token
    except CredentialError as error:
        return Reading(error.code)
    root_key = _root_key(token.identifier, keys)
    holds = None
    if root_key is not None:
        first = chain.first_tag(root_key, token.identifier)
        holds = crypto.same(chain.follow(first, token.caveats)[0], token.tag)
    written = chain.to_text(writing.render(token))
    return Reading("", token.identifier, token.caveats, token.tag, written, holds)


def _theirs(text: str, keys: Keys) -> Reading:
    # Heavy, and only a second opinion needs it.
    from pymacaroons import Macaroon, Verifier
    from pymacaroons.exceptions import MacaroonInvalidSignatureException

    if type(text) is not str or not text.startswith(chain.PREFIX):
        return Reading("no token of ours")
    if len(text) > CREDENTIAL_CHARS:
        return Reading("too long to be given to a parser without limits")
    try:
        read = Macaroon.deserialize(text[len(chain.PREFIX) :].partition(".")[0])
        identifier, tag = _octets(read.identifier), bytes.fromhex(read.signature)
        caveats = tuple(_octets(caveat.caveat_id) for caveat in read.caveats)
        written = read.serialize().rstrip("=")
        root_key = _root_key(identifier, keys)
    except Exception as error:  # noqa: BLE001  pymacaroons raises whatever happens, bare Exception too
        return Reading(f"{type(error).__name__}: {error}")
    if root_key is None:
        return Reading("", identifier, caveats, tag, written)
    try:
        judge = Verifier()
        judge.satisfy_general(lambda _: True)
        holds = bool(judge.verify(read, root_key, []))
    except MacaroonInvalidSignatureException:
        holds = False
    except Exception as error:  # noqa: BLE001  as above
        return Reading(f"{type(error).__name__}: {error}")
    return Reading("", identifier, caveats, tag, written, holds)


def _octets(value: str | bytes) -> bytes:
    return value.encode("utf-8") if isinstance(value, str) else value


def _root_key(identifier: bytes, keys: Keys) -> bytes | None:
    """From the seal to this audience, if the header is one of ours and its signature holds."""
    try:
        claimed = header.parse(identifier)
        issuer = keys.issuers.get((claimed.iss, claimed.kid))
        private = keys.audience_keys.get(claimed.akid)
        if issuer is None or private is None or claimed.aud != keys.audience:
            return None
        sealed = header.verify(claimed, issuer).fields.seal_audience
        return header.open_seal(sealed, private, keys.audience_publics[claimed.akid])
    except CredentialError:
        return None

"""Law: a holder can narrow, hand over, prove and reveal; none of it needs the issuer or a network.

Everything here is what an agent does with a token it holds. Nothing here can widen one: the chain
only grows, and the verifier judges every prefix of it.
"""

from __future__ import annotations

from typing import Any

from nucleus_tokens import arguments, canonical, chain, crypto, writing
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CallerError


def read_token(text: str) -> UnverifiedToken:
    """A stored token. Raises CredentialError, or CallerError when it already carries a proof."""
    credential = chain.read_credential(text.strip())
    if credential.proof is not None:
        raise CallerError(
            "token.has_proof", "This is a credential for one call, not a token to keep."
        )
    return credential.token


def attenuate(token: UnverifiedToken, *restrictions: list[Any]) -> UnverifiedToken:
    """Append caveats given as JSON arrays. Raises CredentialError for one no verifier would read,
    CallerError `token.too_large` beyond 64, and `token.sealed` after a request was appended."""
    return writing.append(token, *_spelled(token, restrictions))


def narrow(text: str, *restrictions: list[Any]) -> str:
    """`attenuate` from text to text, for half the price. Raises what `read_token` raises too."""
    text = text.strip()
    token = read_token(text)
    return writing.extend(text, token, *_spelled(token, restrictions))


def _spelled(token: UnverifiedToken, restrictions: tuple[list[Any], ...]) -> list[bytes]:
    for restriction in restrictions:
        if type(restriction) is list and restriction[:1] in (["delegate"], ["req"]):
            raise CallerError("caveat.reserved", f"{restriction[0]} is not appended like this.")
    _must_be_open(token)
    return [writing.caveat(restriction) for restriction in restrictions]


def _must_be_open(token: UnverifiedToken) -> None:
    if token.caveats and token.caveats[-1].startswith(b'["req",'):
        raise CallerError("token.sealed", "A token bound to one call cannot be narrowed further.")


def delegate(
    token: UnverifiedToken, holder_private: bytes, *, to: str, key: bytes, purpose: str, depth: int
) -> UnverifiedToken:
    """Hand the token to another Ed25519 `key` (32 bytes). Narrow first: the signature covers it.

    `depth` is how many further hops the receiver may make; it must be below the current one.
    Raises CredentialError for fields no verifier would read.
    """
    _must_be_open(token)
    body = {"depth": depth, "key": key.hex(), "purpose": purpose, "to": to}
    writing.caveat(["delegate", body, "00" * crypto.SIGNATURE_BYTES])
    signature = crypto.sign(
        holder_private,
        chain.delegate_message(
            token.identifier, token.caveats, canonical.encode(["delegate", body])
        ),
    )
    return writing.append(token, writing.caveat(["delegate", body, signature.hex()]))


def request(
    token: UnverifiedToken,
    holder_private: bytes,
    *,
    tool: str,
    args: Any,
    time: int,
    nonce: str,
    instance: str,
) -> str:
    """The credential for one call: a `req` caveat and the holder's proof over all of it.

    `time` is unix seconds, `nonce` 16 random bytes in hex, `instance` the verifier's name for
    itself. Raises CredentialError or CallerError.
    """
    _must_be_open(token)
    body = {
        "args": arguments.args_digest(args).hex(),
        "instance": instance,
        "nonce": nonce,
        "time": time,
        "tool": tool,
    }
    bound = writing.append(token, writing.caveat(["req", body]))
    proof = crypto.sign(holder_private, chain.proof_message(bound.identifier, bound.caveats))
    return writing.write_credential(bound, proof)


def reveal(token: UnverifiedToken) -> bytes:
    """The revocation preimage of exactly this token: showing it revokes it and all below it."""
    return chain.preimage(token.tag)

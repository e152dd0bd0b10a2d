"""Law: whatever is written is read back first: nothing leaves that no verifier would accept.

The verifier never writes; this is the other half of `chain.py`, `caveats.py`, `header.py` and
`approvals.py`, for issuers, holders and approvers.
"""

from __future__ import annotations

from typing import Any

from nucleus_tokens import approvals, canonical, caveats, crypto, header
from nucleus_tokens.chain import HEAD, PREFIX, TAIL, UnverifiedToken, to_text
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_tokens.limits import CAVEATS, CREDENTIAL_CHARS, FIELD_BYTES


def _written(data: bytes) -> bytes:
    size = len(data)
    if size > FIELD_BYTES:
        raise CallerError("token.too_large", f"A field of {size} bytes does not fit a token.")
    varint = bytes((size,)) if size < 128 else bytes((size & 127 | 128, size >> 7))
    return b"\x02" + varint + data + b"\x00"


def _must_fit(caveats: int) -> None:
    if caveats > CAVEATS:
        raise CallerError("token.too_large", f"A token holds at most {CAVEATS} caveats.")


def render(token: UnverifiedToken) -> bytes:
    """The canonical bytes of a token. Raises CallerError `token.too_large`."""
    _must_fit(len(token.caveats))
    return b"".join(
        (HEAD, _written(token.identifier), *map(_written, token.caveats), TAIL, token.tag)
    )


def write_credential(token: UnverifiedToken, proof: bytes | None = None) -> str:
    """The one text of a credential. Raises CallerError `token.too_large`."""
    return _bounded(
        PREFIX + to_text(render(token)) + ("" if proof is None else "." + to_text(proof))
    )


def _bounded(text: str) -> str:
    if len(text) > CREDENTIAL_CHARS:
        raise CallerError(
            "token.too_large",
            f"The credential would have {len(text)} characters; at most {CREDENTIAL_CHARS} fit.",
            hint="Attenuate with shorter lists, or ask the issuer for a tighter token.",
        )
    return text


def append(token: UnverifiedToken, *caveats: bytes) -> UnverifiedToken:
    """Attenuate: anybody who holds a token can do this, offline; nobody can undo it."""
    tag = token.tag
    for caveat in caveats:
        tag = crypto.mac(tag, caveat)
    return UnverifiedToken(token.identifier, token.caveats + caveats, tag)


def extend(text: str, token: UnverifiedToken, *caveats: bytes) -> str:
    """The text of `append(token, *caveats)`, given the text of `token`.

    All before the old tag stays as it is written, to the last whole group of four characters. Of
    an unfinished group the bytes are known: they end the last field. Raises CallerError
    `token.too_large`.
    """
    _must_fit(len(token.caveats) + len(caveats))
    size = 3 * (len(text) - len(PREFIX)) // 4 - len(TAIL) - len(token.tag)
    last = token.caveats[-1] if token.caveats else token.identifier
    parts = [(b"\0" + last[-1:] + b"\0")[-(size % 3) :] if size % 3 else b""]
    tag = token.tag
    for caveat in caveats:
        tag = crypto.mac(tag, caveat)
        parts.append(_written(caveat))
    kept = len(PREFIX) + 4 * (size // 3)
    return _bounded(text[:kept] + to_text(b"".join((*parts, TAIL, tag))))


def _spelled(value: Any, code: str) -> bytes:
    try:
        return canonical.encode(value)
    except ValueError as error:
        raise CredentialError(code, f"This cannot be written: {error}.") from error


def caveat(value: list[Any]) -> bytes:
    """The canonical bytes of a caveat given as a JSON array, checked by reading it back.

    Raises CredentialError for what no verifier would accept, so nothing refused is ever written.
    """
    data = _spelled(value, "caveat.malformed")
    caveats.parse(data)
    return data


def header_identifier(
    body: dict[str, Any], root_key: bytes, issuer_private: bytes, audience: bytes, exchange: bytes
) -> bytes:
    """Sign a header. `body` holds the fields of the spec in JSON form; keys are 32 raw bytes each.

    Raises CredentialError `header.malformed` for a body no verifier would accept, so that nothing
    unreadable is ever issued.
    """
    spelled = _spelled(body, "header.malformed")
    sealed = spelled + b"\0" + crypto.seal(audience, root_key) + crypto.seal(exchange, root_key)
    identifier = crypto.sign(issuer_private, header.DOMAIN + sealed) + sealed
    header.parse(identifier)
    return identifier


def approval(body: dict[str, Any], approver_private: bytes) -> bytes:
    """Sign an approval given as JSON fields. Raises CredentialError `approval.malformed`."""
    spelled = _spelled(body, "approval.malformed")
    data = crypto.sign(approver_private, approvals.DOMAIN + spelled) + spelled
    approvals.parse(data)
    return data

"""Law: the token of a session is for one profile in one folder, its holder's key is made with it,
and whoever can mint or approve runs no effect.

What `nucleus session serve` and `nucleus run` have in common. The second is one process, so it
mints, hands on and approves ahead in another one, which is gone before anything runs: a wall's
proxy has the key that was made for this wall, and no other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nucleus_issuer.issuing import Issuer, Minted, Order
from nucleus_tokens import crypto, errors, holding, writing
from nucleus_tokens.errors import CallerError, NucleusError, WorldError
from nucleus_tokens.header import Holder
from nucleus_vmhost import secluded

if TYPE_CHECKING:
    from nucleus.home import Home
    from nucleus_issuer.profiles import Profile

DEPTH: Final = 3  # how often what a session has may be handed on
_MOST: Final = 64 * 1024
_KINDS: Final = ("CallerError", "CredentialError", "WorldError")


def profiles(names: Sequence[str]) -> tuple[Profile, ...]:
    """The profiles of these names or files. Raises CallerError `profile.*`."""
    from nucleus_issuer import profiles as known

    return tuple(
        known.read(Path(name)) if name.endswith(".toml") else known.named(name)
        for name in dict.fromkeys(names)
    )


def mint(
    place: Home,
    issuer: Issuer,
    profile: Profile,
    workspace: Path,
    *,
    memo: str,
    prompt: str = "",
    depth: int = DEPTH,
) -> tuple[Minted, bytes]:
    """A token and its holder's key; `prompt` are the user's words for its tree, `depth` is how
    often it may be handed on. Raises CallerError or WorldError."""
    private = place.random(crypto.KEY_BYTES)
    minted = issuer.issue(
        Order(
            sub="agent",
            holder=Holder(None, crypto.public_of(private)),
            audience=place.keyring().bundle().audience_named(None),
            profile=profile,
            # Tight: the ceiling itself says where, so that a path inside is evidence.
            extra=[["path", "in", [str(workspace)]]],
            depth=depth,
            memo=memo,
        )
    )
    if prompt:
        with place.labels() as labels:
            labels.give_prompt(place.tree_of(minted.text), prompt)
    return minted, private


def bound(place: Home, text: str, private: bytes, to: str) -> tuple[str, bytes]:
    """A token, handed to a key that is made here for the wall that is called `to`, and that key.
    `private` is the key of the token's holder.

    What nobody holds, a bearer token, cannot be handed to anybody: it stays what it is, without a
    key. What may not be handed on stays with the key it has. Raises CallerError `run.holder` where
    the holder's key is not here, CredentialError `credential.refused`.
    """
    prefix = place.believed(text).prefix
    if prefix.holder.bearer:
        return text, b""
    if not private or crypto.public_of(private) != prefix.holder.key:
        raise CallerError(
            "run.holder",
            "The key that holds this token was not given.",
            hint="Give it with --holder-key FILE.",
        )
    if not prefix.depth:
        return text, private
    own = place.random(crypto.KEY_BYTES)
    made = holding.delegate(
        holding.read_token(text),
        private,
        to=to,
        key=crypto.public_of(own),
        purpose="run",
        depth=prefix.depth - 1,
    )
    return writing.write_credential(made), own


def apart(work: Callable[[], tuple[str, bytes]]) -> tuple[str, bytes]:
    """Do it in a process of its own: a token's text, and its holder's key. What was opened for it
    is not in ours. Call it before threads are started. Raises what `work` raises."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            secluded.unseen()  # keys are open in it
            os.close(reading)
            _tell(writing, work)
        finally:
            os._exit(0)  # nothing of the parent's is cleaned up twice
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read(_MOST)
    os.waitpid(child, 0)
    try:
        kind, *rest = json.loads(said)
    except ValueError as error:
        raise WorldError("run.minting", "The process that mints ended without a token.") from error
    if kind in _KINDS:
        code, message, hint = rest
        raise getattr(errors, kind)(code, message, hint=hint)
    return rest[0], bytes.fromhex(rest[1])


def _tell(pipe: int, work: Callable[[], tuple[str, bytes]]) -> None:
    try:
        text, private = work()
        said = ["token", text, private.hex()]
    except NucleusError as error:
        kind = next(k for k in _KINDS if isinstance(error, getattr(errors, k)))
        said = [kind, error.code, error.message, error.hint]
    os.write(pipe, json.dumps(said).encode("ascii"))

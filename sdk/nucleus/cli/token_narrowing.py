"""`nucleus token attenuate` and `delegate`: what a holder does with a token, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from nucleus.cli import options
from nucleus.cli.options import Force, Json, Out, Token, TokenFd, examples

if TYPE_CHECKING:
    from nucleus_tokens.chain import UnverifiedToken

ATTENUATE = examples(
    "nucleus token attenuate agent.token --path ./docs --calls 20 -o docs.token",
    "nucleus token attenuate agent.token --expires 10m --approve git_push -o short.token",
    'nucleus token attenuate agent.token --caveat \'["tool","in",["git_log"]]\' -o log.token',
)
DELEGATE = examples(
    "nucleus token delegate my.token --holder-key my.key --to ci --key-file ci.key -o ci.token",
    "nucleus token delegate - --holder-key my.key --to ci --key-pub 9f12… --calls 5 -o ci.token",
)
SERVES: Final = (
    "An approval serves exactly the token it was given for: what was approved before for the "
    "wider token is asked about again for this one."
)


def attenuate(
    ctx: typer.Context,
    out: Out,
    token: Token = None,
    token_fd: TokenFd = None,
    caveat: options.Caveats = None,
    tool: options.Tools = None,
    path: options.Paths = None,
    not_path: options.NotPaths = None,
    host: options.Hosts = None,
    ref: options.Refs = None,
    cmd: options.Commands = None,
    cap: options.Caps = None,
    only: options.Only = None,
    approve: options.Approve = None,
    exposure: options.Exposure = None,
    calls: options.Calls = None,
    budget: options.Budgets = None,
    expires: options.Expires = None,
    distinct: Annotated[
        bool,
        typer.Option("--distinct", help="Add a random link: equal children can be revoked alone."),
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> int:
    """Narrow a token, offline. Nobody can undo it; the wider token stays as it is.

    Values of one option are alternatives; different options are all demanded.
    """
    from nucleus.cli.narrowing import Narrowing
    from nucleus_tokens.errors import CallerError

    place = options.home(ctx)
    caveats = Narrowing(
        caveats=caveat, tools=tool, paths=path, not_paths=not_path, hosts=host, refs=ref,
        commands=cmd, caps=cap, only=only, approve=approve, exposure=exposure, calls=calls,
        budgets=budget, expires=expires,
    ).read(place.clock())  # fmt: skip
    if distinct:
        caveats.append(["link", place.random(16).hex()])
    if not caveats:
        raise CallerError(
            "caveat.none", "Nothing was said that would narrow the token.", hint="See --help."
        )
    return _write(token, token_fd, caveats, None, out, force, as_json)


def delegate(
    ctx: typer.Context,
    to: Annotated[
        str, typer.Option("--to", metavar="NAME", help="Who gets it: a name, or a SPIFFE ID.")
    ],
    holder_key: Annotated[
        Path,
        typer.Option("--holder-key", metavar="FILE", help="Your key: the current holder's."),
    ],
    out: Out,
    token: Token = None,
    token_fd: TokenFd = None,
    key_pub: Annotated[
        str | None,
        typer.Option("--key-pub", metavar="HEX", help="The receiver's public key."),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", metavar="FILE", help="The same, from the receiver's key file."),
    ] = None,
    depth: Annotated[
        int, typer.Option("--depth", metavar="N", help="How many times it may be handed on again.")
    ] = 0,
    purpose: Annotated[
        str, typer.Option("--purpose", metavar="TEXT", help="What for; it stands in the trace.")
    ] = "",
    caveat: options.Caveats = None,
    tool: options.Tools = None,
    path: options.Paths = None,
    not_path: options.NotPaths = None,
    host: options.Hosts = None,
    ref: options.Refs = None,
    cmd: options.Commands = None,
    cap: options.Caps = None,
    only: options.Only = None,
    approve: options.Approve = None,
    exposure: options.Exposure = None,
    calls: options.Calls = None,
    budget: options.Budgets = None,
    expires: options.Expires = None,
    force: Force = False,
    as_json: Json = False,
) -> int:
    """Hand a token to another key, offline.

    It is narrowed first by whatever else is given, and your signature covers that. The receiver can
    use and narrow it, and hand it on --depth times; you can revoke it (`nucleus token preimage`),
    and everything below it.
    """
    from nucleus.cli import inputs
    from nucleus.cli.narrowing import Narrowing
    from nucleus_issuer import keyring, keys
    from nucleus_tokens.errors import CallerError

    place = options.home(ctx)
    if (key_pub is None) == (key_file is None):
        raise CallerError("delegate.key", "Give the receiver's key: --key-pub or --key-file.")
    if key_file is not None:
        receiver = keys.read_public(key_file, "holder").public
    else:
        receiver = inputs.hexed(key_pub or "", 32, "--key-pub")
    caveats = Narrowing(
        caveats=caveat, tools=tool, paths=path, not_paths=not_path, hosts=host, refs=ref,
        commands=cmd, caps=cap, only=only, approve=approve, exposure=exposure, calls=calls,
        budgets=budget, expires=expires,
    ).read(place.clock())  # fmt: skip
    hand = _Hand(keyring.read_holder(holder_key).private, to, receiver, purpose, depth)
    return _write(token, token_fd, caveats, hand, out, force, as_json)


class _Hand(NamedTuple):
    """To whom a token is handed, and by whose key. It holds a secret."""

    private: bytes
    to: str
    key: bytes
    purpose: str
    depth: int


def _write(
    token: Path | None,
    token_fd: int | None,
    caveats: list[list[Any]],
    hand: _Hand | None,
    out: Path,
    force: bool,
    as_json: bool,
) -> int:
    from nucleus.cli import inputs, outputs
    from nucleus.cli.console import OK, answer, note, safe
    from nucleus.describing import caveat_words
    from nucleus_tokens import chain, holding, writing

    outputs.check(out, force=force, as_json=as_json)
    before = holding.read_token(inputs.token(token, token_fd))
    made = holding.attenuate(before, *caveats)
    if hand is not None:
        made = _handed_over(made, hand)
    text = writing.write_credential(made)
    outputs.secret(out, text.encode() + b"\n", force=force)
    added = [safe(caveat_words(caveat)) for caveat in caveats]
    if hand is not None:
        added.append(f"handed to {safe(hand.to)}")
    rid = chain.rid(made.tag)
    lines = (*(f"  + {line}" for line in added), f"Its revocation id is {rid}.", SERVES)
    if out == inputs.STDIN:
        for line in lines:
            note(line)
    else:
        value: dict[str, Any] = {"added": caveats, "file": str(out), "note": SERVES, "rid": rid}
        if hand is not None:
            value["to"] = {"depth": hand.depth, "key": hand.key.hex(), "name": hand.to}
        answer(as_json, value, f"Written to {out}.", *lines)
    return OK


def _handed_over(token: UnverifiedToken, hand: _Hand) -> UnverifiedToken:
    """Delegate, after checking what every verifier will check."""
    from nucleus.describing import unverified_holder
    from nucleus_tokens import crypto, holding
    from nucleus_tokens.errors import CallerError

    holder, depth = unverified_holder(token)
    if holder.key is None:
        raise CallerError(
            "delegate.no_key",
            "This token has no Ed25519 holder, so it cannot be handed on.",
            hint="Have one issued with --holder-key and --depth.",
        )
    if holder.key != crypto.public_of(hand.private):
        raise CallerError(
            "delegate.not_holder", "This key is not the token's current holder's: use the holder's."
        )
    if not 0 <= hand.depth < depth:
        raise CallerError(
            "delegate.depth",
            f"This token can be handed on {depth} times more; the receiver gets fewer than that.",
            hint=f"Give --depth from 0 to {depth - 1}." if depth else "Ask for a deeper token.",
        )
    return holding.delegate(
        token, hand.private, to=hand.to, key=hand.key, purpose=hand.purpose, depth=hand.depth
    )

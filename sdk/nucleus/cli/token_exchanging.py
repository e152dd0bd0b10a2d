"""`nucleus token exchange`: the same authority at another audience, from this host's issuer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleus.cli import options
from nucleus.cli.options import Force, Json, Out, PassphraseFd, PassphraseFile, Token, TokenFd

EXCHANGE = options.examples(
    "nucleus token exchange agent.token --audience git.example --holder-key agent.key -o git.token"
)


def exchange(
    ctx: typer.Context,
    audience: Annotated[
        str, typer.Option("--audience", metavar="NAME", help="For whose proxy or verifier.")
    ],
    holder_key: Annotated[
        Path,
        typer.Option("--holder-key", metavar="FILE", help="Your key: the current holder's."),
    ],
    out: Out,
    token: Token = None,
    token_fd: TokenFd = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    issuer: options.RemoteAt = None,
    force: Force = False,
    as_json: Json = False,
) -> int:
    """Exchange a token for one that another audience takes.

    It permits what the token permits and no more: its budgets, exposure, approvers and expiry go on
    where they were, and it dies with whatever it was made from. Its holder asks, with the holder's
    key; this host's issuer signs it, or the one at --issuer.
    """
    from nucleus.cli import inputs, outputs
    from nucleus.cli.console import OK, answer, note, when
    from nucleus_issuer import keyring
    from nucleus_tokens import exchanges, holding

    place = options.home(ctx)
    outputs.check(out, force=force, as_json=as_json)
    text = inputs.token(token, token_fd)
    held = holding.read_token(text)
    asked = exchanges.write(
        held,
        keyring.read_holder(holder_key).private,
        audience=audience,
        nonce=place.random(16).hex(),
    )
    elsewhere = options.remote(place, issuer)
    if elsewhere is not None:
        from nucleus.remote import connected

        with connected(elsewhere) as there:
            made = there.exchange(text, asked)
    else:
        with place.store() as store:
            exchanger = place.exchanger(store, inputs.passphrase(passphrase_file, passphrase_fd))
            made = exchanger.exchange(held, asked)
    outputs.secret(out, made.text.encode() + b"\n", force=force)
    lines = (
        f"Token {made.tid}, valid until {when(made.exp)}.",
        f"Take it back with: nucleus token revoke --rid {made.rid}",
    )
    if out == inputs.STDIN:
        for line in lines:
            note(line)
    else:
        found = {"exp": made.exp, "file": str(out), "rid": made.rid, "tid": made.tid}
        answer(as_json, found, f"Written to {out}.", *lines)
    return OK

"""`nucleus token key` and `issue`: a key for an agent, and a token from a profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nucleus.cli import options
from nucleus.cli.options import Force, Json, Out, PassphraseFd, PassphraseFile, examples, home

if TYPE_CHECKING:
    from nucleus_issuer.issuing import Minted
    from nucleus_issuer.profiles import Profile
    from nucleus_tokens.header import Holder

KEY = examples("nucleus token key --out agent.key")
ISSUE = examples(
    "nucleus token issue --profile codegen --sub agent --holder-key agent.key -o agent.token",
    "nucleus token issue --profile read-only --sub ci --bearer --path ./src --ttl 15m -o ci.token",
    "nucleus token issue --profile local-dev --sub lead --holder-key lead.key --depth 2 "
    "--calls 500 -o lead.token",
)


def key(
    ctx: typer.Context,
    out: Out,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What the key is called.")
    ] = "holder",
    force: Force = False,
    as_json: Json = False,
) -> int:
    """Make an Ed25519 key for an agent, and print its public half.

    The file stays with the agent. A token that is bound to the key is of no use without it.
    """
    from nucleus.cli import inputs, outputs
    from nucleus.cli.console import OK, answer
    from nucleus_issuer import keyring
    from nucleus_tokens.errors import CallerError

    if out == inputs.STDIN:
        raise CallerError("output.terminal", "A key is written to a file.", hint="Give --out FILE.")
    outputs.check(out, force=force, as_json=as_json)
    if force:
        out.unlink(missing_ok=True)
    made = keyring.make_holder(out, name, home(ctx).random)
    public = made.public.hex()
    answer(as_json, {"file": str(out), "name": made.id, "public": public}, public)
    return OK


def issue(
    ctx: typer.Context,
    sub: Annotated[
        str, typer.Option("--sub", metavar="NAME", help="Whom the token is for: the agent's name.")
    ],
    out: Out,
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="Ceiling: see `nucleus profiles list`."),
    ] = None,
    profile_file: Annotated[
        Path | None,
        typer.Option("--profile-file", metavar="FILE", help="Ceiling: a profile of your own."),
    ] = None,
    holder_key: Annotated[
        Path | None,
        typer.Option("--holder-key", metavar="FILE", help="Bind it to this key (`token key`)."),
    ] = None,
    holder_pub: Annotated[
        str | None,
        typer.Option("--holder-pub", metavar="HEX", help="The same, by the public half."),
    ] = None,
    holder_spiffe: Annotated[
        str | None, typer.Option("--holder-spiffe", metavar="ID", help="Bind it to this SPIFFE ID.")
    ] = None,
    bearer: Annotated[
        bool, typer.Option("--bearer", help="Bind it to nobody: whoever has it can use it.")
    ] = False,
    ttl: Annotated[
        str | None,
        typer.Option(
            "--ttl", metavar="TIME", help="15m, 8h; by default, and at most, the profile's."
        ),
    ] = None,
    depth: Annotated[
        int, typer.Option("--depth", metavar="N", help="How many times it may be handed on.")
    ] = 0,
    audience: Annotated[
        str | None,
        typer.Option("--audience", metavar="NAME", help="For whose proxy; by default this host's."),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(
            "--account", metavar="NAME", help="Budget account, which outlives this token."
        ),
    ] = None,
    account_limits: Annotated[
        list[str] | None,
        typer.Option("--account-limit", metavar="UNIT=N", help="The account's limit. Repeatable."),
    ] = None,
    memo: Annotated[str, typer.Option("--memo", metavar="TEXT", help="A note for the list.")] = "",
    idempotency: Annotated[
        str | None,
        typer.Option("--idempotency", metavar="KEY", help="Issue at most one token for this key."),
    ] = None,
    caveat: options.Caveats = None,
    tool: options.Tools = None,
    path: options.Paths = None,
    not_path: options.NotPaths = None,
    host: options.Hosts = None,
    ref: options.Refs = None,
    cmd: options.Commands = None,
    cap: options.Caps = None,
    approve: options.Approve = None,
    calls: options.Calls = None,
    budget: options.Budgets = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    issuer: options.RemoteAt = None,
    id_token: Annotated[
        Path | None,
        typer.Option(
            "--id-token", metavar="FILE", help="With --issuer: order as the person it is about."
        ),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> int:
    """Issue a token.

    With --issuer, the service there issues it, within what its policy gives to this process.
    What is given here to restrict it is the issuer's own word, and counts as evidence.
    """
    from nucleus.cli import inputs, outputs
    from nucleus.cli.narrowing import Narrowing
    from nucleus_issuer.issuing import Order
    from nucleus_tokens import names
    from nucleus_tokens.errors import CallerError

    place = home(ctx)
    outputs.check(out, force=force, as_json=as_json)
    limits = inputs.pairs(account_limits or (), "--account-limit")
    if bool(limits) != (account is not None):
        raise CallerError("order.account", "An account and its limits are given together.")
    for operation in approve or ():
        if operation not in names.OPERATIONS:
            every = ", ".join(names.OPERATIONS)
            raise CallerError("order.approve", f"--approve is one of {every}.")
    narrowing = Narrowing(
        caveats=caveat, tools=tool, paths=path, not_paths=not_path, hosts=host, refs=ref,
        commands=cmd, caps=cap, calls=calls, budgets=budget,
    )  # fmt: skip
    holder = _holder(holder_key, holder_pub, holder_spiffe)
    lives = None if ttl is None else inputs.duration(ttl, "--ttl")
    elsewhere = options.remote(place, issuer)
    if id_token is not None and elsewhere is None:
        raise CallerError("order.person", "Only a service knows people: give --issuer ADDRESS.")
    if elsewhere is not None:
        from nucleus.cli import token_remote

        token_remote.only_the_profiles_name(profile_file, account)
        asked = token_remote.order(
            sub=sub, profile=profile or "", audience=audience or "", ttl=lives or 0, depth=depth,
            memo=memo, key=idempotency or place.random(16).hex(), bearer=bearer, holder=holder,
            caveats=narrowing.read(place.clock()), obligations=sorted(set(approve or ())),
            **token_remote.person(id_token),
        )  # fmt: skip
        return _handed(token_remote.issue(elsewhere, asked), sub, out, force, as_json)
    order = Order(
        sub=sub,
        holder=holder,
        audience=place.keyring().bundle().audience_named(audience),
        profile=_profile(profile, profile_file),
        ttl=lives,
        extra=narrowing.read(place.clock()),
        obligations=sorted(set(approve or ())),
        depth=depth,
        account=None
        if account is None
        else (account, {u: inputs.whole(n, f"--account-limit {u}") for u, n in limits.items()}),
        memo=memo,
        bearer=bearer,
        idempotency=idempotency,
    )
    with place.store() as store:
        own = place.issuer(store, inputs.passphrase(passphrase_file, passphrase_fd))
        minted = own.issue(order)
    return _handed(minted, sub, out, force, as_json)


def _handed(minted: Minted, sub: str, out: Path, force: bool, as_json: bool) -> int:
    from nucleus.cli import inputs, outputs
    from nucleus.cli.console import OK, answer, note, safe, when

    outputs.secret(out, minted.text.encode() + b"\n", force=force)
    found = {"exp": minted.exp, "file": str(out), "rid": minted.rid, "tid": minted.tid}
    lines = (
        f"Token {minted.tid} for {safe(sub)}, valid until {when(minted.exp)}.",
        f"Take it back with: nucleus token revoke --rid {minted.rid}",
    )
    if out == inputs.STDIN:
        for line in lines:
            note(line)
    else:
        answer(as_json, found, f"Written to {out}.", *lines)
    return OK


def _profile(name: str | None, file: Path | None) -> Profile:
    from nucleus_issuer import profiles
    from nucleus_tokens.errors import CallerError

    if name is not None and file is None:
        return profiles.named(name)
    if file is not None and name is None:
        return profiles.read(file)
    raise CallerError(
        "order.profile",
        "A token is issued from one profile.",
        hint="Give --profile NAME (see `nucleus profiles list`) or --profile-file FILE.",
    )


def _holder(key_file: Path | None, public: str | None, spiffe: str | None) -> Holder:
    from nucleus.cli import inputs
    from nucleus_issuer import keys
    from nucleus_tokens.errors import CallerError
    from nucleus_tokens.header import Holder

    if key_file is not None and public is not None:
        raise CallerError("order.holder", "Give the holder's key as a file or in hex, not both.")
    if spiffe is not None and not spiffe.startswith("spiffe://"):
        raise CallerError("order.holder", "A SPIFFE ID starts with spiffe://.")
    key_bytes = None
    if key_file is not None:
        key_bytes = keys.read_public(key_file, "holder").public
    elif public is not None:
        key_bytes = inputs.hexed(public, 32, "--holder-pub")
    return Holder(spiffe, key_bytes)

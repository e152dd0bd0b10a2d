"""`nucleus init`: the keys, the state and a policy file of this host, and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleus.cli.options import Json, PassphraseFd, PassphraseFile, examples, home

EXAMPLES = examples(
    "nucleus init",
    "nucleus init --approver alice --passphrase-file issuer.pass "
    "--approver-passphrase-file alice.pass",
    "nucleus --home ./trial init",
)


def init(
    ctx: typer.Context,
    issuer: Annotated[
        str, typer.Option("--issuer", metavar="NAME", help="This issuer's name in tokens.")
    ] = "local",
    audience: Annotated[
        str,
        typer.Option("--audience", metavar="NAME", help="This host's proxy, as tokens name it."),
    ] = "local",
    approver: Annotated[
        str | None,
        typer.Option(
            "--approver", metavar="NAME", help="Who approves; your user name if left out."
        ),
    ] = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    approver_passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--approver-passphrase-file", metavar="FILE", help="The approver's, if it is another."
        ),
    ] = None,
    approver_passphrase_fd: Annotated[
        int | None,
        typer.Option("--approver-passphrase-fd", metavar="N", help="As above, from a descriptor."),
    ] = None,
    weak: Annotated[
        bool,
        typer.Option(
            "--dangerously-weak-keys-for-tests",
            hidden=True,
            help="Passphrases that can be guessed at once.",
        ),
    ] = False,
    as_json: Json = False,
) -> int:
    """Make keys, state and a policy file for this host.

    Two passphrases are asked for: the issuer's, for whoever makes tokens, and the approver's, for
    whoever answers what agents ask. Nothing that exists is overwritten.
    """
    from datetime import UTC, datetime
    from importlib import resources

    from nucleus.cli import inputs
    from nucleus.cli.console import OK, answer

    place = home(ctx)
    issuers = inputs.passphrase(passphrase_file, passphrase_fd, new=True)
    other = approver_passphrase_file is not None or approver_passphrase_fd is not None
    given = passphrase_file is not None or passphrase_fd is not None
    approvers = (
        inputs.passphrase(approver_passphrase_file, approver_passphrase_fd, new=True)
        if other or not given
        else issuers
    )
    person = approver or user_name()
    ring = place.create(
        issuer=issuer,
        audience=audience,
        approver=person,
        # The latest key is the one whose name sorts last.
        key_id=datetime.fromtimestamp(place.clock(), UTC).strftime("%Y%m%d"),
        policy=resources.files("nucleus").joinpath("policies", "git.toml").read_bytes(),
        issuer_passphrase=issuers,
        approver_passphrase=approvers,
        strength="dangerously_fast_for_tests" if weak else "moderate",
    )
    bundle = ring.bundle()
    answer(
        as_json,
        {
            "approver": person,
            "audience": bundle.audience,
            "issuer": issuer,
            "keys": str(ring.directory),
            "policy": str(place.policy_path),
            "state": str(place.store_path),
        },
        f"Keys:    {ring.directory}",
        f"State:   {place.store_path}",
        f"Policy:  {place.policy_path} (an example for mcp-server-git: make it yours)",
        f"Tokens are issued by {issuer} for the audience {bundle.audience}; {person} approves.",
        "",
        "Next: a key for an agent, a token bound to it, and a server behind the proxy:",
        "  nucleus token key --out agent.key",
        "  nucleus token issue --profile read-only --sub agent --holder-key agent.key"
        " -o agent.token",
        "  nucleus mcp --token agent.token -- mcp-server-git",
    )
    return OK


def user_name() -> str:
    """This user's name as a key's name; `approver` where it has none that fits."""
    import os
    import pwd

    try:
        name = pwd.getpwuid(os.geteuid()).pw_name.lower()
    except KeyError:
        return "approver"
    fits = "".join(c for c in name if c.isascii() and (c.isalnum() or c in "._-"))
    return fits.lstrip(".-")[:64] or "approver"

"""`nucleus console`: the desk, the tokens and the sessions of this host, in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleus.cli.options import Approver, PassphraseFd, PassphraseFile, examples, home

CONSOLE = examples(
    "nucleus console",
    "nucleus console --port 8767 --approver alice",
    "nucleus console --port 8767 --origin https://approvals.example.org",
)
_DEFAULT = 8767


def console(
    ctx: typer.Context,
    port: Annotated[
        int, typer.Option("--port", metavar="N", help="On this port of 127.0.0.1; 0: any.")
    ] = _DEFAULT,
    origin: Annotated[
        str | None,
        typer.Option(
            "--origin", metavar="URL", help="What a browser sees, where TLS stands in front."
        ),
    ] = None,
    accept: Annotated[
        Path | None,
        typer.Option(
            "--accept", metavar="FILE", help="File (0600): the secret of hosts that may ask here."
        ),
    ] = None,
    login: Annotated[
        Path | None,
        typer.Option(
            "--login", metavar="FILE", help="Come in through the OpenID provider of this file."
        ),
    ] = None,
    approver: Approver = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
) -> int:
    """Answer in a browser.

    Shows what waits, who holds what, what each session has seen and what was denied; revokes with
    one key. Asks for the approver's passphrase, and then shows a link that works once; with
    --login those come in whom the provider knows and the file lists.
    """
    from nucleus.cli import inputs
    from nucleus.cli.mcp import until_stopped
    from nucleus_issuer import files
    from nucleus_vmhost import secluded

    place = home(ctx)
    secluded.unseen()
    guests = None
    if accept is not None:
        guests = files.read(accept, secret=True, most=4096).decode("utf-8").strip()
    with place.store() as store:
        key = place.approver(approver, inputs.passphrase(passphrase_file, passphrase_fd))
        from nucleus.console import oidc
        from nucleus.console.running import run

        provider = None if login is None else oidc.read(login)
        until_stopped(run(place, store, key, port, origin, guests, provider, _tell))
    return 0


def _tell(sentence: str) -> None:
    from nucleus.cli.console import note

    note(f"nucleus: {sentence}")

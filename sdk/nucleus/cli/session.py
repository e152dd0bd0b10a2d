"""`nucleus session serve` and `list`: sessions for programs that use the SDK."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nucleus.cli.options import (
    SYSTEM_ROOTS,
    Ahead,
    Approver,
    ApproverPassphraseFile,
    Json,
    PassphraseFd,
    PassphraseFile,
    Policy,
    Prompt,
    Roots,
    examples,
    home,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from nucleus.home import Home
    from nucleus.serving import Offer, Opened
    from nucleus_issuer.issuing import Minted
    from nucleus_issuer.keys import Key
    from nucleus_issuer.store import Store

SERVE = examples(
    "nucleus session serve --profile safe-pr-fixer",
    "nucleus session serve --profile codegen --profile read-only --workspace ./src --answer",
    "nucleus session serve --profile research-web --ahead 'net_fetch host=example.com count=5'",
)
LIST = examples("nucleus session list", "nucleus session list --json")


def serve(
    ctx: typer.Context,
    profile: Annotated[
        list[str],
        typer.Option("--profile", metavar="NAME", help="Offer this one (or a .toml). Repeatable."),
    ],
    workspace: Annotated[
        Path, typer.Option("--workspace", metavar="DIR", help="Where sessions may work.")
    ] = Path(),
    socket: Annotated[
        Path | None,
        typer.Option("--socket", metavar="PATH", help="Listen here; by default in the home."),
    ] = None,
    policy: Policy = None,
    roots: Roots = SYSTEM_ROOTS,
    prompt: Prompt = None,
    run_name: Annotated[
        str | None,
        typer.Option("--run", metavar="NAME", help="Go on with this run: what it saw stays seen."),
    ] = None,
    ask_for: Annotated[
        str, typer.Option("--ask-for", metavar="TIME", help="How long a call waits for a person.")
    ] = "10m",
    answer: Annotated[
        bool, typer.Option("--answer", help="Ask here, at this terminal, what agents ask for.")
    ] = False,
    ahead: Ahead = None,
    approver: Approver = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    approver_passphrase_file: ApproverPassphraseFile = None,
) -> int:
    """Offer sessions to programs of this user.

    Each `Session(profile=…)` that connects gets a token for an offered profile, in a proxy process
    of its own; the program never sees it. Asks for the issuer's passphrase, and for the approver's
    with --answer or --ahead. What one session has seen, the next one of this run has seen.
    """  # fmt: skip

    from nucleus import minting, serving
    from nucleus.cli import inputs
    from nucleus.cli.console import note, safe
    from nucleus.cli.mcp import until_stopped
    from nucleus.cli.mcp_servers import NO_WALL
    from nucleus_vmhost import secluded

    place = home(ctx)
    offer = serving.Offer(
        profiles=minting.profiles(profile),
        workspace=Path(os.path.realpath(workspace)),
        policy=Path(os.path.abspath(policy or place.policy_path)),
        run=run_name or place.random(8).hex(),
        roots=Path(os.path.abspath(roots)),
        prompt="" if prompt is None else inputs.text_file(prompt),
        ask_seconds=inputs.duration(ask_for, "--ask-for"),
    )
    secluded.unseen()
    issuers, approvers = inputs.passphrases(
        passphrase_file, passphrase_fd, approver_passphrase_file
    )
    with place.store() as store:
        issuer = place.issuer(store, issuers)
        key = place.approver(approver, approvers) if answer or ahead else None
        opened = None if key is None else _ahead(place, store, key, offer, ahead or [])
        listening = serving.Sessions(
            place, issuer, offer, log=lambda line: note(f"nucleus: {safe(line)}"), opened=opened
        )
        note(NO_WALL)
        path = socket or place.socket_path
        with serving.bound(path) as made, _answers(place, store, key if answer else None, offer):
            names = ", ".join(each.name for each in offer.profiles)
            note(f"nucleus: sessions of {names} in {offer.workspace}, at {path}")
            try:
                until_stopped(listening.listen(made))
            finally:
                path.unlink(missing_ok=True)
    return 0


def running(ctx: typer.Context, as_json: Json = False) -> int:
    """List the sessions that run here."""
    from dataclasses import asdict

    from nucleus import running as sessions
    from nucleus.cli.console import OK, document, say, table, when

    found = sessions.sessions(home(ctx))
    if as_json:
        document([asdict(each) for each in found])
    elif not found:
        say("No session runs.")
    else:
        titles = ("session", "profile", "workspace", "until", "pid")
        table(
            titles,
            [
                (each.tid, each.profile, each.workspace, when(each.expires), str(each.pid))
                for each in found
            ],
        )
    return OK


def _ahead(place: Home, store: Store, key: Key, offer: Offer, words: list[str]) -> Opened:
    """Approves ahead what every new session may do."""
    from nucleus.cli.ahead import read, tools
    from nucleus.granting import Whom, grant
    from nucleus_proxy import policy

    known = tools(policy.load(offer.policy), offer.workspace)
    given = [read(each, known) for each in words]

    def opened(minted: Minted, cell: str) -> None:
        for each in given:
            grant(place, store, key, Whom(minted.tid, minted.rid, cell), each)

    return opened


@contextmanager
def _answers(place: Home, store: Store, key: Key | None, offer: Offer) -> Generator[None]:
    """Ask at this terminal what waits, while the block runs."""
    if key is None:
        yield
        return
    from threading import Thread

    from nucleus.approver import Answering
    from nucleus.cli.prompting import AtTerminal

    person = AtTerminal(clock=place.clock)
    desk = Answering(place, store, key, cell=f"run:{offer.run}", told=person.said)
    Thread(target=desk.run, args=(person,), name="nucleus-answers", daemon=True).start()
    try:
        yield
    finally:
        desk.stop()

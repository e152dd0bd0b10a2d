"""`nucleus approvals tui`: what waits, live, in a terminal."""

from __future__ import annotations

import sys

import typer

from nucleus.cli.options import Approver, PassphraseFd, PassphraseFile, examples, home

TUI = examples("nucleus approvals tui", "nucleus approvals tui --approver alice")


def tui(
    ctx: typer.Context,
    approver: Approver = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
) -> int:
    """Answer in a terminal, live and with keys.

    Asks for the approver's passphrase first. While it runs it follows the standing rules.
    """
    from nucleus.cli import inputs
    from nucleus_tokens.errors import CallerError
    from nucleus_vmhost import secluded

    place = home(ctx)
    try:
        from nucleus.tui.app import Desk
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "textual":
            raise
        raise CallerError(
            "tui.not_installed",
            "The queue in a terminal needs textual, which is not installed.",
            hint="Run: pip install 'nucleus-runtime[tui]', or use: nucleus approvals list",
        ) from error
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CallerError(
            "tui.no_terminal",
            "The queue is drawn on a terminal, and here is none.",
            hint="See: nucleus approvals list, or: nucleus console",
        )
    secluded.unseen()
    with place.store() as store:
        key = place.approver(approver, inputs.passphrase(passphrase_file, passphrase_fd))
        Desk(place, store, key).run()
    return 0

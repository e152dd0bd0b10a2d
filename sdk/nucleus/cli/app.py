"""Law: the list of commands; what a command does stands in its own module, imported when it runs.

Nothing heavy is imported here, so that `nucleus --help` answers at once.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Final

import typer

from nucleus.cli import (
    approvals,
    demo,
    init,
    mcp,
    profiles,
    token_making,
    token_narrowing,
    token_reading,
    token_revoking,
    trace,
)
from nucleus.cli.options import examples, group

_EPILOG: Final = (
    examples(
        "nucleus init",
        "nucleus token key --out agent.key",
        "nucleus token issue --profile codegen --sub me --holder-key agent.key -o agent.token",
        "nucleus mcp --token agent.token -- mcp-server-git",
        "nucleus approvals list",
    )
    + "\n\n\b\nExit codes: 0 allowed, 1 denied, 2 nothing was decided, 3 approval needed."
)


def build(words: Collection[str] | None = None) -> typer.Typer:
    """The command. Of a group that no word of the command line names, only the name is there:
    reading the signatures of all commands would take as long as everything else."""
    app = typer.Typer(
        name="nucleus",
        help="Capability tokens for AI agents, and the proxy that enforces them.",
        epilog=_EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_global)
    app.command("init", epilog=init.EXAMPLES)(init.init)
    for make, fill in (
        (_token, _fill_token),
        (_approvals, _fill_approvals),
        (mcp.make, mcp.fill),
        (_trace, _fill_trace),
        (_profiles, _fill_profiles),
    ):
        name, made = make()
        if words is None or name in words:
            fill(made)
        app.add_typer(made, name=name)
    app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from nucleus import __version__
        from nucleus.cli.console import say

        say(f"nucleus {__version__}")
        raise typer.Exit


def _global(
    home: Annotated[
        Path | None,
        typer.Option(
            "--home", metavar="DIR", help="Where keys and state are; else NUCLEUS_HOME, else XDG."
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Capability tokens for AI agents, and the proxy that enforces them."""


def _token() -> tuple[str, typer.Typer]:
    return "token", group(
        "Make, narrow, hand over, read, check and revoke tokens.",
        "nucleus token issue --profile read-only --sub agent --bearer --ttl 1h -o agent.token",
        "nucleus token attenuate agent.token --path ./docs --calls 20 -o docs.token",
        "nucleus token inspect docs.token",
        "nucleus token revoke docs.token",
    )


def _fill_token(app: typer.Typer) -> None:
    app.command("key", epilog=token_making.KEY)(token_making.key)
    app.command("issue", epilog=token_making.ISSUE)(token_making.issue)
    app.command("attenuate", epilog=token_narrowing.ATTENUATE)(token_narrowing.attenuate)
    app.command("delegate", epilog=token_narrowing.DELEGATE)(token_narrowing.delegate)
    app.command("inspect", epilog=token_reading.INSPECT)(token_reading.inspect)
    app.command("verify", epilog=token_reading.VERIFY)(token_reading.verify)
    app.command("explain", epilog=token_reading.EXPLAIN)(token_reading.explain)
    app.command("list", epilog=token_revoking.LIST)(token_revoking.inventory)
    app.command("tree", epilog=token_revoking.TREE)(token_revoking.tree)
    app.command("preimage", epilog=token_revoking.PREIMAGE)(token_revoking.preimage)
    app.command("revoke", epilog=token_revoking.REVOKE)(token_revoking.revoke)


def _approvals() -> tuple[str, typer.Typer]:
    return "approvals", group(
        "Answer what agents ask for.",
        "nucleus approvals list",
        "nucleus approvals approve 3f9c",
        'nucleus approvals deny 3f9c --reason "not on a Friday"',
    )


def _fill_approvals(app: typer.Typer) -> None:
    app.command("list", epilog=approvals.LIST)(approvals.waiting)
    app.command("approve", epilog=approvals.APPROVE)(approvals.approve)
    app.command("deny", epilog=approvals.DENY)(approvals.deny)


def _trace() -> tuple[str, typer.Typer]:
    return "trace", group(
        "See what happened, and check that nobody edited it.",
        "nucleus trace show --verdict deny",
        "nucleus trace verify",
        "nucleus trace export --out trace.jsonl",
    )


def _fill_trace(app: typer.Typer) -> None:
    app.command("show", epilog=trace.SHOW)(trace.show)
    app.command("verify", epilog=trace.VERIFY)(trace.verify)
    app.command("export", epilog=trace.EXPORT)(trace.export)
    app.command("checkpoint", epilog=trace.CHECKPOINT)(trace.checkpoint)


def _profiles() -> tuple[str, typer.Typer]:
    return "profiles", group(
        "Ready-made ceilings.", "nucleus profiles list", "nucleus profiles show safe-pr-fixer"
    )


def _fill_profiles(app: typer.Typer) -> None:
    app.command("list", epilog=profiles.LIST)(profiles.names)
    app.command("show", epilog=profiles.SHOW)(profiles.show)

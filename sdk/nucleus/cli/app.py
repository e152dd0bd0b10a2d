"""Law: the list of commands; what a command does stands in its own module, imported when it runs.

Nothing heavy is imported here, so that `nucleus --help` answers at once.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from nucleus.cli import (
    approvals,
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


def build() -> typer.Typer:
    """The whole command."""
    app = typer.Typer(
        name="nucleus",
        help="Capability tokens for AI agents, and the proxy that enforces them.",
        epilog=examples(
            "nucleus init",
            "nucleus token key --out agent.key",
            "nucleus token issue --profile codegen --sub me --holder-key agent.key -o agent.token",
            "nucleus mcp --token agent.token -- mcp-server-git",
            "nucleus approvals list",
        )
        + "\n\n\b\nExit codes: 0 allowed, 1 denied, 2 nothing was decided, 3 approval needed.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_global)
    app.command("init", epilog=init.EXAMPLES)(init.init)
    app.add_typer(_token(), name="token")
    app.add_typer(_approvals(), name="approvals")
    app.add_typer(mcp.build(), name="mcp")
    app.add_typer(_trace(), name="trace")
    app.add_typer(_profiles(), name="profiles")
    _demo(app)
    return app


def _demo(app: typer.Typer) -> None:
    if find_spec("nucleus.cli.demo") is not None:
        demo = import_module("nucleus.cli.demo")
        app.command("demo", epilog=getattr(demo, "EXAMPLES", None))(demo.demo)


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


def _token() -> typer.Typer:
    app = group(
        "Make, narrow, hand over, read, check and revoke tokens.",
        "nucleus token issue --profile read-only --sub agent --bearer --ttl 1h -o agent.token",
        "nucleus token attenuate agent.token --path ./docs --calls 20 -o docs.token",
        "nucleus token inspect docs.token",
        "nucleus token revoke docs.token",
    )
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
    return app


def _approvals() -> typer.Typer:
    app = group(
        "Answer what agents ask for.",
        "nucleus approvals list",
        "nucleus approvals approve 3f9c",
        'nucleus approvals deny 3f9c --reason "not on a Friday"',
    )
    app.command("list", epilog=approvals.LIST)(approvals.waiting)
    app.command("approve", epilog=approvals.APPROVE)(approvals.approve)
    app.command("deny", epilog=approvals.DENY)(approvals.deny)
    return app


def _trace() -> typer.Typer:
    app = group(
        "See what happened, and check that nobody edited it.",
        "nucleus trace show --verdict deny",
        "nucleus trace verify",
        "nucleus trace export --out trace.jsonl",
    )
    app.command("show", epilog=trace.SHOW)(trace.show)
    app.command("verify", epilog=trace.VERIFY)(trace.verify)
    app.command("export", epilog=trace.EXPORT)(trace.export)
    app.command("checkpoint", epilog=trace.CHECKPOINT)(trace.checkpoint)
    return app


def _profiles() -> typer.Typer:
    app = group(
        "Ready-made ceilings.", "nucleus profiles list", "nucleus profiles show safe-pr-fixer"
    )
    app.command("list", epilog=profiles.LIST)(profiles.names)
    app.command("show", epilog=profiles.SHOW)(profiles.show)
    return app

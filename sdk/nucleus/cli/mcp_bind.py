"""`nucleus mcp bind -- SERVER`: what a server's tools would be, for a person to confirm."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nucleus.cli.options import Json, examples

if TYPE_CHECKING:
    from nucleus.audit.facts import Tool

BIND = examples(
    "nucleus mcp bind -- mcp-server-git --repository .",
    "nucleus mcp bind --write git.toml -- mcp-server-git --repository .",
    "nucleus mcp bind --list",
)


def bind(
    ctx: typer.Context,
    server: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- SERVER ARGS…]", help="The server, as it would be started."),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="FILE", help="You have read it: write the policy file."),
    ] = None,
    placeholder: Annotated[
        list[str] | None,
        typer.Option(
            "--placeholder",
            metavar="VARIABLE",
            help="A variable it does not start without; it gets no true value. Repeatable.",
        ),
    ] = None,
    despite_warnings: Annotated[
        bool, typer.Option("--despite-warnings", help="Write it though something was noticed.")
    ] = False,
    listing: Annotated[
        bool, typer.Option("--list", help="Only list the bindings that are shipped.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Propose what each tool of a server is, with a reason for each line.

    The server is started in a cell without network, and asked for its tools. What it says of itself
    can make a tool more dangerous, never less. Nothing is in force before you write it with --write
    and give that file to `nucleus mcp --policy`. With warnings, exits 1 and writes nothing.
    """
    from nucleus import proposing
    from nucleus.audit import packages
    from nucleus.cli.console import DENIED, OK, document, note, safe, say
    from nucleus_proxy import shipped
    from nucleus_tokens.errors import CallerError

    if listing:
        return _listed(as_json)
    if not server:
        raise CallerError(
            "bind.server", "Say which server.", hint="nucleus mcp bind -- mcp-server-git"
        )
    if write is not None and (write.exists() or write.is_symlink()):
        raise CallerError("file.exists", f"{write} exists and is not overwritten.")
    argv = tuple(server)
    package = packages.of(argv)
    name = packages.base(argv[0]) if package is None else package.name
    given = dict.fromkeys(placeholder or (), "placeholder")
    made = proposing.propose(_tools(argv, given), shipped.of_package(name))
    text = made.toml(name)
    if as_json:
        document(
            {"binding": made.shipped, "denied": list(made.denied), "policy": text,
             "warnings": list(made.warnings)}
        )  # fmt: skip
    elif write is None:
        say(*(safe(line) for line in text.splitlines()))
    for warning in made.warnings:
        note(f"beware: {safe(warning)}")
    stopped = bool(made.warnings) and not despite_warnings
    if write is not None and not stopped:
        write.write_text(text, encoding="utf-8")
        if not as_json:
            say(f"Written: {write}. Give it to `nucleus mcp --policy {write}`.")
    elif write is not None:
        note("Nothing was written: read the warnings, then say --despite-warnings.")
    return DENIED if stopped else OK


def _listed(as_json: bool) -> int:
    from nucleus.cli.console import OK, document, table
    from nucleus_proxy import shipped

    found = [shipped.binding(name) for name in shipped.known()]
    if as_json:
        document([
            {"about": b.about, "name": b.name, "packages": list(b.packages),
             "tools": sorted(b.tools), "unbound": dict(b.unbound)}
            for b in found
        ])  # fmt: skip
    else:
        rows = [(b.name, str(len(b.tools)), ", ".join(b.packages), b.about) for b in found]
        table(("binding", "tools", "packages", "about"), rows)
    return OK


def _tools(argv: tuple[str, ...], env: dict[str, str]) -> tuple[Tool, ...]:
    """What the server lists. Raises WorldError `bind.silent`."""
    import asyncio

    from nucleus.audit import live
    from nucleus.audit.facts import Place, Server
    from nucleus.cli.console import safe
    from nucleus.composing import Cells
    from nucleus_tokens.errors import WorldError
    from nucleus_vmhost.bubblewrap import Bubblewrap

    asked = Server("nucleus", argv[0], Place(os.curdir), argv[0], argv[1:], env)
    found = asyncio.run(live.ask(asked, Cells(Bubblewrap()), Path.cwd()))
    if isinstance(found, str):
        raise WorldError(
            "bind.silent", f"The server gave no list of tools: {safe(found)}.",
            hint="It runs in a cell without network, and gets no secret of yours.",
        )  # fmt: skip
    return found

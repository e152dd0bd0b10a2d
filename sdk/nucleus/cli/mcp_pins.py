"""`nucleus mcp pins`: what was accepted of servers' tools, and what they would be now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nucleus.cli import options
from nucleus.cli.options import Json, examples

if TYPE_CHECKING:
    from nucleus.pins import PinStore, Record

PINS = examples(
    "nucleus mcp pins list",
    "nucleus mcp pins diff mcp-server-git",
    "nucleus mcp pins accept mcp-server-git git_status",
    "nucleus mcp pins accept mcp-server-git",
)


def pins(
    ctx: typer.Context,
    action: Annotated[str, typer.Argument(metavar="list|diff|accept", help="What to do.")],
    server: Annotated[
        str | None, typer.Argument(metavar="SERVER", help="Of this server; else of all.")
    ] = None,
    tools: Annotated[
        list[str] | None,
        typer.Argument(metavar="TOOL…", help="To accept these; else all that wait."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Show what was accepted of servers' tools, what differs now, and accept it.

    A tool that is no longer what was accepted is neither shown to the agent nor called. What is in
    it that people do not see is named beside the difference. With a difference, `diff` exits 1.
    """
    from nucleus_tokens.errors import CallerError

    store = options.home(ctx).pins()
    if action == "accept" and server is not None:
        return _accept(store, server, tools or [], as_json)
    if action not in ("list", "diff") or tools:
        raise CallerError(
            "pins.action", "Pins are listed, compared, or accepted for one server.",
            hint="See --help.",
        )  # fmt: skip
    found = [store.read(each) for each in ([server] if server else store.servers())]
    return _list(found, as_json) if action == "list" else _diff(found, as_json)


def _accept(store: PinStore, server: str, tools: list[str], as_json: bool) -> int:
    from nucleus.cli.console import OK, answer, safe

    done = store.accept(server, tools)
    lines = [f"accepted {safe(server)}: {safe(each)}" for each in done]
    answer(as_json, {"server": server, "accepted": done}, *(lines or ["Nothing waits."]))
    return OK


def _list(found: list[Record], as_json: bool) -> int:
    from nucleus.cli.console import OK, document, safe, table

    if as_json:
        document(
            [
                {"server": each.server, "identity": each.identity, "moved": each.moved,
                 "accepted": sorted(each.accepted), "waiting": each.waiting()}
                for each in found
            ]
        )  # fmt: skip
        return OK
    table(
        ("server", "program", "version", "accepted", "waiting"),
        [
            [safe(each.server), *(safe(_said(each, key)) for key in ("program", "version")),
             str(len(each.accepted)), ", ".join(safe(name) for name in each.waiting())]
            for each in found
        ],
    )  # fmt: skip
    return OK


def _said(record: Record, key: str) -> str:
    return str((record.identity or record.offered_identity or {}).get(key) or "")


def _diff(found: list[Record], as_json: bool) -> int:
    from nucleus.cli.console import DENIED, OK, document, safe, say

    changes = [change for record in found for change in _changes(record)]
    if as_json:
        document(changes)
    for change in changes if not as_json else ():
        say(f"{safe(change['server'])}: {safe(change['tool'] or 'the server itself')}")
        say(*(f"  ! {safe(each)}" for each in change["findings"]))
        say(*(f"  {safe(line)}" for line in change["diff"]))
    if not changes and not as_json:
        say("Nothing differs from what was accepted.")
    return DENIED if changes else OK


def _changes(record: Record) -> list[dict[str, Any]]:
    from nucleus.pins import findings

    pairs = [(name, record.accepted.get(name), record.offered[name]) for name in record.waiting()]
    steering = list(findings((record.offered_identity or {}).get("instructions")))
    if record.moved or record.identity is None or steering:
        pairs.insert(0, ("", record.identity, record.offered_identity))
    return [
        {"server": record.server, "tool": name, "diff": _lines(old, new),
         "findings": list(findings(new))}
        for name, old, new in pairs
    ]  # fmt: skip


def _lines(old: object, new: object) -> list[str]:
    """What differs, in JSON whose every letter that is not ASCII is spelled out."""
    import difflib

    before, after = (
        [] if value is None else json.dumps(value, indent=2, sort_keys=True).splitlines()
        for value in (old, new)
    )
    return list(difflib.unified_diff(before, after, "accepted", "offered", lineterm=""))

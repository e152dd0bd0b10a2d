"""`nucleus approvals grant`: approving before anybody asks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleus.cli.options import (
    Approver,
    Json,
    PassphraseFd,
    PassphraseFile,
    Policy,
    examples,
    home,
)

GRANT = examples(
    "nucleus approvals grant net_fetch --host example.com --count 5 --for 1h",
    "nucleus approvals grant exec_run --session 3f9c --cmd 'npm test' --count 20",
)


def grant(
    ctx: typer.Context,
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="Calls of this tool.")],
    session: Annotated[
        str, typer.Option("--session", metavar="ID", help="Whose; the only one if left out.")
    ] = "",
    host: Annotated[
        list[str] | None, typer.Option("--host", metavar="HOST", help="To this host. Repeatable.")
    ] = None,
    path: Annotated[
        list[str] | None, typer.Option("--path", metavar="DIR", help="Below this. Repeatable.")
    ] = None,
    ref: Annotated[
        list[str] | None, typer.Option("--ref", metavar="REF", help="On this ref. Repeatable.")
    ] = None,
    command: Annotated[
        list[str] | None,
        typer.Option("--cmd", metavar="WORDS", help="Commands that start so. Repeatable."),
    ] = None,
    count: Annotated[int, typer.Option("--count", metavar="N", help="So many calls.")] = 1,
    lasts: Annotated[str, typer.Option("--for", metavar="TIME", help="So long from now.")] = "1h",
    approver: Approver = None,
    policy: Policy = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: Json = False,
) -> int:
    """Approve calls of a running session ahead.

    For this session's token only; when it is narrowed or handed on, a person is asked again. It
    cannot make an operation possible that the token does not have.
    """
    from nucleus import running
    from nucleus.cli import ahead, inputs
    from nucleus.cli.console import OK, answer
    from nucleus.granting import Whom
    from nucleus.granting import grant as sign
    from nucleus_proxy import policy as policies

    place = home(ctx)
    found = running.one(place, session)
    given = ahead.made(
        ahead.tools(policies.load(policy or place.policy_path), Path(found.workspace)),
        tool,
        {"host": host or [], "path": path or [], "ref": ref or [], "cmd": command or []},
        count=count,
        seconds=inputs.duration(lasts, "--for"),
    )
    with place.store() as store:
        key = place.approver(approver, inputs.passphrase(passphrase_file, passphrase_fd))
        made = sign(place, store, key, Whom(found.tid, found.rid, found.cell), given)
    answer(
        as_json,
        {"approval": made, "approver": key.id, "session": found.tid},
        f"Approved ahead by {key.id}: {count} calls of {tool} in session {found.tid}, for {lasts}.",
    )
    return OK

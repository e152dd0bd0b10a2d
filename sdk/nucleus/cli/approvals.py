"""`nucleus approvals list`, `approve` and `deny`: answering what agents ask for."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nucleus.cli.options import (
    Json,
    PassphraseFd,
    PassphraseFile,
    Policy,
    Reason,
    RemoteAt,
    examples,
    home,
    remote,
)

if TYPE_CHECKING:
    from nucleus.asked import Question
    from nucleus.home import Home
    from nucleus_issuer.desk import DeskStore
    from nucleus_verifier.ports import PendingRequest

LIST = examples("nucleus approvals list", "nucleus approvals list --all --json")
APPROVE = examples(
    "nucleus approvals approve 3f9c",
    "nucleus approvals approve 3f9c --for 2m --approver alice",
    "nucleus approvals approve 3f9c --like 2 --count 20 --for 30m",
    'nucleus approvals approve 3f9c --pattern \'["tool","in",["git_commit"]]\' --count 5 --for 1h',
)
GRANT = examples(
    "nucleus approvals grant net_fetch --host example.com --count 5 --for 1h",
    "nucleus approvals grant exec_run --session 3f9c --cmd 'npm test' --count 20",
)
DENY = examples('nucleus approvals deny 3f9c --reason "not on a Friday"')

Request = Annotated[
    str, typer.Argument(metavar="ID", help="The request's id, or enough of its start.")
]


def waiting(
    ctx: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="Those that were answered or ran out as well.")
    ] = False,
    issuer: RemoteAt = None,
    as_json: Json = False,
) -> int:
    """List what waits for an answer.

    Who asks, what for exactly, and why a person is needed.
    """
    from nucleus.cli.console import OK, document, say

    place = home(ctx)
    with _desk(place, issuer) as store:
        found = store.requests(pending_only=not everything)
    if as_json:
        document([_row(each) for each in found])
    elif not found:
        say("Nothing waits for an answer.")
    else:
        now = place.clock()
        for each in found:
            say(*shown(each, now), "")
        say("Answer with: nucleus approvals approve ID, or: nucleus approvals deny ID")
    return OK


def approve(
    ctx: typer.Context,
    request: Request,
    pattern: Annotated[
        list[str] | None,
        typer.Option(
            "--pattern", metavar="JSON", help="Approve calls that satisfy this caveat. Repeatable."
        ),
    ] = None,
    offer: Annotated[
        int, typer.Option("--like", metavar="K", help="Approve calls that the K-th offer lets in.")
    ] = 0,
    count: Annotated[
        int, typer.Option("--count", metavar="N", help="With a pattern: so many calls.")
    ] = 1,
    lasts: Annotated[
        str, typer.Option("--for", metavar="TIME", help="The approval lasts so long.")
    ] = "10m",
    always: Annotated[
        bool, typer.Option("--always", help="And never ask about it again: signs a rule.")
    ] = False,
    approver: Annotated[
        str | None, typer.Option("--approver", metavar="NAME", help="Who approves.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    issuer: RemoteAt = None,
    as_json: Json = False,
) -> int:
    """Approve a waiting call, exactly as shown.

    Or, with --pattern, calls like it. It is signed with the approver's key, serves this token and
    session only, and cannot make an operation possible that the token does not have.
    """
    from nucleus.approver import Approve, kept, question
    from nucleus.cli import inputs
    from nucleus.cli.console import OK, answer, say
    from nucleus.cli.prompting import choices

    place = home(ctx)
    patterns = [inputs.json_caveat(text, "--pattern") for text in pattern or ()]
    ttl = inputs.duration(lasts, "--for")
    with _desk(place, issuer) as store:
        found = _find(store, request)
        asked = question(found)
        if offer:
            patterns += _offered(asked, offer)
        if not as_json:
            say(*shown(found, place.clock()), *choices(asked), "")
        key = place.approver(approver, inputs.passphrase(passphrase_file, passphrase_fd))
        made = place.desk(store).approve(
            found.id, key, pattern=patterns or None, count=count, ttl=ttl
        )
        if always:
            kept(place, key, asked, Approve(tuple(patterns)))
    what = f"up to {count} calls that satisfy the pattern" if patterns else "this one call, once"
    answer(
        as_json,
        {"approval": made, "approver": key.id, "request": found.id},
        f"Approved by {key.id}: {what}, for {lasts}."
        + (" Not asked about again: see nucleus approvals rules." if always else ""),
    )
    return OK


def _offered(asked: Question, number: int) -> list[list[Any]]:
    from nucleus_tokens.errors import CallerError

    if not 1 <= number <= len(asked.offers):
        raise CallerError("approval.offer", f"There are {len(asked.offers)} offers, from 1.")
    return list(asked.offers[number - 1].pattern)


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
    approver: Annotated[
        str | None, typer.Option("--approver", metavar="NAME", help="Who approves.")
    ] = None,
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


def deny(
    ctx: typer.Context,
    request: Request,
    reason: Reason = "",
    issuer: RemoteAt = None,
    as_json: Json = False,
) -> int:
    """Deny a waiting call.

    It is told the reason. No passphrase is needed to say no.
    """
    from nucleus.cli.console import OK, answer

    place = home(ctx)
    with _desk(place, issuer) as store:
        found = _find(store, request)
        place.desk(store).deny(found.id, reason)
    answer(as_json, {"denied": True, "request": found.id}, f"Denied {found.id}.")
    return OK


@contextmanager
def _desk(place: Home, issuer: str | None) -> Generator[DeskStore]:
    """Where requests wait: in this home, or at an issuer elsewhere."""
    elsewhere = remote(place, issuer)
    if elsewhere is None:
        with place.store() as store:
            yield store
    else:
        from nucleus.remote import connected

        with connected(elsewhere) as there:
            yield there


def _find(store: DeskStore, start: str) -> PendingRequest:
    """The one request that was meant. Raises CallerError."""
    from nucleus_tokens.errors import CallerError

    every = store.requests(pending_only=False)
    found = [each for each in every if each.id == start]
    # A short id means one that still waits.
    found = found or [e for e in every if e.id.startswith(start) and e.status == "pending"]
    if len(found) == 1 and start:
        return found[0]
    why = "Several requests" if found else "No request that waits"
    raise CallerError(
        "desk.unknown",
        f"{why} can be meant by {start!r}.",
        hint="See: nucleus approvals list",
    )


def _row(request: PendingRequest) -> dict[str, Any]:
    import json

    from nucleus_tokens.names import OPERATIONS

    shown = json.loads(request.shown)
    kept = ("args", "args_whole", "chain", "exposure", "issuer", "legs", "needed", "resources")
    return {name: shown.get(name) for name in kept} | {
        "cell": request.cell,
        "created": request.created,
        "diff": json.loads(shown["diff"]) if shown.get("diff") else "",
        "digest": request.call_digest,
        "expires": request.expires,
        "id": request.id,
        "obligations": [{"id": id_, "why": why} for id_, why in request.obligations],
        "operation": OPERATIONS[request.operation],
        "reason": request.reason,
        "rid": request.rid,
        "status": request.status,
        "tid": request.tid,
        "tool": request.tool,
    }


def shown(request: PendingRequest, now: int) -> list[str]:
    """A request for a person, with what came of it."""
    from nucleus.approver import question
    from nucleus.cli.console import safe
    from nucleus.cli.prompting import lines

    state = "" if request.status == "pending" else request.status
    made = lines(question(request), now, state)
    return [*made, f"  answer  {safe(request.reason)}"] if request.reason else made

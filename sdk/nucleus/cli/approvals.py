"""`nucleus approvals list`, `approve` and `deny`: answering what agents ask for."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nucleus.cli.options import (
    Approver,
    Json,
    PassphraseFd,
    PassphraseFile,
    Reason,
    RemoteAt,
    examples,
    home,
    remote,
)

if TYPE_CHECKING:
    from nucleus.approver import Heard
    from nucleus.asked import Question
    from nucleus.home import Home
    from nucleus_verifier.ports import PendingRequest

LIST = examples("nucleus approvals list", "nucleus approvals list --all --json")
APPROVE = examples(
    "nucleus approvals approve 3f9c",
    "nucleus approvals approve 3f9c --for 2m --approver alice",
    "nucleus approvals approve 3f9c --alike",
    "nucleus approvals approve 3f9c --like 2 --count 20 --for 30m",
    'nucleus approvals approve 3f9c --pattern \'["tool","in",["git_commit"]]\' --count 5 --for 1h',
)
DENY = examples(
    'nucleus approvals deny 3f9c --reason "not on a Friday"',
    'nucleus approvals deny 3f9c --alike --always --reason "never from here"',
    'nucleus approvals deny 3f9c --stop --reason "it obeys a page"',
)

Alike = Annotated[
    bool, typer.Option("--alike", help="And those that differ in their arguments only.")
]
Always = Annotated[
    bool, typer.Option("--always", help="And never ask about it again: signs a rule.")
]
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
    from nucleus.approver import question, voices
    from nucleus.cli.console import OK, document, say

    place = home(ctx)
    with _desk(place, issuer) as store:
        found = store.requests(pending_only=not everything)
        every = [question(each, voices=voices(store, each)) for each in found]
    if as_json:
        document([_row(each) for each in found])
    elif not found:
        say("Nothing waits for an answer.")
    else:
        now = place.clock()
        for each, asked in zip(found, every, strict=True):
            say(*shown(each, asked, now), "")
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
    alike: Alike = False,
    always: Always = False,
    approver: Approver = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    issuer: RemoteAt = None,
    as_json: Json = False,
) -> int:
    """Approve a waiting call, exactly as shown.

    Or, with --pattern, calls like it. It is signed with the approver's key, serves this token and
    session only, and cannot make an operation possible that the token does not have.
    """
    from nucleus.approver import Approve, kept
    from nucleus.cli import inputs
    from nucleus.cli.console import OK, answer, say
    from nucleus.cli.prompting import choices
    from nucleus_tokens.errors import CallerError

    place = home(ctx)
    patterns = [inputs.json_caveat(text, "--pattern") for text in pattern or ()]
    ttl = inputs.duration(lasts, "--for")
    with _desk(place, issuer) as store:
        found = _find(store, request)
        asked = _asked(store, found)
        if offer:
            patterns += _offered(asked, offer)
        if alike and patterns:
            raise CallerError("approval.alike", "Those alike are approved each once: no pattern.")
        if not as_json:
            say(*shown(found, asked, place.clock()), *choices(asked), "")
        key = place.approver(approver, inputs.passphrase(passphrase_file, passphrase_fd))
        if key.id in asked.voices:
            raise CallerError("approval.voice", "Another approver must answer as well.")
        desk = place.desk(store)
        made = [
            desk.approve(each, key, pattern=patterns or None, count=count, ttl=ttl)
            for each in _ids(asked, alike)
        ]
        if always:
            kept(place, key, asked, Approve(tuple(patterns)))
    what = f"up to {count} calls that satisfy the pattern" if patterns else "this one call, once"
    if alike:
        what += f", and {len(made) - 1} alike"
    answer(
        as_json,
        {"alike": made[1:], "approval": made[0], "approver": key.id, "request": found.id},
        f"Approved by {key.id}: {what}, for {lasts}."
        + (" Not asked about again: see nucleus approvals rules." if always else ""),
    )
    return OK


def _offered(asked: Question, number: int) -> list[list[Any]]:
    from nucleus_tokens.errors import CallerError

    if not 1 <= number <= len(asked.offers):
        raise CallerError("approval.offer", f"There are {len(asked.offers)} offers, from 1.")
    return list(asked.offers[number - 1].pattern)


def deny(
    ctx: typer.Context,
    request: Request,
    reason: Reason = "",
    alike: Alike = False,
    always: Always = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="And stop its task: revoke the token it began with.")
    ] = False,
    approver: Approver = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    issuer: RemoteAt = None,
    as_json: Json = False,
) -> int:
    """Deny a waiting call.

    It is told the reason. No passphrase is needed to say no; only --always asks for it. With --stop
    its token is revoked before it is told, and all else that its task asks is denied.
    """
    from nucleus.approver import Deny, kept
    from nucleus.cli import inputs
    from nucleus.cli.console import OK, answer

    if stop:
        return _stop(ctx, request, reason, alike or always, issuer, as_json)
    place = home(ctx)
    with _desk(place, issuer) as store:
        found = _find(store, request)
        asked = _asked(store, found)
        every = _ids(asked, alike)
        key = None
        if always:
            key = place.approver(approver, inputs.passphrase(passphrase_file, passphrase_fd))
        for each in every:
            place.desk(store).deny(each, reason)
        if key is not None:
            kept(place, key, asked, Deny(reason))
    more = f", and {len(every) - 1} alike" if alike else ""
    answer(
        as_json,
        {"alike": every[1:], "denied": True, "request": found.id},
        f"Denied {found.id}{more}."
        + (" Not asked about again: see nucleus approvals rules." if always else ""),
    )
    return OK


def _stop(
    ctx: typer.Context, request: str, reason: str, more: bool, issuer: str | None, as_json: bool
) -> int:
    """Deny, and stop the task. Raises CallerError."""
    from nucleus.approver import question
    from nucleus.cli.console import OK, answer
    from nucleus.halting import stop, task
    from nucleus_tokens.errors import CallerError

    place = home(ctx)
    if more or remote(place, issuer) is not None:
        raise CallerError(
            "approval.stop",
            "A task is stopped at the desk of its own host, by an answer to one request.",
            hint="Leave out --alike, --always and --issuer, or see: nucleus token revoke",
        )
    with place.store() as store:
        found = _find(store, request)
        asked = question(found, task=task(store, found))
        others = stop(place, store, asked, by="the desk", reason=reason)
    answer(
        as_json,
        {"denied": True, "others": others, "request": found.id, "revoked": asked.task},
        f"Denied {found.id}, and {others} more that it asked. Revoked {asked.task[:12]}, and "
        "everything below it.",
    )
    return OK


def _asked(store: Heard, found: PendingRequest) -> Question:
    """The request in words, with those alike that wait beside it."""
    from nucleus.approver import question, voices, with_alike

    every = [question(each) for each in store.requests()]
    return with_alike(question(found, voices=voices(store, found)), every)


def _ids(asked: Question, alike: bool) -> list[str]:
    return [asked.id, *(each.id for each in asked.alike if alike)]


@contextmanager
def _desk(place: Home, issuer: str | None) -> Generator[Heard]:
    """Where requests wait: in this home, or at an issuer elsewhere."""
    elsewhere = remote(place, issuer)
    if elsewhere is None:
        with place.store() as store:
            yield store
    else:
        from nucleus.remote import connected

        with connected(elsewhere) as there:
            yield there


def _find(store: Heard, start: str) -> PendingRequest:
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


def shown(request: PendingRequest, asked: Question, now: int) -> list[str]:
    """A request for a person, with what came of it."""
    from nucleus.cli.console import safe
    from nucleus.cli.prompting import lines

    made = lines(asked, now, "" if request.status == "pending" else request.status)
    return [*made, f"  answer  {safe(request.reason)}"] if request.reason else made

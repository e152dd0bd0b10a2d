"""`nucleus approvals granted`, `revoke`, `rules`, `forget`: what was answered and still counts."""

from __future__ import annotations

from typing import Annotated

import typer

from nucleus.cli.options import Json, examples, home

GRANTED = examples("nucleus approvals granted", "nucleus approvals granted --json")
REVOKE = examples("nucleus approvals revoke 7c0d")
RULES = examples("nucleus approvals rules", "nucleus approvals rules --json")
FORWARD = examples("nucleus approvals forward")
FORGET = examples("nucleus approvals forget 51aa")

Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, or enough of its start.")]


def granted(ctx: typer.Context, as_json: Json = False) -> int:
    """List approvals that can still be used."""
    from nucleus.cli.console import OK, document, say, table, when

    place = home(ctx)
    with place.store() as store:
        found = store.in_force()
    if as_json:
        document(
            [
                {
                    "approver": each.approval.approver,
                    "id": each.approval.id,
                    "left": each.approval.count - each.used,
                    "not_after": each.approval.not_after,
                    "one_call": each.approval.digest is not None,
                    "request": each.request,
                    "rid": each.approval.rid,
                    "tool": each.tool,
                }
                for each in found
            ]
        )
    elif not found:
        say("No approval can be used any more.")
    else:
        rows = [
            (e.approval.id, e.approval.approver, e.tool, str(e.approval.count - e.used),
             when(e.approval.not_after))
            for e in found
        ]  # fmt: skip
        table(("approval", "by", "tool", "uses left", "until"), rows)
    return OK


def revoke(ctx: typer.Context, approval: Id, as_json: Json = False) -> int:
    """Take an approval back.

    From then on no call can use it. What ran already has run.
    """
    from nucleus.cli.console import OK, answer

    place = home(ctx)
    with place.store() as store:
        id_ = _one(approval, [each.approval.id for each in store.in_force()], "approval")
        store.take_back(id_, by="nucleus approvals")
    answer(as_json, {"approval": id_, "revoked": True}, f"Taken back: {id_}.")
    return OK


def rules(ctx: typer.Context, as_json: Json = False) -> int:
    """List what is never asked again."""
    from dataclasses import asdict

    from nucleus.approver import standing
    from nucleus.cli.console import OK, document, say, table, when

    found = standing(home(ctx)).rules()
    if as_json:
        document([asdict(each) for each in found])
    elif not found:
        say("Everything is asked about.")
    else:
        rows = [
            (e.id, e.answer, " → ".join(e.who), e.pattern, e.approver, when(e.until)) for e in found
        ]
        table(("rule", "answer", "to", "about", "by", "until"), rows)
    return OK


def forget(ctx: typer.Context, rule: Id, as_json: Json = False) -> int:
    """Take a rule away: a person is asked again."""
    from nucleus.approver import standing
    from nucleus.cli.console import OK, answer

    kept = standing(home(ctx))
    id_ = _one(rule, [each.id for each in kept.rules()], "rule")
    kept.forget(id_)
    answer(as_json, {"forgotten": True, "rule": id_}, f"Forgotten: {id_}.")
    return OK


def forward(ctx: typer.Context) -> int:
    """Ask approvers of other hosts, until it is stopped.

    What waits here is put before each approver that approvers.toml in the home lists, and what
    they sign is kept here if it is their word on exactly that call. No passphrase is needed.
    """
    import signal
    import threading

    from nucleus import couriers
    from nucleus.cli.console import OK, note, safe

    place = home(ctx)
    listed = couriers.read(place.config)
    with place.store() as store:
        courier = couriers.Courier(place, store, listed, lambda s: note(f"nucleus: {safe(s)}"))

        def stop(_: int, __: object) -> None:
            courier.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        note(f"nucleus: asking {', '.join(each.name for each in listed) or 'nobody'}")
        thread = threading.Thread(target=courier.run)
        thread.start()
        thread.join()
    return OK


def _one(start: str, ids: list[str], what: str) -> str:
    from nucleus_tokens.errors import CallerError

    found = [each for each in ids if each.startswith(start)]
    if len(found) == 1 and start:
        return found[0]
    why = f"Several {what}s" if found else f"No {what} that counts"
    raise CallerError(f"{what}.which", f"{why} can be meant by {start!r}.")

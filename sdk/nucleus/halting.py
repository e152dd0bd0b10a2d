"""Law: a task that is stopped is dead before it hears of it: its token is revoked first, then all
that waits of it is denied.

The one road by which any surface stops a task. Prefixes that a task made for itself are in no
inventory; what it began with is, and whatever it made descends from that. A request that another
host brought here may name a token that this desk does not know: there is nothing to stop, so it is
not offered.
"""

from __future__ import annotations

from nucleus.asked import Question
from nucleus.home import Home
from nucleus_issuer.store import Store
from nucleus_tokens.errors import CallerError
from nucleus_verifier.ports import PendingRequest


def task(store: Store, request: PendingRequest) -> str:
    """The prefix that the task of a request began with, as far as it is known here, or nothing."""
    issued = store.issued(request.tid)
    if issued is not None:
        return issued.rid0
    return request.rid if store.link(request.rid) is not None else ""


def stop(place: Home, store: Store, asked: Question, *, by: str, reason: str) -> int:
    """Revoke what the task of a question began with, durably, and deny all that waits of it; how
    many more than the question were denied. Raises CallerError `desk.elsewhere` where its token is
    not known here, `desk.closed` where the question waits no more; WorldError."""
    if not asked.task:
        raise CallerError(
            "desk.elsewhere",
            "Its token is not known here, so nothing can stop its task.",
            hint="Deny it, and revoke its token at the host it came from.",
        )
    desk, denied = place.desk(store), 0
    desk.waiting(asked.id)  # who answers too late stops nothing
    place.revoker(store).revoke(asked.task, by=by, reason=reason)
    for each in store.requests():
        if each.tid != asked.tid or task(store, each) != asked.task:
            continue
        try:
            desk.deny(each.id, reason)
        except CallerError as error:
            if error.code != "desk.closed":  # answered elsewhere: the token is dead all the same
                raise
        else:
            denied += each.id != asked.id
    return denied

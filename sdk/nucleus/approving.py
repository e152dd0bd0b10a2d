"""Law: `approve` lets a call wait for a person; it answers nothing itself, and nothing here could.

An approval is a statement signed with an approver's key. That key is opened by a passphrase in
another process, by a person: at the terminal of `nucleus session serve`, with `nucleus approvals`,
or in a program of the approver's. Code in the agent's interpreter can ask, and wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from nucleus import active
from nucleus.active import Waits
from nucleus_tokens.errors import CallerError

P = ParamSpec("P")
R = TypeVar("R")
Told = Callable[[str], None]

# Where a guarded function says which tool it is.
GUARDED: Final = "__nucleus_tool__"

_log = logging.getLogger("nucleus")


def approve(operation: str, call: Callable[P, R], /, *args: P.args, **named: P.kwargs) -> R:
    """Make a call that may wait for a person: `approve("fetch", net.fetch, url)`.

    `operation` names what may wait: a tool's short name (`fetch`), its full name (`net_fetch`) or
    an operation (`web_fetch`). Where nobody needs to be asked it is the same call. What it waits
    for is logged (logger `nucleus`, warning). Raises ApprovalRequired when nobody answers in time,
    PolicyDenied when a person says no, CallerError `approve.operation`.
    """
    with active.waiting(waits(operation, call, once())):
        return call(*args, **named)


def waits(operation: str, call: object, told: Told) -> Waits:
    """What `approve` lets wait. Raises CallerError `approve.operation` for a word that names
    nothing: a misspelt one would wait for nothing."""
    guarded = Waits(operation, told).covers(str(getattr(call, GUARDED, "")))
    if operation not in active.WORDS and not guarded:
        raise CallerError(
            "approve.operation",
            f"There is no operation {operation!r}.",
            hint="Name the tool (fetch, push, run …) or the operation (web_fetch …).",
        )
    return Waits(operation, told)


def once() -> Told:
    """Logs each thing that is waited for the first time it is said."""
    said: set[str] = set()

    def told(message: str) -> None:
        if message not in said:
            said.add(message)
            _log.warning("%s; answer with: nucleus approvals list", message)

    return told

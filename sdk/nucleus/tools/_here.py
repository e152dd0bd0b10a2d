"""Where a call goes when no session was named."""

from __future__ import annotations

from typing import TypeVar

from nucleus import active
from nucleus.asks import Ask
from nucleus.session import Session
from nucleus_tokens.errors import CallerError

T = TypeVar("T")


def run(asked: Ask[T], /) -> T:
    """Make the call in the innermost session. Raises CallerError `session.none`."""
    if active.asking():
        raise active.Asked(asked)
    found = active.innermost()
    if not isinstance(found, Session):
        raise CallerError(
            "session.other_kind",
            "The active session is one to be awaited.",
            hint="Import the tools from nucleus.aio.",
        )
    return found.run(asked)

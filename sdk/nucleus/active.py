"""Law: a tool acts on the innermost session of its own context; without one it acts on nothing.

Contexts are Python's (`contextvars`): a task inherits its creator's, a new thread starts without
any. There is no global session.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from nucleus.asks import Ask
from nucleus_tokens.errors import CallerError
from nucleus_tokens.names import OPERATIONS

# What a tool of ours does, in the kernel's terms: only to name it; the proxy judges.
OPERATION_OF: Final = {
    "fs_read": "read_files",
    "fs_write": "write_files",
    "fs_edit": "edit_files",
    "fs_glob": "glob_search",
    "fs_grep": "grep_search",
    "net_fetch": "web_fetch",
    "net_search": "web_search",
    "git_status": "read_files",
    "git_diff": "read_files",
    "git_commit": "git_commit",
    "git_push": "git_push",
    "git_create_pr": "create_pr",
    "exec_run": "run_bash",
    "exec_bash": "run_bash",
    "agent_spawn": "spawn_agent",
}
# Every word by which a call can be named: fetch, net_fetch, web_fetch.
WORDS: Final = frozenset(
    (*OPERATIONS, *OPERATION_OF, *(tool.split("_", 1)[1] for tool in OPERATION_OF))
)


@dataclass(frozen=True, slots=True)
class Waits:
    """Calls of this name may wait for a person; `told` hears what they wait for."""

    operation: str
    told: Callable[[str], None]

    def covers(self, tool: str, operation: str = "") -> bool:
        """Whether a call of this tool is one of them."""
        short = tool.partition(":")[2] or tool.split("_", 1)[-1]
        return self.operation in (tool, short, operation or OPERATION_OF.get(tool))


class Asked(BaseException):
    """Carries a request out of a tool that is only asked about; no `except Exception` stops it."""

    def __init__(self, asked: Ask[Any]) -> None:
        super().__init__()
        self.asked = asked


_sessions: ContextVar[tuple[Any, ...]] = ContextVar("nucleus sessions", default=())
_waits: ContextVar[Waits | None] = ContextVar("nucleus waits", default=None)
_asking: ContextVar[bool] = ContextVar("nucleus asking", default=False)


def innermost() -> Any:
    """The session that was entered last here. Raises CallerError `session.none`."""
    found = _sessions.get()
    if not found:
        raise CallerError(
            "session.none",
            "No session is active here.",
            hint="Use tools inside `with Session(profile=…):`; a new thread needs the session by "
            "name (`s.fs.read`) or a copy of the context (contextvars.copy_context).",
        )
    return found[-1]


def enter(session: object) -> None:
    """Make it the innermost session of this context."""
    _sessions.set((*_sessions.get(), session))


def leave(session: object) -> None:
    """It is no longer active here."""
    _sessions.set(tuple(each for each in _sessions.get() if each is not session))


def waits() -> Waits | None:
    """What may wait for a person in this context."""
    return _waits.get()


def asking() -> bool:
    """Whether calls are only asked about in this context."""
    return _asking.get()


@contextmanager
def waiting(allowed: Waits) -> Generator[None]:
    """Calls that `allowed` covers may wait inside the block."""
    token = _waits.set(allowed)
    try:
        yield
    finally:
        _waits.reset(token)


@contextmanager
def only_asking() -> Generator[None]:
    """Tools raise `Asked` inside the block, and send nothing."""
    token = _asking.set(True)
    try:
        yield
    finally:
        _asking.reset(token)

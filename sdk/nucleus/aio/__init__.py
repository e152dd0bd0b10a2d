"""Law: what `nucleus` and `nucleus.tools` do, for programs that await it.

    from nucleus.aio import Session, approve, fs, net

    async with Session(profile="safe_pr_fixer") as s:
        readme = await fs.read("README.md")

`@guard` is the same in both: it takes functions and coroutine functions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, ParamSpec, TypeVar

from nucleus import active, approving
from nucleus.aio.session import AsyncSession
from nucleus.aio.session import run_here as _run
from nucleus.aio.toolsets import Agent, Cmd, Fs, Git, Net

__all__ = ["Session", "agent", "approve", "cmd", "fs", "git", "net"]

P = ParamSpec("P")
R = TypeVar("R")

Session = AsyncSession
fs: Final = Fs(_run)
net: Final = Net(_run)
git: Final = Git(_run)
cmd: Final = Cmd(_run)
agent: Final = Agent(_run)


async def approve(
    operation: str, call: Callable[P, Awaitable[R]], /, *args: P.args, **named: P.kwargs
) -> R:
    """As `nucleus.approve`: `await approve("fetch", net.fetch, url)`."""
    with active.waiting(approving.waits(operation, call, approving.once())):
        return await call(*args, **named)

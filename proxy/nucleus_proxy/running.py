"""Law: whoever relays needs two streams of a server, and a way to end it; not what it is."""

from __future__ import annotations

from typing import Final, Protocol

from nucleus_proxy.wire import Reader, Writer

# An MCP server ends when its input does; then it is asked, then it is made to.
GRACE_SECONDS: Final = 2.0


class Running(Protocol):
    """A server that runs: a process, one behind HTTP, or many as one."""

    @property
    def reader(self) -> Reader: ...

    @property
    def writer(self) -> Writer: ...

    async def stop(self, grace: float = GRACE_SECONDS) -> None:
        """End it, politely at first. Safe to call again."""
        ...

    def kill(self) -> None:
        """End it at once; `stop` waits for that."""
        ...

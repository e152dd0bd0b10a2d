"""Law: each of many servers starts as it would alone, with what the operator gave to it alone.

One starter of several: a cell, a process or a remote each. One that does not start is missed by
nobody but its own tools.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from nucleus_proxy import merging
from nucleus_proxy.celled import Starter
from nucleus_proxy.pinning import Origin
from nucleus_proxy.running import Running
from nucleus_proxy.switchboard import Switchboard
from nucleus_tokens.authority import Authority
from nucleus_tokens.errors import NucleusError, WorldError


@dataclass(frozen=True, slots=True)
class Many:
    """Servers by name, as one."""

    members: Mapping[str, Starter]
    log: Callable[[str], None]
    draw: Callable[[int], bytes]

    @property
    def needs_authority(self) -> bool:
        return any(member.needs_authority for member in self.members.values())

    def key(self, authority: Authority | None) -> Hashable:
        return tuple(
            (name, member.key(authority) if authority or not member.needs_authority else None)
            for name, member in self.members.items()
        )

    def cwd(self, authority: Authority | None, tool: str = "") -> str:
        found = merging.owner(self.members, "name", tool)
        return "/" if found is None else self.members[found[0]].cwd(authority)

    def origin(self, tool: str) -> tuple[Origin, str]:
        found = merging.owner(self.members, "name", tool)
        if found is None:  # nobody's: no server lists it
            return Origin(""), tool
        return self.members[found[0]].origin(found[1])

    @asynccontextmanager
    async def started(self, authority: Authority | None) -> AsyncIterator[Running]:
        board = Switchboard(self.log, self.draw)
        async with AsyncExitStack() as stack:
            failed: NucleusError | None = None
            for name, member in self.members.items():
                try:
                    running = await stack.enter_async_context(member.started(authority))
                except NucleusError as error:
                    self.log(f"the server {name} did not start: {error}")
                    failed = error
                    continue
                board.add(name, running)
            if not board.members:
                raise failed or WorldError("server.start", "No server was named.")
            try:
                yield board
            finally:
                await board.stop()

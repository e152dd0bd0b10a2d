"""Law: what a server says of its tools is asked for by us, before the first call, and remembered.

An agent that never lists must not meet laxer rules than one that does. What a tool once admitted is
never forgotten while the server runs, whatever it says later. A definition that is not the accepted
one is withheld, and looked at again each time somebody calls the tool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from nucleus_proxy import fieldlabels
from nucleus_proxy.binding import UNLISTED, Hints, hints
from nucleus_proxy.merging import MARK
from nucleus_proxy.offload import Offload
from nucleus_proxy.pinning import SERVERS, Judged, Origin, Pins, introduction
from nucleus_proxy.toolrules import ToolBinding

_PAGES: Final = 64

# Asks the server for one page of tools/list: (params) -> result, or None for an error.
Ask = Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]]


class Catalogue:
    """One server's tools, as far as they matter."""

    def __init__(
        self,
        bindings: Mapping[str, ToolBinding],
        pins: Pins | None,
        origin: Callable[[str], tuple[Origin, str]],
        offload: Offload,
    ) -> None:
        """`origin` says whose a tool is and what its server calls it. Without `pins` nothing is
        withheld."""
        self._bindings = bindings
        self._pins = pins
        self._origin = origin
        self._offload = offload
        self._introduced: dict[str, Mapping[str, Any]] = {}
        self._names: dict[str, set[str]] = {}  # server -> its names of its tools
        self._withheld: dict[str, str] = {}
        self._said: dict[str, Hints] = {}
        self._listed: set[str] = set()
        self._complete = False
        self._lock = asyncio.Lock()
        self.stamp: Any = None  # what stood under the first list: see fieldlabels

    async def introduced(self, result: dict[str, Any]) -> dict[str, Any]:
        """A hello that passed by, without what its server may not say of itself."""
        many = result.get(SERVERS)
        rest = {key: value for key, value in result.items() if key != SERVERS}
        if type(many) is not dict:
            origin, _ = self._origin("")
            words = await self._words(origin, introduction(rest))
            return rest if words else {k: v for k, v in rest.items() if k != "instructions"}
        spoken = []
        for name, said in many.items():
            words = await self._words(self._origin(f"{name}{MARK}*")[0], said)
            if words:
                spoken.append(f"# {name}\n\n{words}")
        return {**rest, "instructions": "\n\n".join(spoken)} if spoken else rest

    async def _words(self, origin: Origin, said: Mapping[str, Any]) -> str:
        """A server's instructions, if they may be shown."""
        self._introduced[origin.server] = said
        judged = await self._judged(origin, [])
        words = said.get("instructions")
        return words if judged.speaks and type(words) is str else ""

    def withheld(self, tool: str) -> str | None:
        """Why a tool may be neither shown nor called, if it may not."""
        return self._withheld.get(tool)

    async def _judged(self, origin: Origin, tools: list[dict[str, Any]]) -> Judged:
        pins, said = self._pins, self._introduced.get(origin.server, {})
        if pins is None:
            return Judged({})
        rest = [names for server, names in self._names.items() if server != origin.server]
        beside = frozenset[str]().union(*rest)
        return await self._offload(lambda: pins.judge(origin, said, tools, beside))

    async def learn(self, page: Mapping[str, Any]) -> None:
        """Take in one page of a list that passed by. Raises WorldError: show none of it."""
        tools = page.get("tools")
        if self.stamp is None:
            self.stamp = fieldlabels.stamp_of(page)
        known = [tool for tool in (tools if type(tools) is list else ()) if self._bound(tool)]
        by_server: dict[str, tuple[Origin, list[tuple[str, dict[str, Any]]]]] = {}
        for tool in known:
            origin, bare = self._origin(tool["name"])
            theirs = by_server.setdefault(origin.server, (origin, []))[1]
            theirs.append((tool["name"], {**tool, "name": bare}))
            self._names.setdefault(origin.server, set()).add(bare)
        for origin, theirs in by_server.values():
            judged = await self._judged(origin, [tool for _, tool in theirs])
            for name, tool in theirs:
                self._withheld.pop(name, None)
                if tool["name"] in judged.withheld:
                    self._withheld[name] = judged.withheld[tool["name"]]
        for tool in known:
            name = tool["name"]
            new = hints(tool.get("annotations"), self._bindings[name])
            old = self._said.get(name, Hints())
            self._said[name] = Hints(
                old.obliged or new.obliged,
                old.open_world or new.open_world,
                tool.get("inputSchema"),
            )
            self._listed.add(name)

    def _bound(self, tool: Any) -> bool:
        name = tool.get("name") if type(tool) is dict else None
        return type(name) is str and name in self._bindings

    def changed(self) -> None:
        """The server says that its list is another one now."""
        self._listed.clear()
        self._complete = False

    def known(self, tool: str) -> Hints | None:
        """What the server said of a tool, if it was asked already."""
        if tool not in self._bindings:
            return Hints()
        if tool in self._listed:
            # What was withheld may have been accepted meanwhile.
            return None if tool in self._withheld else self._said.get(tool, Hints())
        return UNLISTED if self._complete else None

    async def said(self, tool: str, ask: Ask, params: dict[str, Any]) -> Hints:
        """What the server says of a tool, asked for if it is not known yet."""
        async with self._lock:
            if self.known(tool) is None:
                await self._read(ask, params)
        return self._said.get(tool, UNLISTED) if tool in self._listed else UNLISTED

    async def _read(self, ask: Ask, params: dict[str, Any]) -> None:
        for _ in range(_PAGES):
            page = await ask(params)
            if page is None:
                return
            await self.learn(page)
            cursor = page.get("nextCursor")
            if type(cursor) is not str:
                break
            params = {**params, "cursor": cursor}
        self._complete = True

"""Law: what a server says of its tools is asked for by us, before the first call, and remembered.

An agent that never lists must not meet laxer rules than one that does. What a tool once admitted is
never forgotten while the server runs, whatever it says later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from nucleus_proxy.binding import UNLISTED, Hints, hints
from nucleus_proxy.toolrules import ToolBinding

_PAGES: Final = 64

# Asks the server for one page of tools/list: (params) -> result, or None for an error.
Ask = Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]]


class Catalogue:
    """One server's tools, as far as they matter."""

    def __init__(self, bindings: Mapping[str, ToolBinding]) -> None:
        self._bindings = bindings
        self._said: dict[str, Hints] = {}
        self._listed: set[str] = set()
        self._complete = False
        self._lock = asyncio.Lock()

    def learn(self, tools: Any) -> None:
        """Take in one page of a list that passed by."""
        for tool in tools if type(tools) is list else ():
            name = tool.get("name") if type(tool) is dict else None
            if type(name) is not str or name not in self._bindings:
                continue
            new = hints(tool.get("annotations"), self._bindings[name])
            old = self._said.get(name, Hints())
            self._said[name] = Hints(
                old.obliged or new.obliged,
                old.open_world or new.open_world,
                tool.get("inputSchema"),
            )
            self._listed.add(name)

    def changed(self) -> None:
        """The server says that its list is another one now."""
        self._listed.clear()
        self._complete = False

    def known(self, tool: str) -> Hints | None:
        """What the server said of a tool, if it was asked already."""
        if tool in self._listed or tool not in self._bindings:
            return self._said.get(tool, Hints())
        return UNLISTED if self._complete else None

    async def said(self, tool: str, ask: Ask, params: dict[str, Any]) -> Hints:
        """What the server says of a tool, asked for if it is not known yet."""
        async with self._lock:
            if self.known(tool) is None:
                await self._read(ask, params)
        return self.known(tool) or UNLISTED

    async def _read(self, ask: Ask, params: dict[str, Any]) -> None:
        for _ in range(_PAGES):
            page = await ask(params)
            if page is None:
                return
            self.learn(page.get("tools"))
            cursor = page.get("nextCursor")
            if type(cursor) is not str:
                break
            params = {**params, "cursor": cursor}
        self._complete = True

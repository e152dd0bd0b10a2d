"""Law: what a server answers counts for what this server was asked, and for nothing else.

One of many servers behind a switchboard: its process, its era, and its own books.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from nucleus_proxy import methods, toolcall, wire
from nucleus_proxy.merging import NEW_ERA, OLD_ERA, in_era
from nucleus_proxy.running import Running
from nucleus_proxy.wire import UNBOUNDED, BadFrame, Frame, Key

MOST_UNREAD: Final = 16 * 1024 * 1024  # bytes that a server has not taken
BEGIN_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the client that this server has, and what the server was told."""

    frame: Frame
    progress: Key | None  # under which the server speaks of progress
    params: dict[str, Any]
    rounds: int = 0  # it was made before, and the server asked something first

    def progressed(self, frame: Frame) -> Frame | None:
        """A word of progress as the client knows it; None if it does not want to hear it."""
        wanted = toolcall.progress_token(self.frame.params)
        if wanted is None or self.progress == (type(wanted), wanted):
            return None if wanted is None else frame
        return frame.altered("params", {**frame.params, "progressToken": wanted})


class Member:
    """One server. `heard` gets each message of it that is no answer to a question of ours."""

    def __init__(
        self,
        name: str,
        process: Running,
        heard: Callable[[Member, Frame], None],
        ended: Callable[[Member], None],
        log: Callable[[str], None],
    ) -> None:
        self.name = name
        self.process = process
        self.new = False  # its era, once it was greeted
        self.alive = True
        self.why = "ended before it answered."  # and is not alive
        self.info: dict[str, Any] = {}  # of its greeting
        self._able: dict[str, Any] = {}
        self.open: dict[int, Asked] = {}  # by the id under which it has them
        self._heard = heard
        self._ended = ended
        self._log = log
        self._ours: dict[int, asyncio.Future[dict[str, Any] | None]] = {}
        self._made = 0
        self._unread = 0
        self._lines: asyncio.Queue[bytes] = asyncio.Queue()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]

    @property
    def capabilities(self) -> dict[str, Any]:
        found = self.info.get("capabilities")
        return found if type(found) is dict else {}

    # Greeting ---------------------------------------------------------------------------------

    async def greeted(self, params: dict[str, Any], *, new: bool, able: dict[str, Any]) -> None:
        """Say hello in the client's era, or in the other if it does not speak that: `able` is what
        of the other's questions the client answers."""
        self.new = new
        self._able = able
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                found = await self._hello(params)
                if found is None:
                    self.new = not new
                    found = await self._hello(params)
        except TimeoutError:
            found = None
        if found is None:
            self._log(f"{self.name} did not answer its greeting")
            self.gone()
            return
        self.info = found

    async def _hello(self, params: dict[str, Any]) -> dict[str, Any] | None:
        if self.new:
            info = params.get("clientInfo")
            envelope = in_era(_envelope(params), new=True, info=info, able=self._able)
            return await self.ask("server/discover", envelope)
        if "protocolVersion" not in params:
            meta = params.get("_meta") or {}
            said = meta.get("io.modelcontextprotocol/clientInfo")
            info = said if type(said) is dict else {"name": "nucleus", "version": "1"}
            params = {"protocolVersion": OLD_ERA, "capabilities": self._able, "clientInfo": info}
            found = await self.ask("initialize", params)
            if found is not None:
                self.send(wire.notification("notifications/initialized", {}))
            return found
        return await self.ask("initialize", params)

    # Sending ----------------------------------------------------------------------------------

    def send(self, raw: bytes) -> None:
        """Give it a line. A server that takes none ends."""
        self._unread += len(raw)
        if self._unread > MOST_UNREAD:
            self._log(f"ended {self.name}: it does not read")
            self.gone()
        elif self.alive:
            self._lines.put_nowait(raw + b"\n")

    async def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        """A question of our own: its result, or None for an error and for a server that ended."""
        if not self.alive:
            return None
        number = self._number()
        self._ours[number] = asyncio.get_running_loop().create_future()
        self.send(wire.request(number, method, params))
        try:
            return await self._ours[number]
        finally:
            self._ours.pop(number, None)

    def pass_on(self, frame: Frame, params: dict[str, Any], *, rounds: int = 0) -> None:
        """Give it a request of the client, under an id of ours: no client chooses one that meets
        those of our own questions."""
        token = toolcall.progress_token(frame.params)
        number = self._number()
        progress = None if token is None else (type(token), token)
        self.open[number] = Asked(frame, progress, params, rounds)
        self.send(frame.altered("params", params).altered("id", number).raw)

    def cancel(self, key: Key, frame: Frame) -> None:
        """Tell it that the client does not wait any more, if it is what it has."""
        for number, asked in self.open.items():
            if asked.frame.key == key:
                self.send(frame.altered("params", {**frame.params, "requestId": number}).raw)

    def quietly(self, method: str, params: dict[str, Any]) -> None:
        """Ask what nobody waits for an answer of."""
        self.send(wire.request(self._number(), method, params))

    def _number(self) -> int:
        self._made += 1
        return self._made

    async def _write(self) -> None:
        try:
            while True:
                raw = await self._lines.get()
                self.process.writer.write(raw)
                await self.process.writer.drain()
                self._unread -= len(raw) - 1
        except (ConnectionError, RuntimeError):
            self.gone()

    # Hearing ----------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            while line := await wire.read_line(self.process.reader):
                try:
                    frame = wire.parse(line, from_server=True, limit=UNBOUNDED)
                except BadFrame as error:
                    self._log(f"dropped a line of {self.name}: {error.message}")
                    continue
                ours = self._ours.get(frame.id) if type(frame.id) is int else None
                if frame.kind == "response" and ours is not None:
                    result = frame.value.get("result")
                    if not ours.done():
                        ours.set_result(result if type(result) is dict else None)
                else:
                    self._heard(self, frame)
        except BadFrame as error:
            self._log(f"ended {self.name}: {error.message}")
            self.why = f"was ended: {error}"
        self.gone()

    def gone(self) -> None:
        """It has ended, or is ended now."""
        if not self.alive:
            return
        self.alive = False
        self.process.kill()
        for found in self._ours.values():
            if not found.done():
                found.set_result(None)
        self._ended(self)

    async def close(self) -> None:
        """Nothing of it is read or written any more."""
        self.alive = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _envelope(params: dict[str, Any]) -> dict[str, Any]:
    """What of a greeting every request of the new era says."""
    meta = params.get("_meta")
    if type(meta) is dict and meta.get(methods.PROTOCOL_VERSION) == NEW_ERA:
        return {"_meta": meta}
    return {}

"""Law: many servers are one to the relay; between themselves they are strangers.

It speaks MCP as a server would. A request that names a tool, prompt or resource goes to the one
server whose it is; a list is everybody's; a hello is said to each in the era it knows. An answer is
believed only from the server that was asked, and a server's question is answered only by the
client's answer to it: ids are kept apart. One that ends takes only its own with it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
from collections.abc import Callable, Coroutine
from typing import Any, Final

from nucleus_proxy import merging, methods, questions, wire
from nucleus_proxy.holding import HOLD_SECONDS, Holding
from nucleus_proxy.listening import Listening
from nucleus_proxy.member import Member
from nucleus_proxy.merging import LISTS, NEW_ERA
from nucleus_proxy.pinning import SERVERS, introduction
from nucleus_proxy.questions import Questions
from nucleus_proxy.running import GRACE_SECONDS, Running
from nucleus_proxy.wire import UNBOUNDED, BadFrame, Frame

_INFO: Final = {"name": "nucleus", "version": "1"}
_OLD: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
_SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
_ALL: Final = frozenset(("notifications/initialized", "notifications/roots/list_changed"))
_CHANGED: Final = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
}


class Switchboard:
    """Many servers as one. It is a relay's `Running`, and its `Writer`."""

    def __init__(
        self,
        log: Callable[[str], None],
        draw: Callable[[int], bytes],
        *,
        hold_seconds: float = HOLD_SECONDS,
    ) -> None:
        """`draw(n)` gives n random bytes. `hold_seconds`: how long a call waits for the answer of
        a client that has to come again."""
        self._log = log
        self.reader = asyncio.StreamReader(limit=UNBOUNDED)
        self.members: dict[str, Member] = {}
        self._questions = Questions(self._say)
        self._holding = Holding(self._say, draw, log, hold_seconds)
        self._new = False  # the client's era
        self._client: Any = None  # what it said of itself
        self._able: dict[str, Any] = {}  # the questions of the other era that it answers
        self._listening = Listening(self._say)
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False

    def add(self, name: str, process: Running) -> None:
        """A further server, that was just started."""
        self.members[name] = Member(name, process, self._heard, self._ended, self._log)

    # As Running and Writer ---------------------------------------------------------------------

    @property
    def writer(self) -> Switchboard:
        return self

    def write(self, data: bytes) -> None:
        """One line of the relay."""
        try:
            frame = wire.parse(data, from_server=True, limit=UNBOUNDED)
        except BadFrame as error:  # the relay has read it before
            self._log(f"dropped a line that is no message: {error.message}")
            return
        match frame.kind:
            case "request":
                self._request(frame)
            case "notification":
                self._notified(frame)
            case "response":
                self._questions.answered(frame)

    async def drain(self) -> None:
        """Each server has its own queue: none holds up another."""

    def close(self) -> None:
        """The relay writes no more."""

    async def stop(self, grace: float = GRACE_SECONDS) -> None:
        """End all of them."""
        self.kill()
        self._holding.close()
        await self._questions.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(member.close() for member in self.members.values()))

    def kill(self) -> None:
        """End all of them at once."""
        for member in self.members.values():
            member.gone()
        self._end()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self.reader.feed_eof()

    def _say(self, raw: bytes) -> None:
        if not self._over:
            self.reader.feed_data(raw + b"\n")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def _alive(self) -> list[Member]:
        return [member for member in self.members.values() if member.alive]

    # From the client ----------------------------------------------------------------------------

    def _request(self, frame: Frame) -> None:
        if frame.method in methods.OPENING:
            self._spawn(self._greet(frame))
        elif frame.method == "ping":
            self._result(frame, {})
        elif frame.method in LISTS:
            self._spawn(self._list(frame))
        elif frame.method == "logging/setLevel":
            self._spawn(self._set_level(frame))
        elif frame.method == "subscriptions/listen":
            self._listening.listen(frame, self._alive)
        elif frame.method in merging.NAMED or frame.method == "completion/complete":
            found = merging.named(frame, self.members)
            if found is None:
                self._error(frame, wire.INVALID_PARAMS, "No server here has this name.")
            else:
                self._to(self.members[found[0]], frame, found[1])
        else:
            self._error(frame, wire.METHOD_NOT_FOUND, f"{frame.method} names no server.")

    def _to(self, member: Member, frame: Frame, params: dict[str, Any]) -> None:
        if not member.alive:
            self._error(frame, wire.WORLD_FAILED, f"The server {member.name} has ended.")
            return
        if self._new and not member.new and params.keys() & methods.CALL_PARAMS_OF_INPUT:
            self._holding.again(member, frame)
            return
        member.pass_on(frame, self._in_era(member, params))

    def _in_era(self, member: Member, params: dict[str, Any]) -> dict[str, Any]:
        return merging.in_era(params, new=member.new, info=self._client, able=self._able)

    def _result(self, frame: Frame, result: dict[str, Any]) -> None:
        if frame.id is not None:
            made = merging.result_in_era(frame.method, result, new=self._new)
            self._say(wire.result(frame.id, made))

    def _error(self, frame: Frame, code: int, sentence: str) -> None:
        self._say(wire.error(frame.id, code, sentence))

    async def _greet(self, frame: Frame) -> None:
        self._new = frame.method == "server/discover"
        params = frame.params
        self._client = params.get("clientInfo")
        able = params.get("capabilities")
        if self._new:
            meta = params.get("_meta") or {}
            self._client = meta.get("io.modelcontextprotocol/clientInfo")
            able = meta.get(methods.CLIENT_CAPABILITIES)
        self._able = questions.known(able)
        hellos = (m.greeted(params, new=self._new, able=self._able) for m in self._alive)
        await asyncio.gather(*hellos)
        if not self._alive:
            self._error(frame, wire.WORLD_FAILED, "No server answered.")
            return
        about: dict[str, Any] = {
            "capabilities": merging.capabilities(
                (m.capabilities for m in self._alive), new=self._new
            ),
            SERVERS: {m.name: introduction(m.info) for m in self._alive},
        }
        if self._new:
            about |= {"supportedVersions": [*_OLD, NEW_ERA], "_meta": {_SERVER_INFO: _INFO}}
        else:
            spoken = [str(m.info.get("protocolVersion", _OLD[-1])) for m in self._alive]
            asked = params.get("protocolVersion")
            version = min([v for v in spoken if v in _OLD], default=_OLD[-1])
            about |= {
                "protocolVersion": min(version, asked) if asked in _OLD else version,
                "serverInfo": _INFO,
            }
        self._result(frame, about)

    async def _list(self, frame: Frame) -> None:
        """The next page of each server that has one."""
        method, cursors = frame.method, _cursors(frame.params.get("cursor"))
        if cursors is None:
            self._error(frame, wire.INVALID_PARAMS, "There is no such page.")
            return
        rest = {key: value for key, value in frame.params.items() if key != "cursor"}
        kind = methods.CLIENT_OPENABLE.get(method, "tools")
        wanted = [
            member for member in self._alive
            if (kind == "tools" or kind in member.capabilities)
            and (not cursors or member.name in cursors)
        ]  # fmt: skip

        async def page(member: Member) -> dict[str, Any] | None:
            params = self._in_era(member, _quiet(rest))
            if member.name in cursors:
                params = {**params, "cursor": cursors[member.name]}
            return await member.ask(method, params)

        pages = await asyncio.gather(*(page(member) for member in wanted))
        items: list[Any] = []
        more: dict[str, str] = {}
        for member, found in zip(wanted, pages, strict=True):
            if found is None:
                self._log(f"{member.name} did not answer {method}")
                continue
            items += merging.listed(member.name, method, found)
            if type(found.get("nextCursor")) is str:
                more[member.name] = found["nextCursor"]
        result: dict[str, Any] = {LISTS[method][0]: items}
        if more:
            result["nextCursor"] = base64.urlsafe_b64encode(json.dumps(more).encode()).decode()
        self._result(frame, result)

    async def _set_level(self, frame: Frame) -> None:
        able = [m for m in self._alive if "logging" in m.capabilities and not m.new]
        await asyncio.gather(*(m.ask(frame.method, frame.params) for m in able))
        self._result(frame, {})

    def _notified(self, frame: Frame) -> None:
        if frame.method in _ALL:
            for member in self._alive:
                if not member.new and (
                    frame.method != "notifications/initialized" or not self._new
                ):
                    member.send(frame.raw)
        elif frame.method == "notifications/cancelled":
            key = wire.key_of(frame.params.get("requestId"))
            if key is None:
                return
            self._listening.cancelled(key)
            self._questions.cancelled(key)
            self._holding.cancelled(key)
            for member in self._alive:
                # Its answer, if one comes, is told to the relay, which knows what to do.
                member.cancel(key, frame)
        elif frame.method == "notifications/progress":
            self._questions.progressed(frame)

    # From a server -----------------------------------------------------------------------------

    def _heard(self, member: Member, frame: Frame) -> None:
        match frame.kind:
            case "response":
                self._told(member, frame)
            case "request":
                self._asks(member, frame)
            case "notification":
                self._notifies(member, frame)

    def _told(self, member: Member, frame: Frame) -> None:
        number = frame.id if type(frame.id) is int else -1
        asked = member.open.pop(number, None)
        if asked is None:
            self._log(f"dropped an answer of {member.name} that nobody asked it for")
            return
        frame = frame.altered("id", asked.frame.id)
        result = frame.value.get("result")
        crosses = member.new is not self._new
        if type(result) is dict:
            if crosses and member.new and result.get("resultType") == "input_required":
                self._questions.round(member, asked, result, self._able)
                return
            made = merging.told(member.name, result)
            if crosses:
                made = merging.result_in_era(asked.frame.method, made, new=self._new)
            if made != result:
                frame = frame.altered("result", made)
        held = self._holding.of(member, number)
        if held is not None:
            self._holding.answered(held, frame)
        else:
            self._say(frame.raw)

    def _asks(self, member: Member, frame: Frame) -> None:
        if frame.method == "ping":
            member.send(wire.result(frame.id or 0, {}))
            return
        asks = self._holding.ask if self._new else self._questions.ask
        if member.new or not asks(member, frame):
            sentence = "This cannot be asked here now."
            member.send(wire.error(frame.id, wire.METHOD_NOT_FOUND, sentence))

    def _notifies(self, member: Member, frame: Frame) -> None:
        params = frame.params
        match frame.method:
            case "notifications/progress":
                token: Any = params.get("progressToken")
                key = (type(token), token)
                asked = next((a for a in member.open.values() if a.progress == key), None)
                made = None if asked is None else asked.progressed(frame)
                if made is None:
                    return
                frame = made
            case "notifications/cancelled":
                self._questions.withdrawn(member, frame)
                self._holding.withdrawn(member, frame)
                return
            case "notifications/message":
                said = params.get("logger")
                logger = f"{member.name}/{said}" if type(said) is str else member.name
                frame = frame.altered("params", {**params, "logger": logger})
            case method if self._new and self._listening.tells(member, method, params):
                return
            case "notifications/resources/updated":
                uri = merging.prefixed(member.name, "uri", params.get("uri"))
                frame = frame.altered("params", {**params, "uri": uri})
        self._say(frame.raw)

    def _ended(self, member: Member) -> None:
        """What only this server could answer is answered; the rest goes on."""
        for number, asked in member.open.items():
            if self._holding.of(member, number) is None:
                self._error(
                    asked.frame, wire.WORLD_FAILED, f"The server {member.name} {member.why}"
                )
        member.open.clear()
        self._questions.ended(member)
        self._holding.ended(member)
        if not self._alive:
            self._end()
            return
        self._log(f"the server {member.name} has ended; the others go on")
        for kind in _CHANGED.keys() & member.capabilities.keys():
            if not self._new:
                self._say(wire.notification(_CHANGED[kind], {}))
            else:
                self._listening.tells(member, _CHANGED[kind], {})


def _quiet(params: dict[str, Any]) -> dict[str, Any]:
    """Without the progress token of a list: the pages of several servers have none."""
    meta = params.get("_meta")
    if type(meta) is not dict or "progressToken" not in meta:
        return params
    return {**params, "_meta": {k: v for k, v in meta.items() if k != "progressToken"}}


def _cursors(cursor: Any) -> dict[str, str] | None:
    """Where each server is to go on; empty for the first page, None for what is no cursor of
    ours."""
    if cursor is None:
        return {}
    with contextlib.suppress(ValueError, binascii.Error, TypeError, UnicodeError, RecursionError):
        value = json.loads(base64.b64decode(str(cursor), altchars=b"-_", validate=True))
        if type(value) is dict and value and all(type(v) is str for v in value.values()):
            return value
    return None

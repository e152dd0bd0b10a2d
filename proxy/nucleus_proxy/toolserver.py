"""Law: a call of our own tools takes the same road as any other: decided, run once, recorded,
and only then answered.

One connection that speaks MCP with the proxy's tools. There is no server behind it; what a relay
forwards under a permit, this runs under one.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from nucleus_proxy import methods, toolcall, wire
from nucleus_proxy.answers import UNCLASSIFIED, UNRECORDED, Granted, Presented, Refusal, Withdrawn
from nucleus_proxy.binding import BoundCall, unclassified
from nucleus_proxy.link import MOST_OPEN, ClientIds, Line
from nucleus_proxy.live import WasCut
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.methods import DECISION, EXPOSURE, FAILURE
from nucleus_proxy.native import Tools, Value
from nucleus_proxy.toolcall import ToolCall
from nucleus_proxy.waiting import Caller, Progress
from nucleus_proxy.wire import BadFrame, Frame, Key, Reader, Writer
from nucleus_tokens.errors import CredentialError, NucleusError
from nucleus_tokens.names import exposure_names

VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
_STATELESS: Final = "2026-07-28"  # from here on there is no `initialize`
_INFO: Final = {"name": "nucleus", "version": "1"}
GRACE_SECONDS: Final = 2.0


class ToolServer:
    """One client of the proxy's own tools."""

    def __init__(
        self,
        *,
        reader: Reader,
        writer: Writer,
        mediator: Mediator,
        tools: Tools,
        held: str | None,
        cwd: str,
        log: Callable[[str], None],
        grace: float = GRACE_SECONDS,
        private: bytes = b"",
    ) -> None:
        """`held` is the token when this connection holds it, `private` its holder's key, which
        signs what is handed on; without a token every call carries its own. Relative paths start
        at `cwd`."""
        self._reader = reader
        self._client = Line(writer)
        self._mediator = mediator
        self._tools = tools
        self._held = held
        self._cwd = cwd
        self._log = log
        self._grace = grace
        self._private = private
        self._ids = ClientIds()
        self._callers: dict[Key, Caller] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the client ends."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await self._read()
                for caller in self._callers.values():
                    caller.gone = True
                # What runs already is given a moment, so that its outcome is recorded.
                if self._tasks:
                    await asyncio.wait(set(self._tasks), timeout=self._grace)
                for task in self._tasks:
                    task.cancel()
        finally:
            self._client.writer.close()

    async def _read(self) -> None:
        while True:
            try:
                line = await wire.read_line(self._reader)
                if not line:
                    return
                frame = wire.parse(line)
            except BadFrame as error:
                await self._client.send(wire.error(error.id, error.rpc, error.message))
                if error.code == "wire.too_large":
                    return
                continue
            if frame.kind == "request":
                await self._request(frame)
            elif frame.method == "notifications/cancelled":
                target = frame.params.get("requestId")
                key = (type(target), target)
                if key in self._callers:
                    self._callers[key].cancelled.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _request(self, frame: Frame) -> None:
        refused: tuple[int, str] | None = None
        if not self._ids.fresh(frame.key):
            refused = (wire.INVALID_REQUEST, "This id was used before.")
        elif len(self._tasks) >= MOST_OPEN:
            refused = (wire.WORLD_FAILED, f"{MOST_OPEN} requests are open already.")
        if refused is not None:
            await self._client.send(wire.error(frame.id, *refused))
            return
        match frame.method:
            case methods.TOOLS_CALL:
                self._spawn(self._call(frame))
            case methods.TOOLS_LIST:
                self._spawn(self._list(frame))
            case "initialize":
                await self._answer(frame, _initialized(frame.params))
            case "server/discover":
                await self._answer(frame, _discovered())
            case "ping":
                await self._answer(frame, {})
            case _:
                await self._other(frame)

    async def _other(self, frame: Frame) -> None:
        message = f"{frame.method} is not a method that passes here."
        await self._client.send(wire.error(frame.id, wire.METHOD_NOT_FOUND, message))

    async def _answer(self, frame: Frame, content: dict[str, Any]) -> None:
        if frame.id is not None:
            await self._client.send(wire.result(frame.id, content))

    def _presented(self, params: dict[str, Any]) -> Presented:
        if self._held is not None:
            return Presented(self._held, "held", private=self._private)
        return Presented(toolcall.credential_of(params), "carried")

    # tools/list -------------------------------------------------------------------------------

    async def _list(self, frame: Frame) -> None:
        shown = await self._mediator.list_tools(
            self._presented(frame.params), toolcall.without_meta(frame.params)
        )
        if isinstance(shown, Refusal):
            said = wire.error(frame.id, wire.WORLD_FAILED, shown.line(), shown.fields())
            await self._client.send(said)
            return
        listed = [tool.listed() for name, tool in self._tools.items() if name in shown]
        content: dict[str, Any] = {"tools": listed}
        if methods.of_new_era(frame.params):
            content |= {"resultType": "complete", "cacheScope": "private", "ttlMs": 0}
        await self._answer(frame, content)

    # tools/call -------------------------------------------------------------------------------

    async def _call(self, frame: Frame) -> None:
        caller = self._callers[frame.key] = Caller(waits=toolcall.waits(frame.params))
        try:
            made = toolcall.read(frame, frozenset())
            done = await self._decide(frame, made, caller)
        except CredentialError as error:
            data = {"code": error.code, "hint": error.hint}
            said = wire.error(frame.id, wire.INVALID_PARAMS, error.message, data)
            await self._client.send(said)
            return
        finally:
            del self._callers[frame.key]
        match done:
            case Withdrawn():
                return
            case Refusal():
                await self._answer(frame, done.result(new_era=made.new_era))
            case Granted():
                await self._run(frame, made, done)

    async def _decide(
        self, frame: Frame, made: ToolCall, caller: Caller
    ) -> Granted | Refusal | Withdrawn:
        tool = self._tools.get(made.tool)
        build: Callable[[], BoundCall] = partial(unclassified, made.tool, made.args)
        if tool is not None:
            build = made.with_references(partial(tool.bind, made.args, self._cwd))
        presented = self._presented(made.frame.params)
        if self._held is None:
            presented = Presented(made.credential, "carried")
        progress = self._progress(frame)
        return await self._mediator.call(presented, build, progress=progress, caller=caller)

    def _progress(self, frame: Frame) -> Progress:
        """Tells the client what its call waits for, if it wants to hear it."""
        token = toolcall.progress_token(frame.params)
        rising = itertools.count(1)

        async def progress(message: str) -> None:
            if token is not None:
                params = {
                    "progressToken": token,
                    "progress": next(rising),
                    "message": message,
                }
                await self._client.send(wire.notification("notifications/progress", params))

        return progress

    async def _run(self, frame: Frame, made: ToolCall, granted: Granted) -> None:
        tool = self._tools.get(made.tool)
        if tool is None:
            await self._answer(frame, UNCLASSIFIED.result(new_era=made.new_era))
            return
        about: dict[str, Any] = {
            EXPOSURE: list(exposure_names(granted.exposure)),
            DECISION: granted.permit.seq,
        }
        cut = ""
        try:
            value = await tool.run(granted, self._mediator.wall)
            about[EXPOSURE] = list(exposure_names(granted.exposure | value.saw))
            about |= await self._mediator.saw(granted, value.structured, label=value.label)
            ok, content = value.ok, _content(value, about)
        except NucleusError as error:
            ok, content = False, _failed(error, about)
            cut = error.code if isinstance(error, WasCut) else ""
        if made.new_era:
            content["resultType"] = "complete"
        raw = wire.spell(content)
        try:
            await self._mediator.outcome(granted, ok=ok, result=raw, cut=cut)
        except NucleusError:
            content = UNRECORDED.result(new_era=made.new_era)
        await self._answer(frame, content)


def _content(value: Value, about: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "content": [{"type": "text", "text": value.text}],
        "structuredContent": value.structured,
        "_meta": about,
    }
    return made if value.ok else {**made, "isError": True}


def _failed(error: NucleusError, about: dict[str, Any]) -> dict[str, Any]:
    """The call was let run and did not succeed: nothing that it found is in here."""
    fields = {"code": error.code, "sentence": error.message}
    if error.hint:
        fields["hint"] = error.hint
    return {
        "content": [{"type": "text", "text": f"Failed: {error}"}],
        "isError": True,
        "_meta": {FAILURE: fields, **about},
    }


def _initialized(params: dict[str, Any]) -> dict[str, Any]:
    asked = params.get("protocolVersion")
    old = [version for version in VERSIONS if version < _STATELESS]
    return {
        "protocolVersion": asked if asked in old else old[-1],
        "capabilities": {"tools": {}},
        "serverInfo": _INFO,
    }


def _discovered() -> dict[str, Any]:
    return {
        "resultType": "complete",
        "supportedVersions": list(VERSIONS),
        "capabilities": {"tools": {}},
        "serverInfo": _INFO,
        "cacheScope": "private",
        "ttlMs": 0,
    }

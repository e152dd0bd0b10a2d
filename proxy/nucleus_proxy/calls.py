"""Law: the answer to a call is released after its outcome is on record, and to nobody else.

The mediated half of a relay: tools/call and tools/list. Each call is one task with one end: a
refusal, a result, or silence after the client cancelled it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any

from nucleus_proxy import binding, fieldlabels, methods, narrowing, pinning, toolcall, wire
from nucleus_proxy.answers import (
    INPUT_CLOSED,
    TOO_LARGE,
    UNCLASSIFIED,
    UNRECORDED,
    Granted,
    Presented,
    Refusal,
    Withdrawn,
)
from nucleus_proxy.behind import Behind, Servers
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.catalogue import Catalogue
from nucleus_proxy.link import Line
from nucleus_proxy.live import Live
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.toolcall import ToolCall
from nucleus_proxy.underway import Silence, UnderWay
from nucleus_proxy.waiting import Caller, Progress
from nucleus_proxy.wire import FRAME_BYTES, Frame, Key
from nucleus_tokens.caveats import Arg
from nucleus_tokens.errors import CredentialError, NucleusError

GONE = "The server ended before it answered; the call may have run."


class Calls:
    """What one client's calls and lists need."""

    def __init__(
        self,
        *,
        client: Line,
        servers: Servers,
        live: Live,
        mediator: Mediator,
        held: str | None,
        bearer: str = "",
    ) -> None:
        self._client = client
        self._servers = servers
        self._under_way = UnderWay(servers=servers, live=live, mediator=mediator)
        self._mediator = mediator
        self._opened = mediator.policy.opened
        self._held = held
        self._bearer = bearer
        self._callers: dict[Key, Caller] = {}
        self.catalogue = Catalogue(
            mediator.policy.tools, mediator.pins, servers.origin, mediator.offload
        )

    def cancel(self, key: Key) -> None:
        """The client no longer waits for a call that has not run."""
        if key in self._callers:
            self._callers[key].cancelled.set()

    def nobody_waits(self, *, server_gone: bool) -> None:
        """One side is gone: what waits for a person is withdrawn. Where the server is gone
        nothing that has not run shall run."""
        for caller in self._callers.values():
            caller.gone = True
            if server_gone:
                caller.cancelled.set()

    def knows_progress(self, token: Any, server: Behind) -> bool:
        """Whether a call that runs at this server asked to hear of progress under this token."""
        return self._under_way.knows_progress(token, server)

    async def hears(self, server: Behind) -> None:
        """A server says something that is no answer. It may be of any call that runs there, and
        of those with fields nobody knows yet what they bring. Raises WorldError: let it not pass.
        """
        for granted in self._under_way.at(server):
            if granted.bound is not None and granted.bound.fields is not None:
                await self._mediator.entering(granted)

    @property
    def answerable(self) -> bool:
        """Whether there is a token for what carries no credential itself."""
        return bool(self._held or self._bearer)

    def presented(self, params: dict[str, Any]) -> Presented:
        """The credential of a request, by the road it came."""
        if self._held is not None:
            return Presented(self._held, "held")
        return Presented(toolcall.credential_of(params) or self._bearer, "carried")

    # tools/call -------------------------------------------------------------------------------

    async def call(self, frame: Frame) -> None:
        """Mediate one tools/call from its frame to its answer."""
        caller = self._callers[frame.key] = Caller()
        try:
            made = toolcall.read(frame, self._opened)
            done = await self._decide(frame, made, caller)
        except CredentialError as error:
            await self._client.send(wire.error(frame.id, wire.INVALID_PARAMS, error.message))
            return
        finally:
            del self._callers[frame.key]
        match done:
            case Withdrawn():
                return
            case Refusal():
                await self._refuse(frame, made, done)
            case Granted():
                await self._run(frame, made, done)

    async def _decide(
        self, frame: Frame, made: ToolCall, caller: Caller
    ) -> Granted | Refusal | Withdrawn:
        if frame.method in methods.READS:
            return await self._decide_read(frame, made, caller)
        bound = self._mediator.policy.tools.get(made.tool)
        said = self.catalogue.known(made.tool)
        presented = self.presented(frame.params)
        authority = self._mediator.admits(presented.text)
        if said is None and (authority is None or self._servers.first is None):
            # It will be refused whatever the server says: a stranger does not make it work. And
            # for whoever did not say hello no server runs that could be asked.
            said = binding.UNLISTED
        if said is None:
            asking = self.catalogue.said(made.tool, self._list_page, _list_params(made))
            try:
                heard = await _or_cancelled(asking, caller.cancelled)
            except NucleusError as error:
                return Refusal.failed(error)
            if heard is None:
                return Withdrawn()
            said = heard
        hints = said
        # A stranger's call is refused wherever its paths would lead.
        cwd = "/" if authority is None else self._servers.cwd(authority, made.tool)

        withheld = self.catalogue.withheld(made.tool)

        def bind() -> BoundCall:
            known = None if withheld else bound
            return binding.bind(made.tool, made.args, known, hints, cwd)

        build = made.with_references(bind)
        done = await self._mediator.call(
            presented, build, progress=self._progress(made), caller=caller
        )
        if withheld is not None and done is UNCLASSIFIED:
            return pinning.refusal(withheld)
        return done

    async def _decide_read(
        self, frame: Frame, made: ToolCall, caller: Caller
    ) -> Granted | Refusal | Withdrawn:
        """A resource or a prompt, judged as a call."""
        contents, presented = self._mediator.contents, self.presented(frame.params)
        build = made.with_references(lambda: contents.bind(made.tool, made.args))
        return await self._mediator.call(
            presented, build, progress=self._progress(made), caller=caller
        )

    def _progress(self, made: ToolCall) -> Progress:
        rising = itertools.count(1)

        async def progress(message: str) -> None:
            if made.progress_token is not None:
                # Progress must rise, also over what the server will say later, so we stay small.
                params = {
                    "progressToken": made.progress_token,
                    "progress": next(rising) / 1_000_000,
                    "message": message,
                }
                await self._client.send(wire.notification("notifications/progress", params))

        return progress

    async def _list_page(self, params: dict[str, Any]) -> dict[str, Any] | None:
        first = self._servers.first
        return None if first is None else await first.link.ask(methods.TOOLS_LIST, params)

    async def _run(self, frame: Frame, made: ToolCall, granted: Granted) -> None:
        try:
            if granted.bound is None or granted.bound.fields is None:
                # What its server says of its progress passes at once, and so does what it answers.
                await self._mediator.entering(granted)
            got = await self._under_way.run(frame, made, granted)
        except NucleusError as error:
            got = Refusal.failed(error)
            try:
                await self._mediator.outcome(granted, ok=False, result=got.bytes())
            except NucleusError:
                got = UNRECORDED
        match got:
            case Refusal():
                await self._refuse(frame, made, got)
            case Frame():
                await self._answered(got, frame, made, granted)
                await self._under_way.goes_on(frame, granted)
            case Silence.GONE:
                await self._client.send(wire.error(frame.id, wire.WORLD_FAILED, GONE))
            case Silence.FORSAKEN:
                pass

    async def _answered(self, got: Frame, frame: Frame, made: ToolCall, granted: Granted) -> None:
        """Label, record, and only then release what a server answered."""
        result = got.value.get("result")
        if type(result) is dict and methods.GOES_ON in result:
            result = {key: value for key, value in result.items() if key != methods.GOES_ON}
            got = got.altered("result", result)
        ok = type(result) is dict and result.get("isError") is not True
        closed = asks_for_closed(result, self._opened)
        try:
            value, parts = fieldlabels.value_of(result), fieldlabels.UNKNOWN
            fields = None if granted.bound is None else granted.bound.fields
            if fields is not None:
                look = partial(fieldlabels.of_result, fields, result, self.catalogue.stamp)
                parts = await self._mediator.offload(look)
            said = await self._mediator.saw(granted, value, parts=parts)
            if said and type(result) is dict:
                meta = result.get("_meta")
                about = {**meta, **said} if type(meta) is dict else said
                got = got.altered("result", {**result, "_meta": about})
            await self._mediator.outcome(granted, ok=ok and not closed, result=got.raw)
        except NucleusError:
            await self._refuse(frame, made, UNRECORDED)
            return
        if closed:
            await self._refuse(frame, made, INPUT_CLOSED)
        elif len(got.raw) > FRAME_BYTES:
            await self._refuse(frame, made, TOO_LARGE)
        else:
            await self._client.send(got.raw)

    async def _refuse(self, frame: Frame, made: ToolCall, refusal: Refusal) -> None:
        if frame.id is None:
            return
        if frame.method in methods.READS:
            raw = wire.error(frame.id, wire.WORLD_FAILED, refusal.line(), refusal.fields())
        else:
            raw = wire.result(frame.id, refusal.result(new_era=made.new_era))
        await self._client.send(raw)

    # tools/list -------------------------------------------------------------------------------

    async def list(self, frame: Frame) -> None:
        """Answer one tools/list with what its credential may see."""
        params = frame.params
        shown = await self._mediator.list_tools(
            self.presented(params), toolcall.without_meta(params)
        )
        if isinstance(shown, Refusal):
            await self._failed(frame, shown)
            return
        authority = self._mediator.admits(self.presented(params).text)
        try:
            async with self._servers.using(authority) as server:
                await self._listed(server, frame, shown)
        except NucleusError as error:
            await self._failed(frame, Refusal.failed(error))

    async def _failed(self, frame: Frame, refusal: Refusal) -> None:
        await self._client.send(wire.error(frame.id, wire.WORLD_FAILED, refusal.line()))

    async def _listed(self, server: Behind, frame: Frame, shown: frozenset[str]) -> None:
        answer = server.link.expect(frame.key)
        await server.link.pass_on(toolcall.cleaned(frame, self._opened))
        got = await answer
        if got is None:
            if not server.link.was_given_up(frame.key):
                await self._client.send(wire.error(frame.id, wire.WORLD_FAILED, GONE))
            return
        result = got.value.get("result")
        if type(result) is dict:
            try:
                args = self._args(frame)
                got = got.altered("result", await self._filtered(result, shown, args))
            except NucleusError as error:
                await self._failed(frame, Refusal.failed(error))
                return
        if len(got.raw) > FRAME_BYTES:
            await self._failed(frame, TOO_LARGE)
        else:
            await self._client.send(got.raw)

    def _args(self, frame: Frame) -> Sequence[Arg]:
        authority = self._mediator.admits(self.presented(frame.params).text)
        return [] if authority is None else [arg for _, arg in authority.args]

    async def _filtered(
        self, result: dict[str, Any], shown: frozenset[str], args: Sequence[Arg]
    ) -> dict[str, Any]:
        tools = result.get("tools")
        await self.catalogue.learn(result)
        kept = [
            narrowing.narrowed(tool, tool["name"], args)
            for tool in (tools if type(tools) is list else ())
            if type(tool) is dict
            and type(tool.get("name")) is str
            and tool["name"] in shown
            and self.catalogue.withheld(tool["name"]) is None
        ]
        filtered = {**result, "tools": kept}
        if "cacheScope" in result or "resultType" in result:
            # It depends on who asked: no cache may give it to somebody else.
            filtered["cacheScope"] = "private"
        return filtered


def asks_for_closed(result: Any, opened: frozenset[str]) -> bool:
    """Whether a result asks the client for something (new era) that policy does not open."""
    if type(result) is not dict or result.get("resultType", "complete") == "complete":
        return False
    wanted = result.get("inputRequests", {})
    if result["resultType"] != "input_required" or type(wanted) is not dict:
        return True
    return not all(type(item) is dict and item.get("method") in opened for item in wanted.values())


def _list_params(made: ToolCall) -> dict[str, Any]:
    """For a list of our own: the client's envelope, without what belongs to its call."""
    meta = made.frame.params.get("_meta") or {}
    kept = {key: value for key, value in meta.items() if key != "progressToken"}
    return {"_meta": kept} if kept else {}


async def _or_cancelled(
    work: Awaitable[binding.Hints], cancelled: asyncio.Event
) -> binding.Hints | None:
    task = asyncio.ensure_future(work)
    stop = asyncio.ensure_future(cancelled.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        stop.cancel()
        task.cancel()

"""Law: between one client and its servers nothing passes but by a table or by a permit.

The relay reads all streams, keeps the books, and forwards bytes. It decides nothing: a tools/call
goes to the mediator, and what comes back of it is released after its outcome is on record. The
client talks to its first server; a further one is there for calls, and says nothing unasked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from nucleus_proxy import methods, offering, toolcall, wire
from nucleus_proxy.answers import TOO_LARGE, Refusal
from nucleus_proxy.behind import Behind, Servers
from nucleus_proxy.calls import Calls, asks_for_closed
from nucleus_proxy.celled import Starter
from nucleus_proxy.link import MOST_OPEN, ClientIds, Line
from nucleus_proxy.live import Live
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.offering import Offering
from nucleus_proxy.running import GRACE_SECONDS
from nucleus_proxy.wire import FRAME_BYTES, UNBOUNDED, BadFrame, Frame, Key, Reader, Writer
from nucleus_tokens.authority import Authority
from nucleus_tokens.errors import NucleusError

_GONE: Final = "The server ended before it answered."
Answer = asyncio.Future[Frame | None]
Log = Callable[[str], None]


class Relay:
    """One client, its servers, one mediator."""

    def __init__(
        self,
        *,
        reader: Reader,
        writer: Writer,
        starter: Starter,
        live: Live,
        mediator: Mediator,
        held: str | None,
        draw: Callable[[int], bytes],
        log: Log,
        bearer: str = "",
        grace: float = GRACE_SECONDS,
    ) -> None:
        """`held` is the token when the relay holds it; without it every call carries its own, or
        else is its client's `bearer`, which came by the same road as the call.
        `live` decides its calls again while they run; whoever composes it has it watch. `log`
        gets one sentence for each thing that was dropped."""
        self._reader = reader
        self._client = Line(writer)
        self._waits = held is None and starter.needs_authority
        self._mediator = mediator
        self._opened = mediator.policy.opened
        self._servers = Servers(starter, self._from_server, f"nucleus-{draw(8).hex()}-", grace)
        self._ids = ClientIds()
        self._asked: set[Key] = set()  # requests of the server that the client has not answered
        self._log = log
        self._grace = grace
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls = Calls(
            client=self._client, servers=self._servers, live=live, mediator=mediator, held=held,
            bearer=bearer,
        )  # fmt: skip

    async def run(self, authority: Authority | None = None) -> None:
        """Until one side ends. The servers do not outlive this. `authority` is that of the held
        token. Raises what a starter does when the first server does not start here."""
        try:
            if not self._waits:
                async with self._servers.using(authority):
                    pass
            async with asyncio.TaskGroup() as group:
                self._group = group
                client = group.create_task(self._from_client())
                server = group.create_task(self._servers.over.wait())
                await asyncio.wait({client, server}, return_when=asyncio.FIRST_COMPLETED)
                self._calls.nobody_waits(server_gone=server.done())
                # What runs already is given a moment, so that its outcome is recorded.
                if self._tasks:
                    await asyncio.wait(set(self._tasks), timeout=self._grace)
                client.cancel()
                server.cancel()
                await self._servers.close()
                if self._tasks:
                    await asyncio.wait(set(self._tasks), timeout=self._grace)
                for task in self._tasks:
                    task.cancel()  # a client that reads nothing holds nobody up
        finally:
            await self._servers.close()
            self._client.writer.close()

    def _spawn(self, work: Any) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # From the client --------------------------------------------------------------------------

    async def _from_client(self) -> None:
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
            match frame.kind:
                case "request":
                    await self._client_request(frame)
                case "notification":
                    await self._client_notification(frame)
                case "response":
                    await self._client_response(frame)

    async def _client_request(self, frame: Frame) -> None:
        refused: tuple[int, str] | None = None
        if self._servers.is_ours(frame.key) or not self._ids.fresh(frame.key):
            refused = (wire.INVALID_REQUEST, "This id was used before.")
        elif not methods.client_request(frame.method, self._opened):
            refused = (wire.METHOD_NOT_FOUND, _closed(frame.method))
        elif len(self._tasks) >= MOST_OPEN:
            refused = (wire.WORLD_FAILED, f"{MOST_OPEN} requests are open already.")
        if refused is not None:
            await self._client.send(wire.error(frame.id, *refused))
        elif frame.method == methods.TOOLS_CALL or frame.method in methods.READS:
            self._spawn(self._calls.call(frame))
        elif frame.method == methods.TOOLS_LIST:
            self._spawn(self._calls.list(frame))
        else:
            await self._plain_request(frame)

    async def _plain_request(self, frame: Frame) -> None:
        first = self._servers.first
        if first is None:
            first = await self._begun(frame)
        elif not await self._may_pass(frame):
            return
        if first is None:
            return
        if frame.method in methods.CLIENT_OPENABLE and not await self._raised(frame):
            return
        clean = toolcall.cleaned(frame, self._opened)
        if frame.method == "initialize":
            claimed = methods.client_capabilities(frame.params.get("capabilities"), self._opened)
            clean = clean.altered("params", {**clean.params, "capabilities": claimed})
            self._servers.greeted(clean.params)
        answer = first.link.expect(frame.key)
        # In the order of the client: only the answer is waited for elsewhere.
        await first.link.pass_on(clean)
        self._spawn(self._plain_answer(frame, first, answer))

    async def _may_pass(self, frame: Frame) -> bool:
        """Whether a request that is no call may go to the server. A greeting of a line that has no
        token of its own was judged when the server started."""
        if frame.method == "ping":
            return True
        opens = frame.method in methods.OPENING
        if opens and not self._calls.answerable:
            return True
        if not await self._shown(frame):
            return False
        if frame.method in offering.NAMED:
            found = await self._offering(frame)
            if found is None or not found.admits(frame.method, frame.params):
                await self._refuse(frame, "What this names may not be read. [scope.outside]")
                return False
        return True

    async def _offering(self, frame: Frame) -> Offering | None:
        try:
            return await self._mediator.offering(self._calls.presented(frame.params))
        except NucleusError as error:
            self._log(f"{frame.method}: {error}")
            return None

    async def _shown(self, frame: Frame) -> bool:
        """Whether a token that stands for the whole line still does: judged and recorded like a
        list. If not, the client is told so."""
        params = frame.params
        presented = self._calls.presented(params)
        shown = await self._mediator.list_tools(presented, toolcall.without_meta(params))
        if isinstance(shown, Refusal):
            await self._refuse(frame, shown.line())
        return not isinstance(shown, Refusal)

    async def _begun(self, frame: Frame) -> Behind | None:
        """The first server, started for whoever says hello, if that is allowed; None if not."""
        presented = self._calls.presented(frame.params)
        if not presented.text:
            await self._refuse(frame, "No server runs: the first request needs a credential.")
            return None
        if not await self._shown(frame):
            return None
        try:
            async with self._servers.using(self._mediator.admits(presented.text)) as first:
                return first
        except NucleusError as error:
            self._log(f"the server did not start: {error}")
            await self._refuse(frame, Refusal.failed(error).line())
            return None

    async def _refuse(self, frame: Frame, sentence: str) -> None:
        await self._client.send(wire.error(frame.id, wire.WORLD_FAILED, sentence))

    async def _plain_answer(self, frame: Frame, first: Behind, answer: Answer) -> None:
        got = await answer
        if got is None:
            if not first.link.was_given_up(frame.key):
                await self._client.send(wire.error(frame.id, wire.WORLD_FAILED, _GONE))
            return
        result = got.value.get("result")
        if type(result) is dict and "capabilities" in result:
            offered = methods.server_capabilities(result["capabilities"], self._opened)
            try:
                shown = await self._calls.catalogue.introduced(result)
            except NucleusError as error:
                await self._refuse(frame, Refusal.failed(error).line())
                return
            got = got.altered("result", {**shown, "capabilities": offered})
        if type(result) is dict and frame.method in offering.FILTERED:
            found = await self._offering(frame)
            if found is None:
                await self._refuse(frame, "This credential is not accepted any more.")
                return
            got = got.altered("result", found.filtered(frame.method, frame.params, result))
        if asks_for_closed(result, self._opened):
            message = "The server asked for something that policy does not open."
            await self._client.send(wire.error(frame.id, wire.WORLD_FAILED, message))
            return
        if len(got.raw) > FRAME_BYTES:
            await self._refuse(frame, TOO_LARGE.line())
            return
        await self._client.send(got.raw)

    async def _raised(self, frame: Frame) -> bool:
        """Raise the wall's cell before content passes by an opened method."""
        try:
            await self._mediator.raise_wall(frame.method)
        except NucleusError as error:
            self._log(f"{frame.method}: {error}")
            if frame.kind == "request" and frame.method in methods.CLIENT_OPENABLE:
                await self._client.send(wire.error(frame.id, wire.WORLD_FAILED, error.message))
            return False
        return True

    async def _client_notification(self, frame: Frame) -> None:
        if not methods.client_notification(frame.method, self._opened):
            self._log(f"dropped the client's notification {frame.method!r}")
        elif frame.method == "notifications/cancelled":
            await self._cancelled(frame)
        elif self._servers.first is None:
            self._log(f"dropped the client's notification {frame.method!r}: no server runs yet")
        elif frame.method != "notifications/progress" or self._asked:
            clean = toolcall.cleaned(frame, self._opened)
            if frame.method == "notifications/initialized":
                self._servers.confirmed(clean)
            await self._servers.first.link.pass_on(clean)

    async def _cancelled(self, frame: Frame) -> None:
        target = frame.params.get("requestId")
        if type(target) is not str and type(target) is not int:
            return
        key = (type(target), target)
        found = self._servers.holding(key)
        if found is not None:
            await found.link.pass_on(toolcall.cleaned(frame, self._opened))
            found.link.give_up(key)
        else:
            self._calls.cancel(key)

    async def _client_response(self, frame: Frame) -> None:
        first = self._servers.first
        if frame.key in self._asked and first is not None:
            self._asked.discard(frame.key)
            await first.link.pass_on(frame)
        else:
            self._log("dropped an answer of the client that nobody asked for")

    # From the server --------------------------------------------------------------------------

    async def _from_server(self, server: Behind) -> None:
        try:
            while line := await wire.read_line(server.process.reader):
                try:
                    frame = wire.parse(line, from_server=True, limit=UNBOUNDED)
                except BadFrame as error:
                    # Servers do print to their output; a line that is no message is nothing.
                    self._log(f"dropped a line of the server: {error.message}")
                    continue
                match frame.kind:
                    case "request":
                        await self._server_request(server, frame)
                    case "notification":
                        await self._server_notification(server, frame)
                    case "response":
                        if not server.link.answered(frame.key, frame):
                            self._log("dropped an answer of the server that nobody asked for")
        except BadFrame as error:
            self._log(f"ended the server: {error.message}")
            server.link.close(f"The server was ended: {error}")
        finally:
            server.link.close()

    async def _server_request(self, server: Behind, frame: Frame) -> None:
        if not methods.server_request(frame.method, self._opened):
            await server.link.refuse(frame, _closed(frame.method))
        elif not server.first:
            await server.link.refuse(frame, "Only the first server of a client asks it anything.")
        elif frame.key in self._asked or len(self._asked) >= MOST_OPEN:
            await server.link.refuse(frame, "This id is in use, or too many are.")
        elif not await self._heard(server, frame):
            await server.link.refuse(frame, "It could not be recorded.")
        else:
            self._asked.add(frame.key)
            await self._client.send(frame.raw)

    async def _server_notification(self, server: Behind, frame: Frame) -> None:
        if not methods.server_notification(frame.method, self._opened):
            self._log(f"dropped the server's notification {frame.method!r}")
            return
        match frame.method:
            case "notifications/progress":
                if not self._calls.knows_progress(frame.params.get("progressToken"), server):
                    return
            case "notifications/tools/list_changed":
                self._calls.catalogue.changed()
            case _ if not server.first:
                self._log(f"dropped a further server's notification {frame.method!r}")
                return
            case "notifications/cancelled":
                target = frame.params.get("requestId")
                if type(target) not in (str, int) or (type(target), target) not in self._asked:
                    return
                self._asked.discard((type(target), target))
        if await self._heard(server, frame):
            await self._client.send(frame.raw)

    async def _heard(self, server: Behind, frame: Frame) -> bool:
        """Before a server says something that is no answer: whether the session is known to have
        seen it. It may be of any call that runs there."""
        if (
            frame.method in methods.SERVER_OPENABLE
            or frame.method in methods.SERVER_NOTIFICATIONS_WITH
        ) and not await self._raised(frame):
            return False
        try:
            await self._calls.hears(server)
        except NucleusError as error:
            self._log(f"{frame.method}: {error}")
            return False
        return True


def _closed(method: str) -> str:
    if method in methods.OPENABLE:
        return f"{method} is not opened by the operator's policy."
    return f"{method} is not a method that passes here."

"""Law: between one client and one server nothing passes but by a table or by a permit.

The relay reads both streams, keeps the books, and forwards bytes. It decides nothing: a tools/call
goes to the mediator, and what comes back of it is released after its outcome is on record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from nucleus_proxy import methods, toolcall, wire
from nucleus_proxy.calls import Calls, asks_for_closed
from nucleus_proxy.link import MOST_OPEN, ClientIds, Line, ServerLink
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.server import GRACE_SECONDS, ServerProcess
from nucleus_proxy.wire import BadFrame, Frame, Key, Reader, Writer
from nucleus_tokens.errors import NucleusError

_GONE: Final = "The server ended before it answered."
Answer = asyncio.Future[Frame | None]
Log = Callable[[str], None]


class Relay:
    """One client, one server, one mediator."""

    def __init__(
        self,
        *,
        reader: Reader,
        writer: Writer,
        server: ServerProcess,
        mediator: Mediator,
        held: str | None,
        cwd: str,
        draw: Callable[[int], bytes],
        log: Log,
        grace: float = GRACE_SECONDS,
    ) -> None:
        """`held` is the token when the relay holds it; without it every call carries its own.
        `cwd` is where the server runs. `log` gets one sentence for each thing that was dropped."""
        self._reader = reader
        self._client = Line(writer)
        self._server = server
        self._mediator = mediator
        self._opened = mediator.policy.opened
        self._link = ServerLink(server.writer, f"nucleus-{draw(8).hex()}-")
        self._ids = ClientIds()
        self._asked: set[Key] = set()  # requests of the server that the client has not answered
        self._log = log
        self._grace = grace
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls = Calls(
            client=self._client, link=self._link, mediator=mediator, held=held, cwd=cwd
        )

    async def run(self) -> None:
        """Until one side ends. The server does not outlive this."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                client = group.create_task(self._from_client())
                server = group.create_task(self._from_server())
                await asyncio.wait({client, server}, return_when=asyncio.FIRST_COMPLETED)
                self._calls.nobody_waits(server_gone=server.done())
                # What runs already is given a moment, so that its outcome is recorded.
                if self._tasks:
                    await asyncio.wait(set(self._tasks), timeout=self._grace)
                client.cancel()
                await self._server.stop(self._grace)
                await asyncio.wait({server, *self._tasks}, timeout=self._grace)
                for task in (server, *self._tasks):
                    task.cancel()  # a client that reads nothing holds nobody up
        finally:
            await self._server.stop(self._grace)
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
        if self._link.is_ours(frame.key) or not self._ids.fresh(frame.key):
            refused = (wire.INVALID_REQUEST, "This id was used before.")
        elif not methods.client_request(frame.method, self._opened):
            refused = (wire.METHOD_NOT_FOUND, _closed(frame.method))
        elif len(self._tasks) >= MOST_OPEN:
            refused = (wire.WORLD_FAILED, f"{MOST_OPEN} requests are open already.")
        if refused is not None:
            await self._client.send(wire.error(frame.id, *refused))
        elif frame.method == methods.TOOLS_CALL:
            self._spawn(self._calls.call(frame))
        elif frame.method == methods.TOOLS_LIST:
            self._spawn(self._calls.list(frame))
        else:
            await self._plain_request(frame)

    async def _plain_request(self, frame: Frame) -> None:
        if frame.method in methods.CLIENT_OPENABLE and not await self._raised(frame):
            return
        clean = toolcall.cleaned(frame, self._opened)
        if frame.method == "initialize":
            claimed = methods.client_capabilities(frame.params.get("capabilities"), self._opened)
            clean = clean.altered("params", {**clean.params, "capabilities": claimed})
        answer = self._link.expect(frame.key)
        # In the order of the client: only the answer is waited for elsewhere.
        await self._link.pass_on(clean)
        self._spawn(self._plain_answer(frame, answer))

    async def _plain_answer(self, frame: Frame, answer: Answer) -> None:
        got = await answer
        if got is None:
            if not self._link.was_given_up(frame.key):
                await self._client.send(wire.error(frame.id, wire.WORLD_FAILED, _GONE))
            return
        result = got.value.get("result")
        if type(result) is dict and "capabilities" in result:
            offered = methods.server_capabilities(result["capabilities"], self._opened)
            got = got.altered("result", {**result, "capabilities": offered})
        if asks_for_closed(result, self._opened):
            message = "The server asked for something that policy does not open."
            await self._client.send(wire.error(frame.id, wire.WORLD_FAILED, message))
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
        elif frame.method != "notifications/progress" or self._asked:
            await self._link.pass_on(toolcall.cleaned(frame, self._opened))

    async def _cancelled(self, frame: Frame) -> None:
        target = frame.params.get("requestId")
        if type(target) is not str and type(target) is not int:
            return
        key = (type(target), target)
        if key in self._link:
            await self._link.pass_on(toolcall.cleaned(frame, self._opened))
            self._link.give_up(key)
        else:
            self._calls.cancel(key)

    async def _client_response(self, frame: Frame) -> None:
        if frame.key in self._asked:
            self._asked.discard(frame.key)
            await self._link.pass_on(frame)
        else:
            self._log("dropped an answer of the client that nobody asked for")

    # From the server --------------------------------------------------------------------------

    async def _from_server(self) -> None:
        try:
            while line := await wire.read_line(self._server.reader):
                try:
                    frame = wire.parse(line, from_server=True)
                except BadFrame as error:
                    # Servers do print to their output; a line that is no message is nothing.
                    self._log(f"dropped a line of the server: {error.message}")
                    continue
                match frame.kind:
                    case "request":
                        await self._server_request(frame)
                    case "notification":
                        await self._server_notification(frame)
                    case "response":
                        if not self._link.answered(frame.key, frame):
                            self._log("dropped an answer of the server that nobody asked for")
        except BadFrame as error:
            self._log(f"ended the server: {error.message}")
        finally:
            self._link.close()

    async def _server_request(self, frame: Frame) -> None:
        if not methods.server_request(frame.method, self._opened):
            await self._link.refuse(frame, _closed(frame.method))
        elif frame.key in self._asked or len(self._asked) >= MOST_OPEN:
            await self._link.refuse(frame, "This id is in use, or too many are.")
        elif frame.method not in methods.SERVER_OPENABLE or await self._raised(frame):
            self._asked.add(frame.key)
            await self._client.send(frame.raw)
        else:
            await self._link.refuse(frame, "It could not be recorded.")

    async def _server_notification(self, frame: Frame) -> None:
        if not methods.server_notification(frame.method, self._opened):
            self._log(f"dropped the server's notification {frame.method!r}")
            return
        match frame.method:
            case "notifications/progress":
                if not self._calls.knows_progress(frame.params.get("progressToken")):
                    return
            case "notifications/cancelled":
                target = frame.params.get("requestId")
                if type(target) not in (str, int) or (type(target), target) not in self._asked:
                    return
                self._asked.discard((type(target), target))
            case "notifications/tools/list_changed":
                self._calls.catalogue.changed()
            case method if method in methods.SERVER_NOTIFICATIONS_WITH:
                if not await self._raised(frame):
                    return
        await self._client.send(frame.raw)


def _closed(method: str) -> str:
    if method in methods.OPENABLE:
        return f"{method} is not opened by the operator's policy."
    return f"{method} is not a method that passes here."

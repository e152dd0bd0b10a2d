"""Law: to a server behind HTTP goes what was judged, with its own credential and nobody else's.

The client's side of streamable HTTP (MCP 2025-11-25 and 2026-07-28), as a relay's `Running`: lines
in, requests out. Each request says in its headers what its body says, because we write both. No
token, header or cookie of a client comes this far. What comes back on the stream of a request is
believed as an answer to that request alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from nucleus_proxy import methods, wire
from nucleus_proxy.egress import http1, url
from nucleus_proxy.egress.dial import Dialer
from nucleus_proxy.egress.http1 import Exchange, Head, Request
from nucleus_proxy.http import agreement, repeated
from nucleus_proxy.http.events import Events
from nucleus_proxy.pinning import Origin
from nucleus_proxy.running import GRACE_SECONDS, Running
from nucleus_proxy.servers import ServerSpec
from nucleus_proxy.wire import FRAME_BYTES, UNBOUNDED, BadFrame, Frame, Key
from nucleus_tokens.authority import Authority
from nucleus_tokens.errors import CredentialError, NucleusError, WorldError

ANSWER_SECONDS: Final = 3600.0  # a server may be silent this long before it answers
_BOTH: Final = (b"accept", b"application/json, text/event-stream")
_MOST_TRIES: Final = 5  # to take up a stream that broke
_LISTEN_SECONDS: Final = 2.0  # a server may say nothing of its stream until it has something to say
_STREAM_BYTES: Final = 1 << 40
_MOST_OPEN: Final = 300
_ERROR_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Remote:
    """A server that somebody else runs. It sees no files of ours, so one is for every authority."""

    spec: ServerSpec
    dialer: Dialer
    log: Callable[[str], None]

    @property
    def needs_authority(self) -> bool:
        return True  # nobody is asked anything for a stranger

    def key(self, authority: Authority | None) -> Hashable:
        return None

    def cwd(self, authority: Authority | None, tool: str = "") -> str:
        return "/"

    def origin(self, tool: str) -> tuple[Origin, str]:
        spec = self.spec
        return Origin(spec.name, url=spec.url, strict=spec.pins == "accept"), tool

    @asynccontextmanager
    async def started(self, authority: Authority | None) -> AsyncIterator[Running]:
        made = Upstream(self.spec, self.dialer, self.log)
        try:
            yield made
        finally:
            await made.stop()


class Upstream:
    """One conversation with it."""

    def __init__(self, spec: ServerSpec, dialer: Dialer, log: Callable[[str], None]) -> None:
        """Raises CredentialError `net.url`."""
        self._spec = spec
        self._target = url.parse(spec.url)
        self._dialer = dialer
        self._log = log
        self.reader = asyncio.StreamReader(limit=FRAME_BYTES + 1)
        self._session = ""
        self._version = ""
        self._declared: dict[str, repeated.Declared] = {}  # tool -> arguments that headers repeat
        self._open: dict[Key, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue: asyncio.Queue[Frame] = asyncio.Queue()
        self._sender = asyncio.create_task(self._send())
        self._over = False

    # As Running and Writer ---------------------------------------------------------------------

    @property
    def writer(self) -> Upstream:
        return self

    def write(self, data: bytes) -> None:
        """One line of whoever relays."""
        with contextlib.suppress(BadFrame):  # they have read it before
            self._queue.put_nowait(wire.parse(data, from_server=True, limit=UNBOUNDED))

    async def drain(self) -> None:
        """Each request has a connection of its own."""

    def close(self) -> None:
        """Nothing more is written."""

    async def stop(self, grace: float = GRACE_SECONDS) -> None:
        """End it, and the session at the server."""
        self.kill()
        if self._session:
            session, self._session = self._session, ""
            with contextlib.suppress(NucleusError, TimeoutError, OSError):
                async with asyncio.timeout(grace):
                    await self._said_goodbye(session)
        await asyncio.gather(self._sender, *self._tasks, return_exceptions=True)

    def kill(self) -> None:
        """Cut every exchange."""
        self._sender.cancel()
        for task in list(self._tasks):
            task.cancel()
        self._end()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self.reader.feed_eof()

    def _hear(self, raw: bytes) -> None:
        if not self._over:
            self.reader.feed_data(raw + b"\n")

    async def _said_goodbye(self, session: str) -> None:
        headers = self._headers((b"mcp-session-id", session.encode("latin-1")))
        async with await self._dialed(ANSWER_SECONDS) as exchange:
            await exchange.ask(self._request("DELETE", headers))

    # Sending -----------------------------------------------------------------------------------

    async def _send(self) -> None:
        """In order: what follows a notification is sent after the server has that."""
        while True:
            frame = await self._queue.get()
            if frame.kind == "request":
                if len(self._open) >= _MOST_OPEN or frame.key in self._open:
                    self._fail(frame, "Too many requests are open.")
                    continue
                self._open[frame.key] = self._spawn(self._asked(frame))
                if frame.method == "initialize":
                    await asyncio.wait({self._open[frame.key]})
            elif not self._took_back(frame):
                await self._told(frame)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _took_back(self, frame: Frame) -> bool:
        """In the new era a request is taken back by ending its connection."""
        if frame.method != "notifications/cancelled" or self._version:
            return False
        key = wire.key_of(frame.params.get("requestId"))
        found = None if key is None else self._open.get(key)
        if found is not None:
            found.cancel()
        return True

    async def _told(self, frame: Frame) -> None:
        try:
            async with await self._dialed(ANSWER_SECONDS) as exchange:
                head = await exchange.ask(self._post(frame))
            if head.status >= 400:
                self._log(f"{self._target.host} answered {head.status} to {frame.method}")
            elif frame.method == "notifications/initialized" and self._session:
                await self._begun_to_listen()
        except (NucleusError, OSError) as error:
            self._log(f"{frame.method or 'an answer'} did not reach its server: {error}")

    async def _asked(self, frame: Frame) -> None:
        try:
            await self._exchanged(frame)
        except (CredentialError, WorldError, OSError) as error:
            self._fail(frame, str(error))
        finally:
            self._open.pop(frame.key, None)

    async def _exchanged(self, frame: Frame) -> None:
        async with await self._dialed(ANSWER_SECONDS) as exchange:
            head = await exchange.ask(self._post(frame))
            if head.status == 404 and self._session:
                self._fail(frame, "The server has ended the session.")
                self._session = ""
                self._end()
                return
            if frame.method == "initialize" and head.status == 200:
                self._named(head)
            if head.one("content-type").partition(";")[0].strip().lower() != "text/event-stream":
                self._whole(frame, head, await self._body(exchange, head))
                return
            events = Events()
            done, last = await self._stream(frame, exchange, events)
        tries = 0
        while not done and last and self._session and tries < _MOST_TRIES:
            tries += 1
            await asyncio.sleep(events.retry)
            with contextlib.suppress(WorldError, OSError):
                done, last = await self._resumed(frame, last)
        if not done:
            raise WorldError("net.ended", "The server's stream ended before its answer.")

    async def _body(self, exchange: Exchange, head: Head) -> bytes:
        most = FRAME_BYTES if head.status < 400 else _ERROR_BYTES
        pieces = http1.plain(exchange.pieces(), head.one("content-encoding").lower(), most)
        return b"".join([piece async for piece in pieces])

    def _whole(self, frame: Frame, head: Head, body: bytes) -> None:
        """An answer that is one message, or an error of HTTP."""
        try:
            got = self._frame(body)
        except BadFrame:
            got = None
        if got is not None and got.kind == "response" and got.key == frame.key:
            self._learn(frame, got)
            self._hear(got.raw)
            return
        if got is not None and "error" in got.value and head.status >= 400:
            # Refused before its id was read: it is the answer to this one.
            got = got.altered("id", frame.id)
            self._hear(got.raw)
            return
        if frame.method == "server/discover" and head.status in (400, 404, 405):
            sentence = "The server speaks no such revision."
            self._hear(wire.error(frame.id, wire.METHOD_NOT_FOUND, sentence))
            return
        if 300 <= head.status < 400:
            self._fail(frame, "The server answers with a redirect.")
        elif head.status in (401, 403):
            self._fail(frame, f"The server refuses the proxy's credential ({head.status}).")
        else:
            self._fail(frame, f"The server answered {head.status}, and no message.")

    async def _stream(
        self, frame: Frame | None, exchange: Exchange, events: Events, at: str = ""
    ) -> tuple[bool, str]:
        """Whether the answer came, and the last event that did."""
        last = at
        try:
            async for piece in http1.plain(exchange.pieces(), "", _STREAM_BYTES):
                for event in events.feed(piece):
                    last = event.id or last
                    if event.data and self._event(frame, event.data):
                        return True, last
        except (WorldError, OSError) as error:
            large = isinstance(error, WorldError) and error.code == "net.too_large"
            if frame is not None and large:
                self._fail(frame, str(error))  # it may be the answer, and would come as large again
                return True, last
            if frame is not None and not last:
                raise
        return False, last

    def _event(self, frame: Frame | None, data: bytes) -> bool:
        """Pass one message on; whether it is the answer that was waited for."""
        try:
            got = self._frame(data)
        except BadFrame as error:
            if frame is not None and error.code == "wire.too_large":
                raise WorldError("net.too_large", error.message) from error
            self._log(f"dropped an event of {self._target.host}: {error.message}")
            return False
        if got.kind == "response" and (frame is None or got.key != frame.key):
            self._log(f"dropped an answer of {self._target.host} on the stream of another request")
            return False
        if got.kind == "response" and frame is not None:
            self._learn(frame, got)
        self._hear(got.raw)
        return got.kind == "response"

    def _frame(self, data: bytes) -> Frame:
        """A message as it came, but in one line and without our secret."""
        for credential in self._spec.credentials:
            data = credential.scrub(data)
        raw = data.strip(b" \t\r\n")
        if b"\n" in raw or b"\r" in raw:
            raw = raw.replace(b"\r", b" ").replace(b"\n", b" ")  # white space between tokens
        return wire.parse(raw, from_server=True)

    def _learn(self, frame: Frame, got: Frame) -> None:
        """What a session of the old era speaks, and what travels in headers."""
        if frame.method == methods.TOOLS_LIST:
            repeated.learn(self._declared, got.value.get("result"))
        if frame.method != "initialize" or type(got.value.get("result")) is not dict:
            return
        version = got.value["result"].get("protocolVersion")
        self._version = version if type(version) is str and version.isprintable() else ""

    def _named(self, head: Head) -> None:
        name = head.one("mcp-session-id")
        if name and len(name) <= 256 and all("!" <= c <= "~" for c in name):
            self._session = name

    # Streams -----------------------------------------------------------------------------------

    async def _begun_to_listen(self) -> None:
        """Before anything is asked: a question that a server has while nobody listens is lost."""
        begun = asyncio.Event()
        self._spawn(self._listen(begun))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LISTEN_SECONDS):
                await begun.wait()

    async def _listen(self, begun: asyncio.Event) -> None:
        """What the server says by itself, for as long as the session lives."""
        last, tries = "", 0
        while self._session and tries < _MOST_TRIES:
            tries += 1
            events = Events()
            try:
                more = [(b"last-event-id", last.encode("latin-1"))] if last else []
                async with await self._dialed(24 * ANSWER_SECONDS) as exchange:
                    head = await exchange.ask(self._request("GET", self._headers(*more, get=True)))
                    begun.set()
                    if head.status != 200:
                        return
                    before = last
                    _, last = await self._stream(None, exchange, events, last)
                    tries = 0 if last != before else tries
            except (NucleusError, OSError) as error:
                self._log(f"the stream of {self._target.host} broke: {error}")
                begun.set()
            await asyncio.sleep(events.retry)

    async def _resumed(self, frame: Frame, last: str) -> tuple[bool, str]:
        headers = self._headers((b"last-event-id", last.encode("latin-1")), get=True)
        async with await self._dialed(ANSWER_SECONDS) as exchange:
            head = await exchange.ask(self._request("GET", headers))
            if head.status != 200:
                raise WorldError("net.ended", "The server does not take its stream up again.")
            return await self._stream(frame, exchange, Events(), last)

    # HTTP --------------------------------------------------------------------------------------

    async def _dialed(self, idle: float) -> Exchange:
        at = self._target
        connection = await self._dialer.dial(at.host, at.port, tls=at.scheme == "https")
        return Exchange(connection, idle_seconds=idle)

    def _request(
        self, method: str, headers: Sequence[tuple[bytes, bytes]], body: bytes = b""
    ) -> Request:
        return Request(method, self._target.path, self._target.authority, headers, body)

    def _post(self, frame: Frame) -> Request:
        more = [(b"content-type", b"application/json"), *agreement.said(frame)]
        if agreement.is_new(frame):
            more += repeated.said(self._declared, frame)
        if not methods.of_new_era(frame.params) and not self._version:
            self._session = "" if frame.method == "initialize" else self._session
        return self._request("POST", self._headers(*more), frame.raw)

    def _headers(self, *more: tuple[bytes, bytes], get: bool = False) -> list[tuple[bytes, bytes]]:
        made = [
            (b"accept", b"text/event-stream") if get else _BOTH,
            (b"accept-encoding", b"identity"),
            (b"user-agent", b"nucleus"),
            *((k.encode("latin-1"), v.encode("latin-1")) for k, v in self._spec.headers.items()),
        ]
        for credential in self._spec.credentials:
            made.append((credential.name.encode(), credential.dangerously_value().encode()))
        names = {name for name, _ in more}
        if self._session and b"mcp-session-id" not in names:
            made.append((b"mcp-session-id", self._session.encode("latin-1")))
        if self._version and b"mcp-protocol-version" not in names:
            made.append((b"mcp-protocol-version", self._version.encode("latin-1")))
        return [*made, *more]

    def _fail(self, frame: Frame, sentence: str) -> None:
        self._hear(wire.error(frame.id, wire.WORLD_FAILED, sentence))

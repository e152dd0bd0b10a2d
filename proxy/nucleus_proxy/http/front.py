"""Law: over HTTP a client gets what it gets over a pipe, and the token stays here.

Streamable HTTP (MCP 2025-11-25 and 2026-07-28), served on the loopback. Who asks is checked before
anything is read: the Host that was meant, the page that asks (Origin), the token. A page of some
website that a browser shows here therefore gets nothing, also by a name that leads to us.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from nucleus_proxy import methods, wire
from nucleus_proxy.connections import Connections
from nucleus_proxy.egress.httpd import HEAD_BYTES, Asked, Client
from nucleus_proxy.http import agreement, answering, repeated
from nucleus_proxy.http.sessions import Session, Sessions
from nucleus_proxy.mediator import Mediator
from nucleus_proxy.serve import taking
from nucleus_proxy.wire import FRAME_BYTES, BadFrame, Frame
from nucleus_tokens.errors import CredentialError, NucleusError, WorldError

PATH: Final = "/mcp"
METADATA: Final = "/.well-known/oauth-protected-resource"
MOST_CONNECTIONS: Final = 1024


@dataclass(frozen=True, slots=True)
class Names:
    """How this endpoint may be called. `hosts` are values of Host; `origins` those of Origin, of
    the pages that may ask; `issuers` are what the metadata names as where tokens come from."""

    hosts: frozenset[str]
    origins: frozenset[str] = field(default_factory=frozenset)
    issuers: tuple[str, ...] = ()


class _Refused(Exception):
    """An answer of HTTP alone."""

    def __init__(self, status: int, sentence: str, *headers: tuple[str, str]) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers
        self.rpc = wire.INVALID_REQUEST
        self.id: wire.Id | None = None


class Front:
    """The connections of one port."""

    def __init__(
        self,
        mediator: Mediator,
        sessions: Sessions,
        *,
        log: Callable[[str], None],
    ) -> None:
        self._mediator = mediator
        self._sessions = sessions
        self.names = Names(frozenset())  # nobody, until it is known which port it is
        self._log = log
        self._connections = Connections(MOST_CONNECTIONS, log)

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection; for asyncio.start_server."""
        self._connections.take(writer, partial(self._serve, Client(reader, writer)))

    async def close(self) -> None:
        """End every connection and every session."""
        await self._connections.close()
        await self._sessions.close()

    async def _serve(self, client: Client) -> None:
        try:
            while (asked := await client.next()) is not None:
                try:
                    await self._asked(client, asked)
                except _Refused as refused:
                    await _refuse(client, refused)
                except CredentialError as error:
                    await _refuse(client, _Refused(400, error.message))
                except NucleusError as error:
                    self._log(f"a request failed: {error}")
                    await _refuse(client, _Refused(503, error.message))
                if not client.again():
                    return
        except CredentialError as error:
            with contextlib.suppress(ConnectionError):
                await _refuse(client, _Refused(400, error.message))
        except ConnectionError:
            pass  # it went away

    async def _asked(self, client: Client, asked: Asked) -> None:
        agreement.once(asked)
        host = asked.one("host").lower()
        if host not in self.names.hosts:
            raise _Refused(421, "Nobody of this name is here.")
        origin = asked.one("origin").lower()
        if asked.has("origin") and origin not in self.names.origins:
            raise _Refused(403, "Pages of this origin may not ask here.")
        path = asked.target
        if path in (METADATA, METADATA + PATH) and asked.method == "GET":
            await client.body(0)
            await client.whole(200, [answering.JSON], wire.spell(self._metadata(host)))
            return
        if path != PATH:
            raise _Refused(404, f"MCP is spoken at {PATH}.")
        token = self._token(asked, host)
        match asked.method:
            case "POST":
                await self._post(client, asked, token)
            case "GET":
                await self._get(client, asked, token)
            case "DELETE":
                session = self._session(asked, token)
                await client.body(0)
                self._sessions.end(session)
                await client.whole(200, [], b"")
            case _:
                raise _Refused(405, "This is not done here.", ("allow", "POST, GET, DELETE"))

    def _metadata(self, host: str) -> dict[str, Any]:
        """RFC 9728."""
        found: dict[str, Any] = {"resource": f"http://{host}{PATH}"}
        if self.names.issuers:
            found["authorization_servers"] = list(self.names.issuers)
        return {**found, "bearer_methods_supported": ["header"]}

    def _token(self, asked: Asked, host: str) -> str:
        scheme, _, token = asked.one("authorization").partition(" ")
        where = f'resource_metadata="http://{host}{METADATA}{PATH}"'
        if scheme.lower() != "bearer" or not token.strip():
            ask = ("www-authenticate", f"Bearer {where}")
            raise _Refused(401, "A token is needed, as Authorization: Bearer.", ask)
        if self._mediator.admits(token.strip()) is None:
            ask = ("www-authenticate", f'Bearer error="invalid_token", {where}')
            raise _Refused(401, "This token is not accepted here.", ask)
        return token.strip()

    def _session(self, asked: Asked, token: str) -> Session:
        if not asked.has(agreement.SESSION):
            raise _Refused(400, "The header Mcp-Session-Id is missing.")
        session = self._sessions.found(asked.one(agreement.SESSION), token)
        if session is None:
            raise _Refused(404, "There is no such session.")
        said, agreed = asked.one(agreement.VERSION), session.streams.version
        if said and agreed and said != agreed:
            raise _Refused(400, f"This session speaks {agreed}.")
        return session

    # POST -------------------------------------------------------------------------------------

    async def _post(self, client: Client, asked: Asked, token: str) -> None:
        if asked.one("content-type").partition(";")[0].strip().lower() != "application/json":
            raise _Refused(415, "A message is application/json.")
        if not _accepts(asked, "application/json") or not _accepts(asked, "text/event-stream"):
            raise _Refused(406, "Both application/json and text/event-stream must be accepted.")
        frame = await _message(client)
        try:
            agreement.agree(asked, frame)
        except CredentialError as error:
            raise _answer(400, error.message, frame, agreement.HEADER_MISMATCH) from error
        session = self._of(asked, token, frame)
        try:
            repeated.agree(asked, session.streams.declared, frame)
        except CredentialError as error:
            raise _answer(400, error.message, frame, agreement.HEADER_MISMATCH) from error
        self._sessions.using(session)
        try:
            if frame.kind != "request":
                session.read(_line(wire.spell(frame.value) + b"\n", frame))
                await client.whole(202, [], b"")
                return
            headers: tuple[tuple[str, str], ...] = ()
            if frame.method == "initialize":
                headers = (("mcp-session-id", session.name),)
            stream, line = session.streams.opened(frame)
            stream.readers += 1
            whole = False
            try:
                session.read(_line(line, frame))
                whole = await answering.give(client, session, stream, 0, headers)
            finally:
                session.streams.left(stream, whole=whole)
        finally:
            self._sessions.left(session)

    def _of(self, asked: Asked, token: str, frame: Frame) -> Session:
        """The session that a message belongs to."""
        new = methods.of_new_era(frame.params) or (
            frame.kind != "request" and asked.one(agreement.VERSION) == agreement.NEW_ERA
        )
        if new or frame.method == "initialize":
            if asked.has(agreement.SESSION):
                raise _answer(400, "Such a message belongs to no session.", frame)
            return self._sessions.shared(token) if new else self._sessions.opened(token)
        return self._session(asked, token)

    # Streams ----------------------------------------------------------------------------------

    async def _get(self, client: Client, asked: Asked, token: str) -> None:
        if not asked.has(agreement.SESSION):
            raise _Refused(405, "Only a session has a stream.", ("allow", "POST"))
        if not _accepts(asked, "text/event-stream"):
            raise _Refused(406, "text/event-stream must be accepted.")
        session = self._session(asked, token)
        await client.body(0)
        stream, start = session.streams.own, session.streams.own.first
        if asked.has(agreement.LAST_EVENT):
            number, _, last = asked.one(agreement.LAST_EVENT).partition("-")
            found = session.streams.by_number.get(int(number) if number.isdecimal() else -1)
            if found is None or not last.isdecimal():
                raise _Refused(400, "Nothing is kept of this stream.")
            stream, start = found, int(last) + 1
        if stream.readers:
            raise _Refused(409, "This stream is read already.")
        stream.readers += 1
        self._sessions.using(session)
        whole = False
        try:
            client.begin(200, answering.EVENTS)
            whole = await answering.give(client, session, stream, start, None)
        finally:
            session.streams.left(stream, whole=whole)
            self._sessions.left(session)


async def _message(client: Client) -> Frame:
    body = await client.body(FRAME_BYTES)
    try:
        # What is between the tokens of JSON is nobody's affair: it is spelled anew.
        return wire.parse(body.strip(b" \t\n"))
    except BadFrame as error:
        refused = _Refused(400, error.message)
        refused.rpc, refused.id = error.rpc, error.id
        raise refused from error


def _line(line: bytes, frame: Frame) -> bytes:
    if len(line) > FRAME_BYTES:
        raise _answer(413, f"A message has at most {FRAME_BYTES} bytes.", frame)
    return line


def _answer(status: int, sentence: str, frame: Frame, rpc: int = wire.INVALID_REQUEST) -> _Refused:
    refused = _Refused(status, sentence)
    refused.rpc, refused.id = rpc, frame.id if frame.kind == "request" else None
    return refused


def _accepts(asked: Asked, kind: str) -> bool:
    wanted = [part.partition(";")[0].strip() for part in asked.one("accept").lower().split(",")]
    return bool({kind, kind.partition("/")[0] + "/*", "*/*"} & set(wanted))


async def _refuse(client: Client, refused: _Refused) -> None:
    """An error of JSON-RPC, where no answer has begun."""
    if client.may_answer():
        body = wire.error(refused.id, refused.rpc, refused.sentence)
        await client.whole(refused.status, [answering.JSON, *refused.headers], body)


@contextlib.asynccontextmanager
async def listening(front: Front, port: int, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Take connections while the block runs; the port that it became.

    Raises WorldError `http.port`.
    """
    try:
        server = await asyncio.start_server(front.connected, host, port, limit=HEAD_BYTES)
    except OSError as error:
        raise WorldError(
            "http.port", f"Nobody can listen at {host}:{port}: {error.strerror}.",
            hint="Is the port free?",
        ) from error  # fmt: skip
    async with taking(server, front):
        yield server.sockets[0].getsockname()[1]

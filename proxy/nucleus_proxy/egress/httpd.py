"""Law: of a request there is one reading, and what has two is refused before anything is judged.

The agent's side of the egress socket: strict HTTP/1.1 (RFC 9112) on h11, with every head checked as
bytes first. One length or chunks, never both; one Host; CRLF and nothing that looks like it; no
folded line. After a chunked body nothing may follow in the same breath.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import h11

from nucleus_proxy.answers import Refusal
from nucleus_proxy.waiting import Caller
from nucleus_tokens.errors import CredentialError

HEAD_BYTES: Final = 32 * 1024
IDLE_SECONDS: Final = 120.0
_REQUEST_LINE: Final = re.compile(rb"([A-Z]{1,16}) ([!-~]{1,8192}) HTTP/1\.1")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}):[ \t]*([\t -~\x80-\xff]*)")
_ONCE: Final = (b"host", b"content-length", b"transfer-encoding", b"nucleus-credential")
CREDENTIAL: Final = "nucleus-credential"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request without its body. Header names are in lower case."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]

    def one(self, name: str) -> str:
        """The value of a header; the first where there are more."""
        return next((value for key, value in self.headers if key == name), "")

    def has(self, name: str) -> bool:
        """Whether a header stands there, be it empty."""
        return any(key == name for key, _ in self.headers)


def read_head(head: bytes) -> Asked:
    """Check a head, up to and with its empty line. Raises CredentialError `http.request`."""
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    first = _REQUEST_LINE.fullmatch(lines[0])
    if first is None:
        raise _bad("its first line")
    seen: dict[bytes, bytes] = {}
    headers: list[tuple[str, str]] = []
    for line in lines[1:]:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise _bad("a header line")
        name, value = field[1].lower(), field[2].rstrip(b" \t")
        if name in _ONCE and name in seen:
            raise _bad(f"a second {name.decode()}")
        seen[name] = value
        headers.append((name.decode(), value.decode("latin-1")))
    if not seen.get(b"host"):
        raise _bad("no Host")
    length, coding = seen.get(b"content-length"), seen.get(b"transfer-encoding")
    if length is not None and coding is not None:
        raise _bad("two lengths")
    if length is not None and not re.fullmatch(rb"[0-9]{1,12}", length):
        raise _bad("its length")
    if coding is not None and coding.lower() != b"chunked":
        raise _bad("its transfer coding")
    return Asked(first[1].decode(), first[2].decode(), tuple(headers))


def _bad(what: str) -> CredentialError:
    return CredentialError("http.request", f"The request cannot be read: {what}.")


class Client:
    """One connection of the agent's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._ahead = b""  # of what follows, read while we listened for the client's end

    async def next(self) -> Asked | None:
        """The next request; None when there is none. Raises CredentialError `http.request`."""
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                head = self._ahead + await self.reader.readuntil(b"\r\n\r\n")
        except (TimeoutError, ConnectionError):
            return None
        except asyncio.IncompleteReadError as error:
            if error.partial or self._ahead:
                raise _bad("its end is missing") from error
            return None
        except asyncio.LimitOverrunError as error:
            raise _bad("its head is too long") from error
        self._ahead = b""
        if len(head) > HEAD_BYTES:
            raise _bad("its head is too long")
        asked = read_head(head)
        try:
            self._h11.receive_data(head)
            event = self._h11.next_event()
        except h11.RemoteProtocolError as error:
            raise _bad("its head") from error
        if not isinstance(event, h11.Request):
            raise _bad("its head")
        return asked

    async def body(self, most: int) -> bytes:
        """The body of the request. Raises CredentialError `http.request`, `http.too_large`."""
        if self._h11.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))
            await self.writer.drain()
        data = b""
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                while True:
                    event = self._h11.next_event()
                    if isinstance(event, h11.Data):
                        pieces.append(bytes(event.data))
                        size += len(event.data)
                        if size > most:
                            raise CredentialError(
                                "http.too_large", f"A body has at most {most} bytes."
                            )
                    elif isinstance(event, h11.EndOfMessage):
                        break
                    elif event is h11.NEED_DATA:
                        data = await self.reader.read(64 * 1024)
                        self._h11.receive_data(data)
                    else:
                        raise _bad("its body")
        except (h11.RemoteProtocolError, TimeoutError, ConnectionError) as error:
            raise _bad("its body") from error
        if self._h11.trailing_data[0]:
            raise _bad("something follows its body")
        return b"".join(pieces)

    # Answers ----------------------------------------------------------------------------------

    def begin(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Begin an answer in chunks, or of the length that a header says."""
        self._send(h11.Response(status_code=status, headers=list(headers)))

    async def piece(self, data: bytes) -> None:
        """A part of the answer's body."""
        self._send(h11.Data(data=data))
        await self.writer.drain()

    async def end(self) -> None:
        """The end of the answer."""
        self._send(h11.EndOfMessage())
        await self.writer.drain()

    def _send(self, *events: h11.Event) -> None:
        data = b"".join(self._h11.send(event) or b"" for event in events)
        if data:
            self.writer.write(data)

    async def whole(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """A whole answer, which wakes its reader once."""
        length = ("content-length", str(len(body)))
        head = h11.Response(status_code=status, headers=[*headers, length])
        self._send(head, h11.Data(data=body), h11.EndOfMessage())
        await self.writer.drain()

    async def refuse(self, status: int, refusal: Refusal) -> None:
        """A refusal in the form that the SDKs of both model providers read."""
        if self.may_answer():
            body = json.dumps(error_body(refusal)).encode()
            # No client shall try again by itself: the answer would be the same.
            kind = [("content-type", "application/json"), ("x-should-retry", "false")]
            await self.whole(status, kind, body)

    def may_answer(self) -> bool:
        """Whether no answer has begun."""
        return self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    def again(self) -> bool:
        """Whether another request may follow on this connection."""
        done = (self._h11.our_state, self._h11.their_state) == (h11.DONE, h11.DONE)
        if done:
            self._h11.start_next_cycle()
        return done

    async def switch(self) -> bytes:
        """Answer a CONNECT; what the client sent already. After this the streams are raw."""
        while self._h11.their_state is h11.SEND_BODY:
            self._h11.next_event()
        self._send(h11.Response(status_code=200, headers=[]))
        await self.writer.drain()
        ahead, self._ahead = self._ahead, b""
        return self._h11.trailing_data[0] + ahead

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[Caller]:
        """While the block runs its caller is cancelled when the client goes away."""
        caller = Caller()
        watch = asyncio.ensure_future(self._watch(caller))
        try:
            yield caller
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def _watch(self, caller: Caller) -> None:
        if not self._ahead:
            try:
                self._ahead = await self.reader.read(1)
            except ConnectionError:
                pass
            if not self._ahead:
                caller.cancelled.set()


def error_body(refusal: Refusal) -> dict[str, object]:
    """The JSON of a refusal."""
    said = f"{refusal.sentence} {refusal.hint}".strip()
    error = {
        "type": "permission_error",
        "code": refusal.code,
        "message": f"Refused by nucleus: {said} [{refusal.code}]",
        "nucleus": refusal.fields(),
    }
    return {"type": "error", "error": error}

"""Law: what goes to a request goes as one value where that is its answer, as a stream otherwise.

A client of the new era that goes away takes its request back by that; one of the old era does not,
and may come again for what it missed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Final

from nucleus_proxy import methods, wire
from nucleus_proxy.egress.httpd import Client
from nucleus_proxy.http.sessions import Session
from nucleus_proxy.http.streams import Stream
from nucleus_tokens.errors import WorldError

JSON: Final = ("content-type", "application/json")
EVENTS: Final = (("content-type", "text/event-stream"), ("cache-control", "no-store"))
_AT_ONCE_SECONDS: Final = 0.5
_PING_SECONDS: Final = 15.0
# What the new era has an error's code say in HTTP.
_STATUS: Final[Mapping[int, int]] = {
    wire.PARSE_ERROR: 400,
    wire.INVALID_REQUEST: 400,
    wire.INVALID_PARAMS: 400,
    wire.METHOD_NOT_FOUND: 404,
    -32020: 400,
    -32021: 400,
    -32022: 400,
}


async def give(
    client: Client,
    session: Session,
    stream: Stream,
    start: int,
    headers: Sequence[tuple[str, str]] | None,
) -> bool:
    """Give a stream to its client; whether all of it. `headers` are those of an answer that
    has not begun."""
    begun = headers is None
    events = stream.read(start)
    async with client.waiting() as caller:
        gone = asyncio.ensure_future(caller.cancelled.wait())
        coming = asyncio.ensure_future(anext(events, None))
        try:
            while True:
                patience = _PING_SECONDS if begun else _AT_ONCE_SECONDS
                await asyncio.wait(
                    {gone, coming}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
                if gone.done():
                    break
                if not coming.done():
                    if not begun:
                        client.begin(200, [*EVENTS, *(headers or ())])
                        begun = True
                    await client.piece(b": \n\n")
                    continue
                event = coming.result()
                if event is None:
                    break
                number, raw = event
                if not begun and raw is stream.answer:  # nothing was said before it
                    await client.whole(_status(stream, raw), [JSON, *(headers or ())], raw)
                    return True
                if not begun:
                    client.begin(200, [*EVENTS, *(headers or ())])
                    begun = True
                await client.piece(b"id: %d-%d\ndata: %s\n\n" % (stream.number, number, raw))
                session.streams.was_read()
                coming = asyncio.ensure_future(anext(events, None))
            if gone.done():
                raise ConnectionResetError
            if not begun:
                raise WorldError("http.ended", "This session has ended.")
            await client.end()
            return stream.done
        except ConnectionError:
            if stream.request is not None and session.streams.renamed and not stream.done:
                with contextlib.suppress(WorldError):
                    session.read(session.streams.cancelled(stream))
            raise
        finally:
            for task in (gone, coming):
                task.cancel()
            await asyncio.gather(gone, coming, return_exceptions=True)
            await events.aclose()


def _status(stream: Stream, raw: bytes) -> int:
    if stream.request is None or not methods.of_new_era(stream.request.params):
        return 200
    error = wire.parse(raw, from_server=True, limit=wire.UNBOUNDED).value.get("error", {})
    return _STATUS.get(error.get("code"), 200)

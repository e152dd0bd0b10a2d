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
    """Give a stream to its client, from event `start` on; whether all of it. `headers` are those
    of an answer that has not begun."""
    begun = headers is None
    async with client.waiting() as caller:
        gone = asyncio.ensure_future(caller.cancelled.wait())
        gone.add_done_callback(lambda _: stream.changed.set())
        try:
            while not gone.done():
                found = stream.at(start)
                if found is None:
                    if stream.done:
                        break
                    if not await _changed(stream, _PING_SECONDS if begun else _AT_ONCE_SECONDS):
                        if not begun:
                            client.begin(200, [*EVENTS, *(headers or ())])
                            begun = True
                        await client.piece(b": \n\n")
                    continue
                number, raw = found
                if not begun and raw is stream.answer:  # nothing was said before it
                    await client.whole(_status(stream, raw), [JSON, *(headers or ())], raw)
                    return True
                if not begun:
                    client.begin(200, [*EVENTS, *(headers or ())])
                    begun = True
                await client.piece(b"id: %d-%d\ndata: %s\n\n" % (stream.number, number, raw))
                stream.was_given(number)
                session.streams.was_read()
                start = number + 1
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
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)


async def _changed(stream: Stream, seconds: float) -> bool:
    """Wait until something became of a stream, or its client is gone; False when it is time."""
    stream.changed.clear()
    try:
        async with asyncio.timeout(seconds):
            await stream.changed.wait()
    except TimeoutError:
        return False
    return True


def _status(stream: Stream, raw: bytes) -> int:
    if stream.request is None or not methods.of_new_era(stream.request.params):
        return 200
    error = wire.parse(raw, from_server=True, limit=wire.UNBOUNDED).value.get("error", {})
    return _STATUS.get(error.get("code"), 200)

"""Law: the host's end of a channel is held by one, who may leave it to another between two streams.

As tasks see it: it runs until it is over, and a connection to a service is a socket.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path

from nucleus_vmhost.vm.frames import Broken
from nucleus_vmhost.vm.pumps import Line, Pumps
from nucleus_vmhost.vm.streams import Side


class Channel(Pumps):
    """One end of a channel, until either end breaks or closes it, or it is left."""

    def __init__(self, line: Line, side: Side, services: Mapping[str, Path]) -> None:
        super().__init__(line, side, services, asyncio.get_running_loop())

    async def run(self) -> None:
        """Until the other end closes, or this one is left. Raises Broken where the other breaks
        the framing."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def over(why: Broken | None) -> None:
            if ended.done():
                return
            if why is None:
                ended.set_result(None)
            else:
                ended.set_exception(why)

        try:
            self.begin(over)
            await ended
        finally:
            self.close()

    async def left(self, seconds: float) -> Line:
        """Leave the channel to another, once each stream has ended. Raises TimeoutError where
        that takes longer, ConnectionError where the channel ends meanwhile."""
        async with asyncio.timeout(seconds):
            while (spoken := self._streams.next) is None or self._out:
                if self._closed:
                    raise ConnectionError("the channel has ended")
                await asyncio.sleep(0.001)
        assert self._ready is not None  # noqa: S101  it has greeted
        self._ready.close()
        self._closed = True
        self._end()
        line, self._fd = Line(self._fd, spoken), -1
        return line

    def connected(self, service: str, said: bytes = b"") -> socket.socket:
        """A connection to the other end's service, on which this was said. Raises ConnectionError
        where none can be."""
        ours, theirs = socket.socketpair(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        if not self.joined(service, theirs, said):
            theirs.close()
            ours.close()
            raise ConnectionError("the channel takes no more streams")
        return ours

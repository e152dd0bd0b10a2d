"""Law: whoever is registered is called when its descriptor can be read or written, and nothing else
is done.

It stands in for asyncio's loop, of which a turn is longer than what is done in it here.
"""

from __future__ import annotations

import select
from collections.abc import Callable

_Call = Callable[[], None]


class Turns:
    """A loop that is turned by hand."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._readers: dict[int, _Call] = {}
        self._writers: dict[int, _Call] = {}

    def turn(self) -> None:
        """Wait until something can be done, and have it done."""
        for fd, seen in self._poll.poll():
            # An end or an error concerns both; and who was called first may have ended the other.
            if seen & ~select.EPOLLOUT and (call := self._readers.get(fd)):
                call()
            if seen & ~select.EPOLLIN and (call := self._writers.get(fd)):
                call()

    def add_reader(self, fd: int, callback: _Call, /) -> None:
        self._readers[fd] = callback
        self._changed(fd, fd in self._writers)

    def remove_reader(self, fd: int, /) -> None:
        del self._readers[fd]
        self._changed(fd, True)

    def add_writer(self, fd: int, callback: _Call, /) -> None:
        self._writers[fd] = callback
        self._changed(fd, fd in self._readers)

    def remove_writer(self, fd: int, /) -> None:
        del self._writers[fd]
        self._changed(fd, True)

    def _changed(self, fd: int, known: bool) -> None:
        wanted = select.EPOLLIN * (fd in self._readers) | select.EPOLLOUT * (fd in self._writers)
        if not known:
            self._poll.register(fd, wanted)
        elif wanted:
            self._poll.modify(fd, wanted)
        else:
            self._poll.unregister(fd)

"""Law: the agent never has the terminal of the person who started it, only one of its own.

Whoever has a terminal open can read what is typed at it, push keys into it (TIOCSTI) and answer a
question in the person's place. So where a stream of ours is a terminal, the agent gets a new one,
and bytes are carried between the two. While a person is asked, nothing is carried.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from typing import Any, Final

_CHUNK: Final = 16 * 1024
# DECSTR, plain text: what the agent did to the screen must not dress up or hide a question.
_SOFT_RESET: Final = b"\x1b[!p\x1b[m\r\n"
_DRAIN_SECONDS: Final = 0.2


class Terminal:
    """What stands between our streams and the agent's. Use `carrying` while the agent runs."""

    def __init__(self, streams: tuple[int, int, int] = (0, 1, 2)) -> None:
        self._ours = streams
        self._is_ours = tuple(os.isatty(fd) for fd in streams)
        self._master = self._slave = -1
        self._gate = threading.Lock()
        self._saved: list[Any] | None = None
        self._stop, self._stopping = -1, -1
        if any(self._is_ours):
            self._master, self._slave = os.openpty()
            real = next(fd for fd, ours in zip(streams, self._is_ours, strict=True) if ours)
            termios.tcsetattr(self._slave, termios.TCSANOW, termios.tcgetattr(real))
            self._resize(real)

    @property
    def streams(self) -> tuple[int, int, int]:
        """What the agent gets as stdin, stdout and stderr."""
        first, second, third = (
            self._slave if is_terminal else fd
            for fd, is_terminal in zip(self._ours, self._is_ours, strict=True)
        )
        return first, second, third

    @property
    def controls(self) -> bool:
        """Whether the agent's stdin is a terminal of its own."""
        return self._is_ours[0]

    @property
    def are(self) -> tuple[bool, bool, bool]:
        """Which of our streams are a terminal."""
        return self._is_ours[0], self._is_ours[1], self._is_ours[2]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the agent's."""
        packed = fcntl.ioctl(self._master, termios.TIOCGWINSZ, b"\0" * 8)
        rows, columns, _, _ = struct.unpack("HHHH", packed)
        return rows, columns

    @contextlib.contextmanager
    def carrying(self, resized: Callable[[], object] | None = None) -> Iterator[None]:
        """Carry bytes until the block ends, and then what the agent still had to say. `resized`
        is told of a new size; with it, the agent's terminal is elsewhere, and ours only passes
        bytes on."""
        if self._master < 0:
            yield
            return
        if resized is not None:
            tty.setraw(self._slave)
        self._stopping, self._stop = os.pipe()
        threads = []
        screen = next((fd for fd, t in zip(self._ours[1:], self._is_ours[1:], strict=True) if t), 0)
        threads.append(threading.Thread(target=self._carry, args=(self._master, screen, True)))
        if self.controls:
            self._saved = termios.tcgetattr(self._ours[0])
            tty.setraw(self._ours[0])
            threads.append(
                threading.Thread(target=self._carry, args=(self._ours[0], self._master, False))
            )
        before = self._watch_size(resized)
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            os.close(self._stop)
            for thread in threads:
                thread.join()
            self._cooked()
            if before is not None:
                signal.signal(signal.SIGWINCH, before)
            for fd in (self._stopping, self._master, self._slave):
                os.close(fd)
            self._master = -1

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """The person's terminal is the person's: nothing of the agent is shown, and nothing that
        was typed before counts. For another thread than the event loop's."""
        with self._gate:
            self._cooked()
            screen = self._ours[1] if self._is_ours[1] else self._ours[2]
            if self._master >= 0 and os.isatty(screen):
                os.write(screen, _SOFT_RESET)
            if self.controls:
                termios.tcflush(self._ours[0], termios.TCIFLUSH)
            try:
                yield
            finally:
                if self._saved is not None:
                    tty.setraw(self._ours[0])

    def _cooked(self) -> None:
        if self._saved is not None:
            termios.tcsetattr(self._ours[0], termios.TCSADRAIN, self._saved)

    def _carry(self, source: int, sink: int, drains: bool) -> None:
        stopping = False
        while True:
            wait = _DRAIN_SECONDS if stopping else None
            watched = [source] if stopping else [source, self._stopping]
            ready, _, _ = select.select(watched, [], [], wait)
            if self._stopping in ready and not stopping:
                if not drains:
                    return
                stopping = True
                continue
            with self._gate:
                # It may have been taken by a question meanwhile.
                if not select.select([source], [], [], 0)[0]:
                    if stopping:
                        return
                    continue
                try:
                    data = os.read(source, _CHUNK)
                    view = memoryview(data)
                    while view:
                        view = view[os.write(sink, view) :]
                except OSError:
                    return  # one side is gone
            if not data:
                return

    def _watch_size(
        self, resized: Callable[[], object] | None
    ) -> Callable[[int, Any], Any] | int | None:
        if threading.current_thread() is not threading.main_thread() or not self.controls:
            return None

        def changed(*_: object) -> None:
            self._resize(self._ours[0])
            if resized is not None:
                resized()

        return signal.signal(signal.SIGWINCH, changed)

    def _resize(self, real: int) -> None:
        with contextlib.suppress(OSError):
            size = fcntl.ioctl(real, termios.TIOCGWINSZ, b"\0" * 8)
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

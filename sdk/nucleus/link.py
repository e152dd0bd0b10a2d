"""Law: a session is one private connection, and whoever has the descriptor has the session.

Lines of JSON-RPC to the proxy, from any number of threads or tasks of this process. Nothing on this
side is a secret: the token, and every key, stay with the proxy. When the other side ends, whatever
still waits is told so.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from nucleus import shapes
from nucleus_tokens.errors import CallerError, NucleusError, WorldError

Answer = dict[str, Any]
Progress = Callable[[str], None]

CONNECTION: Final = "connection"  # where a descriptor that came with an answer stands in it
_CHUNK: Final = 1 << 16
_LINE_BYTES: Final = 64 << 20  # more than the proxy sends; a runaway peer must not fill our memory
_DESCRIPTORS: Final = 4
_log = logging.getLogger("nucleus")
_ENDED: Final = ("session.ended", "The proxy has ended this session.")


class Link:
    """One connection to the proxy."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._sending = threading.Lock()
        self._lock = threading.Lock()
        self._next = 1
        self._waiting: dict[int, tuple[Future[Answer], Progress | None]] = {}
        self._closed = False
        self._descriptors: list[int] = []
        # Nobody reads before something is asked: until then the session can be handed on whole.
        self._reader: threading.Thread | None = None

    def detach(self) -> int:
        """Give up the descriptor, for another process. Raises CallerError `session.used` once
        something was asked here: two readers would take each other's answers."""
        with self._lock:
            if self._reader is not None or self._closed:
                raise CallerError(
                    "session.used",
                    "This session was used here, so it cannot be handed to another process.",
                    hint="Delegate a new one and hand that over.",
                )
            self._closed = True
            return self._socket.detach()

    def ask(
        self, method: str, params: dict[str, Any], progress: Progress | None = None
    ) -> tuple[int, Future[Answer]]:
        """Send a request; its number and what will be answered. `progress` is told, in another
        thread, what is waited for. The future raises WorldError `session.ended`, or CallerError
        for a request that the proxy does not take."""
        future: Future[Answer] = Future()
        with self._lock:
            if self._closed:
                raise WorldError(*_ENDED)
            if self._reader is None:
                self._reader = threading.Thread(
                    target=self._read, name="nucleus-session", daemon=True
                )
                self._reader.start()
            number = self._next
            self._next += 1
            self._waiting[number] = (future, progress)
        if progress is not None:
            meta = shapes.table(params.get("_meta")) or {}
            params = {**params, "_meta": {**meta, "progressToken": number}}
        try:
            self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        except NucleusError:
            with self._lock:
                self._waiting.pop(number, None)
            raise
        return number, future

    def cancel(self, number: int) -> None:
        """Nobody waits for this answer any longer: what has not run shall not run."""
        with self._lock:
            if self._waiting.pop(number, None) is None or self._closed:
                return
        params = {"requestId": number}
        try:
            self._send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
        except WorldError:
            return  # the session has ended: nothing of it runs

    def close(self) -> None:
        """End the session. Safe to call again."""
        with self._lock:
            self._closed = True
            reader = self._reader
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was faster
        if reader is not None and reader is not threading.current_thread():
            reader.join()
        self._socket.close()

    def _send(self, value: dict[str, Any]) -> None:
        try:
            line = json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
        except (ValueError, TypeError, RecursionError) as error:
            raise CallerError("call.arguments", f"This is not JSON: {error}.") from error
        try:
            with self._sending:
                self._socket.sendall(line + b"\n")
        except OSError as error:
            raise WorldError(*_ENDED) from error

    # The other side -----------------------------------------------------------------------------

    def _read(self) -> None:
        rest = b""
        try:
            while chunk := self._receive():
                *lines, rest = (rest + chunk).split(b"\n") if b"\n" in chunk else (rest + chunk,)
                for line in lines:
                    self._take(line)
                if len(rest) > _LINE_BYTES:
                    break
        except (OSError, ValueError, RecursionError):
            pass  # a peer that does not speak our language is no session
        with self._lock:
            self._closed = True
            waiting, self._waiting = list(self._waiting.values()), {}
            descriptors, self._descriptors = self._descriptors, []
        for number in descriptors:
            os.close(number)
        for future, _ in waiting:
            future.set_exception(WorldError(*_ENDED))

    def _receive(self) -> bytes:
        data, descriptors, _, _ = socket.recv_fds(self._socket, _CHUNK, _DESCRIPTORS)
        for number in descriptors:
            os.set_inheritable(number, False)
        self._descriptors += descriptors
        return data

    def _take(self, line: bytes) -> None:
        value = shapes.table(json.loads(line))
        if value is None:
            raise ValueError("not a message")
        if "method" in value:
            self._told(value)
            return
        number = value.get("id")
        with self._lock:
            found = self._waiting.pop(number, None) if type(number) is int else None
        if found is None:
            return
        future, _ = found
        error = shapes.table(value.get("error"))
        if error is not None:
            said = shapes.text(error.get("message")) or "The proxy refused the request."
            future.set_exception(_failure(error, said))
            return
        answer = shapes.table(value.get("result")) or {}
        if answer.pop(CONNECTION, False) is True and self._descriptors:
            answer[CONNECTION] = self._descriptors.pop(0)
        future.set_result(answer)

    def _told(self, value: dict[str, Any]) -> None:
        params = shapes.table(value.get("params")) or {}
        number, message = params.get("progressToken"), shapes.text(params.get("message"))
        if value["method"] != "notifications/progress" or type(number) is not int:
            return
        with self._lock:
            found = self._waiting.get(number)
        if found is None or found[1] is None or message is None:
            return
        try:
            found[1](message)
        except Exception:  # noqa: BLE001  what the program does with it must not end the session
            _log.exception("a progress callback failed")


def _failure(error: dict[str, Any], said: str) -> NucleusError:
    data = shapes.table(error.get("data")) or {}
    code = shapes.text(data.get("code")) or "proxy.refused"
    hint = shapes.text(data.get("hint")) or ""
    # JSON-RPC: the server's own errors are the world's, all others are the caller's.
    number = error.get("code")
    world = type(number) is int and -32099 <= number <= -32000
    return (WorldError if world else CallerError)(code, said, hint=hint)

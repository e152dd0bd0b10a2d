"""Law: who is slow waits alone. So many connections and no more; the one that has been idle for
longest makes room, and a request that does not arrive in time is none.

HTTP listeners on unix sockets or loopback. A unix socket is nobody else's from its first moment.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from nucleus_tokens.errors import CallerError, WorldError
from nucleus_verifier.sidecar.answers import STRANGER
from nucleus_verifier.sidecar.gate import Log

# A connection without a whole request's head for so long is closed. Longer than gateways keep
# theirs idle (nginx and Envoy: a minute), so that it is they who close.
IDLE_SECONDS: Final = 75.0
GRACE_SECONDS: Final = 2.0
_LINE_BYTES: Final = 16 * 1024  # of one header: a credential is at most half of it


async def open_http(
    stack: AsyncExitStack, address: str, mode: int, app: web.Application, most: int, log: Log
) -> None:
    """Serve an application for as long as the stack is open, to at most `most` connections. Raises
    CallerError or WorldError `sidecar.address`."""
    busy: set[Any] = set()
    app.middlewares.append(_marking(busy))
    made = web.AppRunner(app, shutdown_timeout=GRACE_SECONDS)
    await made.setup()
    stack.push_async_callback(made.cleanup)
    if made.server is None:
        raise WorldError("sidecar.address", f"{address} cannot be opened.")
    loop = asyncio.get_running_loop()
    quiet = logging.Logger("sidecar")
    quiet.addHandler(_Plain(address, log))

    def speak(server: web.Server) -> web.RequestHandler:
        # It never logs what it serves, since credentials stand in headers, and never unpacks it.
        return _Terse(
            server,
            loop=loop,
            access_log_class=_Nothing,
            logger=quiet,
            auto_decompress=False,
            max_line_size=_LINE_BYTES,
            max_field_size=_LINE_BYTES,
            keepalive_timeout=IDLE_SECONDS,
        )

    factory = _Limited(made.server, busy, most, speak)
    try:
        if address.startswith("unix:"):
            path = free(address)
            with closed_umask():
                server = await loop.create_unix_server(factory, str(path))
            stack.callback(partial(path.unlink, missing_ok=True))
            path.chmod(mode)
        else:
            host, _, port = address.rpartition(":")
            server = await loop.create_server(factory, host.strip("[]"), int(port))
    except OSError as error:
        raise in_use(address) from error
    stack.callback(server.close)


class _Limited:
    """Makes what speaks for each connection, and room for it."""

    def __init__(
        self,
        server: web.Server,
        busy: set[Any],
        most: int,
        speak: Callable[[web.Server], web.RequestHandler],
    ) -> None:
        self._server = server
        self._speak = speak
        self._busy = busy
        self._most = most

    def __call__(self) -> asyncio.Protocol:
        # The oldest stand first.
        there: list[Any] = self._server.connections
        if len(there) >= self._most:
            idle = next((each for each in there if each not in self._busy), None)
            if idle is None:
                return _Refusing()
            idle.force_close()
        return self._speak(self._server)


class _Terse(web.RequestHandler):
    """What is no request gets the constant answer: a page about it would repeat what was sent."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        self.log_exception("http.%s", "failed" if status >= 500 else "malformed", exc_info=exc)
        made = web.json_response(STRANGER, status=status)
        made.force_close()
        return made


class _Nothing(AbstractAccessLogger):
    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Nothing."""

    @property
    def enabled(self) -> bool:
        return False


class _Plain(logging.Handler):
    """One line without what was sent: a header that cannot be read may hold a credential."""

    def __init__(self, address: str, log: Log) -> None:
        super().__init__()
        self._address = address
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        kind = "" if record.exc_info is None else getattr(record.exc_info[0], "__name__", "")
        why = record.getMessage() if record.msg == "http.%s" else "http"
        self._log("refused", {"listener": self._address, "why": why, "kind": kind})


class _Refusing(asyncio.Protocol):
    """Everybody is busy: come again."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _marking(busy: set[Any]) -> Any:
    @web.middleware
    async def marked(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        busy.add(request.protocol)
        try:
            return await handler(request)
        finally:
            busy.discard(request.protocol)

    return marked


class closed_umask:
    """A socket is nobody else's from its first moment."""

    def __enter__(self) -> None:
        self._before = os.umask(0o177)

    def __exit__(self, *_: object) -> None:
        os.umask(self._before)


def free(address: str) -> Path:
    """The path of a unix socket; one that a dead process left is removed. Raises CallerError or
    WorldError `sidecar.address`."""
    path = Path(address.removeprefix("unix:"))
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise in_use(address)
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(str(path))
        raise in_use(address)
    except FileNotFoundError:
        return path
    except ConnectionRefusedError:
        path.unlink()
        return path
    except OSError as error:
        raise WorldError("sidecar.address", f"{address} cannot be opened.") from error


def in_use(address: str) -> CallerError:
    return CallerError("sidecar.address", f"{address} cannot be opened: is it in use?")

"""Law: a thief sees and repeats bytes; nothing here can sign.

`Tap` lies between a client and the proxy's socket and keeps every line that goes in. `repeat` opens
a connection of its own and sends one line as it is.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from nucleus.demo.differs import Differs
from nucleus.demo.world import PATIENCE

_LINE = 1024 * 1024


class Tap:
    """A listener at `path` that passes everything on to `far`, and remembers what went there."""

    def __init__(self, path: Path, far: Path) -> None:
        self._path = path
        self._far = far
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.lines: list[bytes] = []

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._connected, self._path, limit=_LINE)
        self._path.chmod(0o600)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._far, limit=_LINE)
        try:
            await asyncio.gather(
                _pump(reader, far_writer, self.lines), _pump(far_reader, writer, None)
            )
        except ConnectionError:
            pass  # one side left; both are closed
        finally:
            writer.close()
            far_writer.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: list[bytes] | None
) -> None:
    while line := await reader.readline():
        if kept is not None:
            kept.append(line)
        writer.write(line)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def repeat(socket: Path, *lines: bytes) -> list[dict[str, Any]]:
    """Send lines, byte for byte, on a new connection; the answer to each."""
    reader, writer = await asyncio.open_unix_connection(socket, limit=_LINE)
    found: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(PATIENCE):
            for line in lines:
                writer.write(line)
                await writer.drain()
                found.append(await _answer(reader, json.loads(line)["id"]))
    except TimeoutError as error:
        raise Differs("nobody answered the repeated line") from error
    finally:
        writer.close()
    return found


async def _answer(reader: asyncio.StreamReader, wanted: object) -> dict[str, Any]:
    while line := await reader.readline():
        value: dict[str, Any] = json.loads(line)
        if value.get("id") == wanted and "method" not in value:
            return value
    raise Differs("the connection ended without an answer to the repeated line")

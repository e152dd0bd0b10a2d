"""Law: QEMU runs the guest, so what QEMU says is the guest's word: bounded, and waited for only so
long.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import Any, Final

from nucleus_tokens.errors import WorldError

_LINE: Final = 65536
_EVENTS: Final = 1000


class Monitor:
    """The control of one QEMU."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: socket.socket
    ) -> None:
        self._reader, self._writer, self._raw = reader, writer, raw

    @classmethod
    async def opened(cls, connection: socket.socket, seconds: float) -> Monitor:
        """The control over a connection. Raises WorldError `vm.qemu`."""
        made = cls(*await asyncio.open_unix_connection(sock=connection, limit=_LINE), connection)
        try:
            async with asyncio.timeout(seconds):
                if "QMP" not in await made._heard():
                    raise WorldError("vm.qemu", "QEMU does not speak as it should.")
        except TimeoutError as error:
            raise WorldError("vm.qemu", "QEMU did not start in time.") from error
        await made.ask("qmp_capabilities", seconds)
        return made

    async def ask(
        self, command: str, seconds: float, *fds: int, **arguments: Any
    ) -> dict[str, Any]:
        """What a command answers, which may go with descriptors. Raises WorldError `vm.qemu`."""
        order = {"execute": command, "arguments": arguments}
        try:
            async with asyncio.timeout(seconds):
                # A line is short and its answer waited for: it goes at once.
                socket.send_fds(self._raw, [json.dumps(order).encode() + b"\n"], list(fds))
                for _ in range(_EVENTS):
                    said = await self._heard()
                    if "error" in said:
                        raise WorldError("vm.qemu", f"QEMU refuses {command}: {said['error']}.")
                    if "return" in said:
                        answer = said["return"]
                        return answer if isinstance(answer, dict) else {}
        except TimeoutError as error:
            raise WorldError("vm.qemu", f"QEMU did not answer {command} in time.") from error
        except OSError as error:
            raise WorldError("vm.qemu", "QEMU has ended.") from error
        raise WorldError("vm.qemu", f"QEMU does not answer {command}.")

    async def over(self, seconds: float) -> None:
        """Until QEMU, which is being ended, has."""
        with contextlib.suppress(TimeoutError, OSError, ValueError):
            async with asyncio.timeout(seconds):
                while await self._reader.read(_LINE):
                    pass
        self._writer.transport.abort()

    async def _heard(self) -> dict[str, Any]:
        try:
            line = await self._reader.readline()
            said = json.loads(line) if line.endswith(b"\n") else None
        except (ValueError, RecursionError) as error:
            raise WorldError("vm.qemu", "QEMU does not speak as it should.") from error
        if not isinstance(said, dict):
            raise WorldError("vm.qemu", "QEMU has ended.")
        return said

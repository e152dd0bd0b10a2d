"""Law: Firecracker runs the guest, so what it says is the guest's word: bounded, and waited for
only so long.

Its API is HTTP over a unix socket: 204 and nothing, 200 and an object, or an error with a
`fault_message`. Its vsock is a second socket: `CONNECT port`, then `OK port`, then the guest's
bytes. From Firecracker's own description and documentation, v1.16.1; no Firecracker was run here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
from pathlib import Path
from typing import Any, Final

from nucleus_tokens.errors import WorldError

_SECONDS: Final = 30.0
_HEAD: Final = 8192
_BODY: Final = 65536
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d{1,6})\r\n", re.IGNORECASE)
_CONNECTED: Final = re.compile(rb"OK \d{1,10}\n")
_FAULT: Final = 300


class Api:
    """The control of one Firecracker, through its socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def machine(self, *, vcpus: int, memory_mib: int) -> None:
        await self._put("/machine-config", vcpu_count=vcpus, mem_size_mib=memory_mib, smt=False)

    async def boot_source(self, kernel: str, initrd: str, arguments: str) -> None:
        await self._put(
            "/boot-source", kernel_image_path=kernel, initrd_path=initrd, boot_args=arguments
        )

    async def entropy(self) -> None:
        """Give the guest a random device."""
        await self._put("/entropy")

    async def vsock(self, cid: int, path: str) -> None:
        await self._put("/vsock", guest_cid=cid, uds_path=path)

    async def start(self) -> None:
        await self._put("/actions", action_type="InstanceStart")

    async def pause(self) -> None:
        await self._asked("PATCH", "/vm", {"state": "Paused"})

    async def resume(self) -> None:
        await self._asked("PATCH", "/vm", {"state": "Resumed"})

    async def save(self, state: str, memory: str) -> None:
        """Write a paused machine to two files."""
        await self._put(
            "/snapshot/create", snapshot_type="Full", snapshot_path=state, mem_file_path=memory
        )

    async def load(self, state: str, memory: str) -> None:
        """Become a machine that was saved, paused. Nothing else may have been set before."""
        await self._put(
            "/snapshot/load",
            snapshot_path=state,
            mem_backend={"backend_type": "File", "backend_path": memory},
            resume_vm=False,
        )

    async def state(self) -> str:
        """`Not started`, `Running` or `Paused`."""
        said = (await self._asked("GET", "/", None)).get("state")
        if said not in ("Not started", "Running", "Paused"):
            raise WorldError("vm.firecracker", "Firecracker does not say what state it is in.")
        return str(said)

    async def _put(self, path: str, **body: Any) -> None:
        await self._asked("PUT", path, body)

    async def _asked(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """What a request answers. Raises WorldError `vm.firecracker`."""
        sent = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n"
        try:
            async with asyncio.timeout(_SECONDS):
                status, said = await self._sent(head.encode() + b"\r\n" + sent)
        except TimeoutError as error:
            raise WorldError(
                "vm.firecracker", f"Firecracker did not answer {method} {path} in time."
            ) from error
        except (OSError, EOFError, ValueError, RecursionError) as error:
            raise WorldError(
                "vm.firecracker", f"Firecracker does not answer {method} {path} as it should."
            ) from error
        if status not in (200, 204):
            fault = ascii(str(said.get("fault_message", f"status {status}")))[:_FAULT]
            raise WorldError("vm.firecracker", f"Firecracker refuses {method} {path}: {fault}")
        return said

    async def _sent(self, request: bytes) -> tuple[int, dict[str, Any]]:
        reader, writer = await asyncio.open_unix_connection(self._path, limit=_HEAD)
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            status = _STATUS.match(head)
            if status is None or b"\r\ntransfer-encoding:" in head.lower():
                raise ValueError("no answer of HTTP as it is spoken here")
            length = _LENGTH.search(head)
            size = int(length[1]) if length else 0
            if size > _BODY:
                raise ValueError("an answer too long")
            said = json.loads(await reader.readexactly(size)) if size else {}
            if not isinstance(said, dict):
                raise ValueError("no object")
            return int(status[1]), said
        except asyncio.LimitOverrunError as error:
            raise ValueError("a head too long") from error
        finally:
            writer.transport.abort()


async def connected(path: Path, port: int) -> int:
    """A connection to a port that the guest listens on, as a descriptor. Raises WorldError
    `vm.firecracker`."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_SECONDS):
            await loop.sock_connect(connection, os.fspath(path))
            await loop.sock_sendall(connection, b"CONNECT %d\n" % port)
            said = b""
            # Byte by byte: what follows the line is the channel's.
            while not said.endswith(b"\n") and len(said) < len(b"OK 4294967295\n"):
                one = await loop.sock_recv(connection, 1)
                if not one:
                    break
                said += one
        if not _CONNECTED.fullmatch(said):
            raise WorldError("vm.firecracker", f"The microVM takes no connection to port {port}.")
    except (OSError, TimeoutError) as error:
        connection.close()
        raise WorldError(
            "vm.firecracker", f"The microVM takes no connection to port {port}."
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection.detach()


async def listening(path: Path, seconds: float) -> None:
    """Until somebody listens at a socket. Raises WorldError `vm.firecracker`."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
                    connection.connect(os.fspath(path))
                    return
                await asyncio.sleep(0.005)
    except TimeoutError as error:
        raise WorldError("vm.firecracker", "Firecracker did not start in time.") from error

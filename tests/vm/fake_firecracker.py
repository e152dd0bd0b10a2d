"""A fake of Firecracker, which is not to be had here: its API and vsock sockets in this process,
after its own description (data/firecracker-v1.16.1.yaml) and documentation. No guest boots in it;
at the end of its vsock stands a real guest end of the channel, in front of a service of the
test's."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any, Final

import yaml

from nucleus_vmhost.vm.channel import Channel
from nucleus_vmhost.vm.guest.names import CHANNEL_PORT, READY
from nucleus_vmhost.vm.jailer import API, Cell, Jailer, Process
from nucleus_vmhost.vm.pumps import Line
from nucleus_vmhost.vm.streams import Side

API_FILE: Final = Path(__file__).parent / "data" / "firecracker-v1.16.1.yaml"
DESCRIBED: Final[dict[str, Any]] = yaml.safe_load(API_FILE.read_text())
BEFORE: Final = "The requested operation is not supported before starting the microVM."
AFTER: Final = "The requested operation is not supported after starting the microVM."
_TYPES: Final[dict[str, Any]] = {
    "string": str, "integer": int, "boolean": bool, "object": dict, "array": list,
}  # fmt: skip


def wrong(value: Any, schema: dict[str, Any]) -> str:
    """Why a value is not of a schema; unknown fields are refused, as Firecracker does."""
    if "$ref" in schema:
        return wrong(value, DESCRIBED["definitions"][schema["$ref"].rpartition("/")[2]])
    kind = schema.get("type", "object")
    if not isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, bool)):
        return f"invalid type: expected {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"unknown variant `{value}`"
    if kind == "integer" and not schema.get("minimum", 0) <= value <= schema.get("maximum", 2**63):
        return f"invalid value: {value}"
    if kind == "object":
        fields = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                return f"missing field `{name}`"
        for name, inner in value.items():
            if name not in fields:
                return f"unknown field `{name}`"
            if why := wrong(inner, fields[name]):
                return why
    return ""


class FakeFirecracker:
    """One of them, in a cell. `asked` is each request that it accepted."""

    def __init__(self, root: Path, prints: int, services: dict[str, Path]) -> None:
        self.root, self.state, self.asked = root, "Not started", list[tuple[str, str, Any]]()
        self._prints, self._services = os.dup(prints), services
        self._set: set[str] = set()
        self._ended = asyncio.Event()
        self._tasks = [asyncio.ensure_future(self._serve())]
        self.pid = 0

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def kill(self) -> None:
        for task in self._tasks:
            task.cancel()
        if not self._ended.is_set():
            os.close(self._prints)
        self._ended.set()

    async def wait(self) -> int:
        await self._ended.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return -9

    async def _serve(self) -> None:
        async with await asyncio.start_unix_server(self._met, self.root / API):
            await asyncio.Event().wait()

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            writer.close()
            return
        method, path, _ = head.split("\r\n")[0].split(" ")
        sizes = [line for line in head.split("\r\n") if line.startswith("Content-Length: ")]
        body = await reader.readexactly(int(sizes[0][16:])) if sizes else b""
        status, said = self._answer(method, path, body)
        text = json.dumps(said).encode() if said is not None else b""
        length = f"Content-Length: {len(text)}\r\n" if text else ""
        names = {200: "OK", 204: "No Content", 400: "Bad Request"}
        writer.write(
            f"HTTP/1.1 {status} {names[status]}\r\nServer: Firecracker API\r\n"
            f"Connection: keep-alive\r\n{length}\r\n".encode()
            + text
        )
        await writer.drain()
        writer.close()

    def _answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        described = DESCRIBED["paths"].get(path, {}).get(method.lower())
        if described is None:
            return _fault(f"Invalid request method and/or path: {method} {path}.")
        value = json.loads(body) if body else None
        for one in described.get("parameters", ()):
            if one["in"] == "body" and (why := wrong(value, one["schema"])):
                start = "An error occurred when deserializing the json body of a request: "
                return _fault(start + why)
        if why := self._meant(method, path, value):
            return _fault(why)
        self.asked.append((method, path, value))
        if method == "GET":
            about = {"app_name": "Firecracker", "id": "x", "vmm_version": "1.16.1"}
            return 200, {**about, "state": self.state}
        return 204, None

    def _meant(self, method: str, path: str, value: Any) -> str:
        """What it does; why it does not."""
        if method == "GET":
            return ""
        if path == "/vm":
            if self.state == "Not started":
                return BEFORE
            self.state = {"Paused": "Paused", "Resumed": "Running"}[value["state"]]
        elif path == "/snapshot/create":
            if self.state != "Paused":
                return "Cannot create snapshot: the microVM is not paused."
            for key in ("snapshot_path", "mem_file_path"):
                self._inside(value[key]).write_bytes(b"kept")
        elif self.state != "Not started":
            return AFTER
        elif path == "/snapshot/load":
            files = (value["snapshot_path"], value["mem_backend"]["backend_path"])
            if self._set:
                return "Loading a snapshot is not allowed after configuring boot resources."
            if not all(self._inside(name).read_bytes() == b"kept" for name in files):
                return "Load snapshot error: Failed to restore from snapshot"
            self.state = "Paused"
            self._guest("v.sock")
        elif path == "/actions":
            if "/boot-source" not in self._set:
                return "Cannot start microvm without kernel configuration."
            self.state = "Running"
            os.write(self._prints, f"{READY}\n".encode())
        else:
            for key in ("kernel_image_path", "initrd_path"):
                if key in (value or {}) and not self._inside(value[key]).is_file():
                    return f"The {key} cannot be opened: No such file or directory (os error 2)"
            if path == "/vsock":
                self._guest(value["uds_path"].lstrip("/"))
            self._set.add(path)
        return ""

    def _inside(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _guest(self, name: str) -> None:
        async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked = await reader.readline()
            if asked != b"CONNECT %d\n" % CHANNEL_PORT or self.state != "Running":
                writer.close()
                return
            writer.write(b"OK 1073741824\n")
            await writer.drain()
            fd = os.dup(writer.get_extra_info("socket").fileno())
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's has it
            await Channel(Line(fd), Side.GUEST, self._services).run()
            writer.close()

        async def serve() -> None:
            async with await asyncio.start_unix_server(met, self.root / name):
                await asyncio.Event().wait()

        self._tasks.append(asyncio.ensure_future(serve()))


def _fault(why: str) -> tuple[int, dict[str, str]]:
    return 400, {"fault_message": why}


class FakeJailer(Jailer):
    """Makes the same cells, and puts a fake into each."""

    def __init__(self, base: Path, services: dict[str, Path]) -> None:
        super().__init__(base)
        self._services = services
        self.started: list[FakeFirecracker] = []

    def program(self) -> str:
        return "a fake"

    async def start(self, cell: Cell, prints: int, cpu_seconds: int) -> Process:
        self.started.append(FakeFirecracker(cell.root, prints, self._services))
        return self.started[-1]

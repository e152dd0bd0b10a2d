"""A rig for relay tests: raw lines in, raw lines out, and a scripted server behind."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nucleus_proxy.celled import Outside
from nucleus_proxy.live import Live
from nucleus_proxy.relay import Relay
from nucleus_proxy.servers import ServerSpec
from nucleus_proxy.wire import FRAME_BYTES
from tests.proxy import scripted_server
from tests.proxy.stage import Stage, within

TOOLS = ["read", "write", "silent", "die", "fails", "asks", "hostile", "big", "endless"]
POLICY = """
version = 1
[wall]
id = "test"
shows = []
""" + "".join(f'[tools.{name}]\noperation = "read_files"\npayload = ["/x"]\n' for name in TOOLS)


class Rig:
    """The client's end of one relay."""

    def __init__(
        self, stage: Stage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Path
    ) -> None:
        self.stage = stage
        self.reader = reader
        self.writer = writer
        self._seen = seen
        self.log: list[str] = []
        self.unasked: list[Any] = []
        self._settled = 0

    def send(self, value: Any) -> None:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.writer.write(raw + b"\n")

    async def line(self) -> bytes:
        return await within(self.reader.readline())

    async def receive(self) -> Any:
        return json.loads(await self.line())

    async def request(self, frame_id: Any, method: str, params: Any = None) -> Any:
        """Send a request and return its answer; whatever else comes goes to `unasked`."""
        value = {"jsonrpc": "2.0", "id": frame_id, "method": method}
        self.send(value if params is None else {**value, "params": params})
        while True:
            got = await self.receive()
            if got.get("id") == frame_id and "method" not in got:
                return got
            self.unasked.append(got)

    async def call(self, frame_id: Any, tool: str, args: Any = None, **meta: Any) -> Any:
        params: dict[str, Any] = {"name": tool, "arguments": {} if args is None else args}
        if meta:
            params["_meta"] = meta
        return await self.request(frame_id, "tools/call", params)

    async def settle(self) -> None:
        """After this, whatever was forwarded before has reached the server's log."""
        self._settled += 1
        assert "result" in await self.request(f"settle-{self._settled}", "ping")

    def served(self) -> list[Any]:
        """Every line that reached the server, after the one that describes itself."""
        if not self._seen.exists():  # the server has not started to read yet
            return []
        return [json.loads(line) for line in self._seen.read_bytes().splitlines()][1:]

    def server_env(self) -> dict[str, str]:
        env: dict[str, str] = json.loads(self._seen.read_bytes().splitlines()[0])["env"]
        return env

    def calls_served(self) -> list[Any]:
        return [f for f in self.served() if f.get("method") == "tools/call"]


@asynccontextmanager
async def rigged(
    tmp_path: Path,
    stage: Stage,
    *,
    held: str | None,
    tools: Sequence[Any] | None = None,
    env: dict[str, str] | None = None,
    command: Sequence[str] = (),
    **more: Any,
) -> AsyncIterator[Rig]:
    """A relay in front of the scripted server, or of what `command` starts, driven by hand; `more`
    is of its ServerSpec."""
    seen = tmp_path / "seen.jsonl"
    listed = [{"name": name, "inputSchema": {}} for name in TOOLS] if tools is None else tools
    scripted = (sys.executable, scripted_server.__file__, str(seen), json.dumps(listed))
    spec = ServerSpec(tuple(command) or scripted, str(tmp_path), env or {}, **more)
    accepted: asyncio.Queue[Any] = asyncio.Queue()
    path = tmp_path / "rig.sock"
    listener = await asyncio.start_unix_server(
        lambda *pair: accepted.put_nowait(pair), path, limit=FRAME_BYTES + 1
    )
    near = await asyncio.open_unix_connection(path, limit=FRAME_BYTES + 1)
    far = await within(accepted.get())
    rig = Rig(stage, *near, seen)
    live = Live(poll_seconds=0.01)
    relay = Relay(
        reader=far[0],
        writer=far[1],
        starter=Outside(replace(stage.policy, server=spec)),
        live=live,
        mediator=stage.mediator,
        held=held,
        draw=stage.draw,
        log=rig.log.append,
        grace=0.5,
    )
    running = asyncio.create_task(relay.run())
    watch = asyncio.create_task(live.run())
    try:
        yield rig
    finally:
        rig.writer.close()
        await within(running)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        listener.close()

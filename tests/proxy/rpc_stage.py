"""The tools by gRPC at a stage: the real server before the real socket that speaks MCP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio

from nucleus_proxy import serve
from nucleus_proxy.rpc import serving
from nucleus_proxy.rpc import tools_pb2 as pb
from nucleus_proxy.rpc import tools_pb2_grpc as api
from nucleus_proxy.rpc.front import Streams
from nucleus_proxy.wire import ANSWER_BYTES
from nucleus_tokens.chain import UnverifiedToken
from tests.proxy.native_stage import NativeStage
from tests.proxy.stage import within
from tests.support import world

CODE = "nucleus-code"
LARGE = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class Client:
    """A client with the generated stub."""

    def __init__(self, path: Path, channel: grpc.aio.Channel) -> None:
        self.path, self.channel = path, channel
        self.tools: Any = api.ToolsStub(channel)  # type: ignore[no-untyped-call]  # generated

    def call(self, tool: str, args: Any, **rest: Any) -> Any:
        """The RPC of one call. `args` are JSON bytes, or what is spelled so."""
        raw = args if isinstance(args, bytes) else json.dumps(args).encode()
        metadata = rest.pop("metadata", None)
        return self.tools.Call(pb.CallRequest(tool=tool, arguments=raw, **rest), metadata=metadata)

    async def result(self, tool: str, args: Any, **rest: Any) -> pb.Result:
        """What came of it."""
        events: list[pb.CallEvent] = [event async for event in self.call(tool, args, **rest)]
        assert [event.WhichOneof("event") for event in events].count("result") == 1
        return events[-1].result

    async def status(self, tool: str, args: Any, **rest: Any) -> tuple[str, str]:
        """The status and the stable code of a call without a result."""
        return await ended(self.result(tool, args, **rest))


@asynccontextmanager
async def by_hand(client: Client) -> AsyncIterator[Streams]:
    """A connection to the same socket, for whatever one likes to say."""
    reader, writer = await asyncio.open_unix_connection(client.path)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def rest(reader: asyncio.StreamReader, mark: bytes = b"") -> bytes:
    """What is said until the connection ends, or up to a mark."""
    heard = b""
    with contextlib.suppress(ConnectionError):
        while piece := await within(reader.read(65536)):
            heard += piece
            if mark and mark in heard:
                break
    return heard


async def ended(work: Any) -> tuple[str, str]:
    """The status and the stable code that an RPC ended with."""
    try:
        got = await work
    except grpc.aio.AioRpcError as error:
        codes = [str(value) for key, value in error.trailing_metadata() if key == CODE]
        return error.code().name, "".join(codes)
    raise AssertionError(f"it was answered: {got}")


@asynccontextmanager
async def served(stage: NativeStage, token: UnverifiedToken) -> AsyncIterator[Client]:
    """A client of the tools that acts with this token, as the agent behind a wall does."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        service = serve.Service(
            stage.mediator, draw=stage.draw, log=lambda _: None, native=stage.tools,
            held=world.text(token),
        )  # fmt: skip
        async with (
            serve.listening(folder / "tools.sock", service),
            _front(folder) as path,
            grpc.aio.insecure_channel(f"unix:{path}", options=LARGE) as channel,
        ):
            yield Client(path, channel)


@asynccontextmanager
async def _front(folder: Path) -> AsyncIterator[Path]:
    async def reach() -> Streams:
        return await asyncio.open_unix_connection(folder / "tools.sock", limit=ANSWER_BYTES)

    path = folder / "grpc.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))
        listener.listen(16)
        serving_it = asyncio.ensure_future(serving.serve(listener, reach))
        try:
            yield path
        finally:
            serving_it.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving_it

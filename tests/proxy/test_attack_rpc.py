"""A hostile client of gRPC gets what the socket's token gives, and stops nobody but itself."""

from __future__ import annotations

import gzip
import json
import random
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from nucleus_proxy.rpc import tools_pb2 as pb
from nucleus_proxy.rpc.serving import MOST_CALLS, MOST_CONNECTIONS
from nucleus_tokens.chain import UnverifiedToken
from tests.proxy import raw_h2 as h2
from tests.proxy.native_stage import NativeStage
from tests.proxy.rpc_stage import Client, by_hand, ended, rest, served
from tests.proxy.stage import until, within
from tests.support import world

READ = {"path": "a.txt"}
NAMES = ("authorization", "nucleus-credential", "x-nucleus-credential", "nucleus/credential")
NOISE = random.Random(5).randbytes(4096)


@pytest.fixture
def stage(tmp_path: Path) -> NativeStage:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "a.txt").write_text("hello")
    return NativeStage(workspace)


def _reader(stage: NativeStage, *more: Any, **rest: Any) -> UnverifiedToken:
    scope = ["path", "in", [str(stage.workspace)]]
    return stage.token(world.levels(read_files="always"), scope, *more, **rest)


def _request(args: dict[str, Any] | None = None) -> bytes:
    raw = json.dumps(args or READ).encode()
    return pb.CallRequest(tool="fs_read", arguments=raw).SerializeToString()


async def _works(client: Client) -> None:
    assert (await within(client.result("fs_read", READ))).value.text == "hello"


async def test_a_credential_in_metadata_counts_for_nothing(stage: NativeStage) -> None:
    wide = stage.everywhere()
    args = {"path": "a.txt", "content": "taken"}
    async with served(stage, _reader(stage)) as client:
        for name in NAMES[:3]:
            shown = ((name, f"Bearer {stage.sign(wide, 'fs_write', args)}"),)
            result = await within(client.result("fs_write", args, metadata=shown))
            assert result.refused.code == "level.never"
    assert (stage.workspace / "a.txt").read_text() == "hello"
    decided = stage.ledger.records("decision")
    assert {record["facts"]["channel"] for record in decided} == {"held"}


async def test_a_credential_among_the_arguments_is_an_argument(stage: NativeStage) -> None:
    wide = stage.everywhere()
    args = {"path": "a.txt", "content": "taken"}
    shown = {"nucleus/credential": stage.sign(wide, "fs_write", args)}
    async with served(stage, _reader(stage)) as client:
        result = await within(client.result("fs_write", {**args, "_meta": shown}))
        assert result.refused.code == "call.arguments"
        refs = {"/_meta/nucleus~1credential": shown["nucleus/credential"]}
        result = await within(client.result("fs_write", args, references=refs))
        assert result.refused.code == "level.never"
    assert (stage.workspace / "a.txt").read_text() == "hello"


@pytest.mark.parametrize(
    "name",
    [
        'fs_read","arguments":{"path":"a.txt"}}}\n{"jsonrpc":"2.0","id":2,"method":"ping"}',
        "fs_read\r\n",
        "fs_read\0",
        "f" * 300,
        "",
        "\u2028",
    ],
)
async def test_a_name_is_no_second_message(stage: NativeStage, name: str) -> None:
    async with served(stage, stage.everywhere()) as client:
        assert await client.status(name, READ) == ("INVALID_ARGUMENT", "call.params")
    assert not stage.ledger.records()


async def test_nobody_can_speak_of_the_call_of_another(stage: NativeStage) -> None:
    """A call has no name: it is its stream. What others cancel is theirs."""
    token = _reader(stage, obligations=["read_files"])
    async with served(stage, token) as client:
        waits = client.call("fs_read", READ)
        await within(waits.read())
        request = await stage.asked()
        async with by_hand(client) as (reader, writer):
            resets = (h2.reset(number) for number in range(1, 400, 2))
            writer.write(h2.hello() + b"".join(resets))
            writer.write(h2.frame(h2.PING, b"it is so"))
            await rest(reader, b"it is so")
        other = client.call("fs_read", {"path": "b.txt"})
        await within(other.read())
        other.cancel()
        asked = stage.ledger.desk
        await until(lambda: {r.status for r in asked.values()} == {"pending", "withdrawn"})
        assert stage.ledger.status(request.id).status == "pending"
        stage.approve(request)
        last = await within(waits.read())
        while last.WhichOneof("event") == "waiting":
            last = await within(waits.read())
    assert last.result.value.text == "hello"


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xff\xff",
        b"\x0a\x02\xff\xfe",  # a text that is none
        b"\x0a\x05fs",  # cut short
        pb.CallRequest(tool="fs_read").SerializeToString() + b"\x7a\x01x",  # field 15
        b"\x18\x01" + b"\x12\x02{}" + b"\xa2\x06\x04nuc1",
    ],
)
async def test_what_is_no_request_of_this_protocol_is_none(stage: NativeStage, raw: bytes) -> None:
    async with served(stage, stage.everywhere()) as client:
        ask: Any = client.channel.unary_stream(h2.CALL)

        async def asked() -> list[bytes]:
            return [event async for event in ask(raw)]

        assert await ended(asked()) == ("INVALID_ARGUMENT", "call.params")
        await _works(client)


async def test_a_message_that_unfolds_is_refused(stage: NativeStage) -> None:
    """Two kilobytes that would be a megabyte, and more of it is bounded by nothing."""
    bomb = gzip.compress(bytes(1 << 20))
    async with served(stage, stage.everywhere()) as client:
        kind = ((b"grpc-encoding", b"gzip"),)
        head = h2.frame(h2.HEADERS, h2.headers(h2.CALL, *kind), flags=h2.END_HEADERS, stream=1)
        data = h2.message(bomb, compressed=True)
        said = await _said(client, head + h2.frame(h2.DATA, data, flags=h2.END_STREAM, stream=1))
        assert b"grpc-status\x0212" in said, "UNIMPLEMENTED"
        await _works(client)


async def _said(client: Client, data: bytes) -> bytes:
    """What a raw client hears to this, up to a status or the end."""
    async with by_hand(client) as (reader, writer):
        writer.write(h2.hello() + data)
        return await rest(reader, b"grpc-status")


GARBAGE = {
    "noise": NOISE,
    "HTTP/1": b"POST /nucleus.tools.v1.Tools/Call HTTP/1.1\r\nHost: x\r\n\r\n",
    "a preface and noise": h2.PREFACE + NOISE,
    "a giant frame": h2.hello() + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
    "stream 0": h2.hello() + h2.frame(h2.HEADERS, h2.headers(), flags=h2.END_HEADERS),
    "an even stream": h2.hello() + h2.frame(h2.HEADERS, h2.headers(), flags=4, stream=2),
    "a table without end": h2.hello() + h2.frame(h2.HEADERS, b"\xff" * 64, flags=4, stream=1),
    "settings cut short": h2.PREFACE + h2.frame(h2.SETTINGS, b"\0\1"),
    "a window of nothing": h2.hello() + h2.frame(h2.WINDOW, bytes(4)),
    "a window beyond all": h2.hello() + h2.frame(h2.WINDOW, b"\x7f\xff\xff\xff") * 2,
    "continuation of nothing": h2.hello() + h2.frame(h2.CONTINUATION, b"x", stream=1),
}  # fmt: skip


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_reaches_nothing_and_stops_nobody(stage: NativeStage, name: str) -> None:
    async with served(stage, stage.everywhere()) as client:
        await _works(client)
        async with by_hand(client) as (_, writer):
            writer.write(GARBAGE[name])
            await _works(client)
        await _works(client)
    assert len(stage.ledger.records("decision")) == 3


async def test_floods_of_small_frames_stop_nobody(stage: NativeStage) -> None:
    opening = h2.frame(h2.HEADERS, h2.headers(), stream=1)  # and no end of it
    floods = (
        h2.frame(h2.PING, bytes(8)) * 5000,
        h2.frame(h2.SETTINGS) * 5000,
        opening + h2.frame(h2.CONTINUATION, h2.header(b"x", b"y" * 100), stream=1) * 5000,
        h2.frame(h2.HEADERS, h2.headers(), flags=4, stream=1) + h2.frame(h2.DATA, stream=1) * 5000,
    )
    async with served(stage, stage.everywhere()) as client:
        for flood in floods:
            async with by_hand(client) as (_, writer):
                writer.write(h2.hello() + flood)
                await _works(client)
        await _works(client)


async def test_calls_that_are_dropped_at_once_leave_nothing(stage: NativeStage) -> None:
    """Opened and reset, a thousand times: nobody is asked for long, and nothing is held."""
    token = _reader(stage, obligations=["read_files"])
    async with served(stage, token) as client:
        async with by_hand(client) as (reader, writer):
            writer.write(h2.hello())
            for number in range(1, 2001, 2):
                writer.write(h2.call(number, _request()) + h2.reset(number))
            writer.write(h2.frame(h2.PING, b"it is so"))
            await rest(reader, b"it is so")
        desk = stage.ledger.desk
        await until(lambda: all(r.status == "withdrawn" for r in list(desk.values())))
        result = await within(client.result("fs_read", READ, no_wait=True))
        assert result.refused.code == "approval.required"


async def test_calls_beyond_the_bound_of_a_connection_are_refused(stage: NativeStage) -> None:
    """By a client that does not heed what it was told of the bound."""
    token = _reader(stage, obligations=["read_files"])
    async with served(stage, token) as client:
        async with by_hand(client) as (reader, writer):
            writer.write(h2.hello())
            for number in range(1, 4 * MOST_CALLS, 2):
                writer.write(h2.call(number, _request()))
            heard = b""
            while _refused(heard) < MOST_CALLS and (piece := await within(reader.read(65536))):
                heard += piece
            assert _refused(heard) == MOST_CALLS
            assert len(stage.ledger.desk) <= MOST_CALLS
        desk = stage.ledger.desk
        await until(lambda: all(r.status == "withdrawn" for r in list(desk.values())))


def _refused(heard: bytes) -> int:
    return sum(kind == h2.RST for kind, *_ in h2.frames(heard))


async def test_connections_beyond_the_bound_are_sent_away(stage: NativeStage) -> None:
    async with served(stage, stage.everywhere()) as client:
        await _works(client)
        async with AsyncExitStack() as stack:
            held = [
                await stack.enter_async_context(by_hand(client)) for _ in range(MOST_CONNECTIONS)
            ]
            assert await rest(held[-1][0]) == b""
            await _works(client)
        await _works(client)

"""Two ends over a real socket pair: above them everything speaks unix sockets."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from nucleus_vmhost.vm.channel import Channel
from nucleus_vmhost.vm.frames import FRAME, Broken, Kind, Reader, spelled
from nucleus_vmhost.vm.pumps import Line
from nucleus_vmhost.vm.streams import GREETING, MOST, WAITING, WINDOW, Side

HELLO = spelled(Kind.HELLO, 0, GREETING)
LONG = 60


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@contextlib.contextmanager
def listening(channel: Channel, path: Path, service: str) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        channel.listen(server, service)
        try:
            yield
        finally:
            asyncio.get_running_loop().remove_reader(server)


@contextlib.asynccontextmanager
async def joined(folder: Path) -> AsyncIterator[Path]:
    """A service at the host, and the guest's socket that leads to it."""
    near, far = socket.socketpair()
    service, seen = folder / "service", folder / "seen"
    server = await asyncio.start_unix_server(echo, service)
    host = Channel(Line(near.detach()), Side.HOST, {"echo": service})
    guest = Channel(Line(far.detach()), Side.GUEST, {})
    running = [asyncio.create_task(host.run()), asyncio.create_task(guest.run())]
    try:
        with listening(guest, seen, "echo"), listening(guest, folder / "other", "other"):
            yield seen
    finally:
        running[1].cancel()
        await asyncio.wait_for(running[0], LONG)
        await asyncio.gather(*running, return_exceptions=True)
        server.close()


async def said(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)

    async def all_of_it() -> None:
        writer.write(data)
        await writer.drain()
        writer.write_eof()

    sending = asyncio.create_task(all_of_it())
    try:
        return await reader.read(-1)
    finally:
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


@pytest.mark.asyncio
async def test_megabytes_stream_both_ways_on_many_streams_at_once(tmp_path: Path) -> None:
    async with joined(tmp_path) as path:
        sent = [hashlib.sha256(bytes([n])).digest() * 40_000 for n in range(4)]
        got = await asyncio.wait_for(asyncio.gather(*(said(path, one) for one in sent)), LONG)
        assert got == sent


@pytest.mark.asyncio
async def test_streams_that_ended_make_room_for_others(tmp_path: Path) -> None:
    async with joined(tmp_path) as path:
        for n in range(3 * MOST):
            assert await asyncio.wait_for(said(path, b"%d" % n), LONG) == b"%d" % n


@pytest.mark.asyncio
async def test_a_service_the_host_did_not_name_does_not_exist(tmp_path: Path) -> None:
    async with joined(tmp_path) as path:
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(said(tmp_path / "other", b"x"), LONG) == b""
        assert await asyncio.wait_for(said(path, b"still here"), LONG) == b"still here"


@pytest.mark.asyncio
async def test_who_does_not_read_stops_nobody_else(tmp_path: Path) -> None:
    async with joined(tmp_path) as path:
        _, stuck = await asyncio.open_unix_connection(path)
        stuck.write(bytes(8 * 1024 * 1024))
        assert await asyncio.wait_for(said(path, b"passes"), LONG) == b"passes"
        stuck.transport.abort()
        assert await asyncio.wait_for(said(path, b"and after"), LONG) == b"and after"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "of kind 71"),
        (b"\x03\0\0", "cut inside a frame"),
        (spelled(Kind.DATA, 3, b"x"), "never opened"),
    ],
)
async def test_a_hostile_guest_ends_its_channel_and_leaves_no_connection(
    tmp_path: Path, sent: bytes, why: str
) -> None:
    met, left = asyncio.Event(), asyncio.Event()

    async def service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.set()
        with contextlib.suppress(ConnectionError):
            await reader.read(-1)
        writer.close()
        left.set()

    near, far = socket.socketpair()
    server = await asyncio.start_unix_server(service, tmp_path / "service")
    services = {"echo": tmp_path / "service"}
    host = Channel(Line(near.detach()), Side.HOST, services)
    running = asyncio.create_task(host.run())
    far.sendall(HELLO + spelled(Kind.OPEN, 1, b"echo"))
    await asyncio.wait_for(met.wait(), LONG)
    far.sendall(sent)
    far.shutdown(socket.SHUT_WR)
    with pytest.raises(Broken, match=why):
        await asyncio.wait_for(running, LONG)
    await asyncio.wait_for(left.wait(), LONG)
    far.close()
    server.close()


@pytest.mark.asyncio
async def test_a_stream_without_a_window_costs_nothing_while_it_waits(tmp_path: Path) -> None:
    near, far = socket.socketpair()
    far.setblocking(False)
    guest = Channel(Line(near.detach()), Side.GUEST, {})
    running = asyncio.create_task(guest.run())
    with listening(guest, tmp_path / "seen", "echo"):
        _, writer = await asyncio.open_unix_connection(tmp_path / "seen")
        writer.write(bytes(4 * WINDOW))
        loop, got, reader = asyncio.get_running_loop(), 0, Reader()
        while got < WINDOW:
            data = await loop.sock_recv(far, 65536)
            got += sum(len(f.body) for f in reader.frames(data) if f.kind is Kind.DATA)
        turns = 0
        tries = guest._streams.send

        def counted(stream: int, data: bytes) -> int:
            nonlocal turns
            turns += 1
            return tries(stream, data)

        guest._streams.send = counted  # type: ignore[method-assign]
        for _ in range(1000):
            await asyncio.sleep(0)
        assert turns < 10
        writer.transport.abort()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    far.close()


@pytest.mark.asyncio
async def test_a_guest_that_asks_and_does_not_read_is_not_read_from() -> None:
    near, far = socket.socketpair()
    far.setblocking(False)
    host = Channel(Line(near.detach()), Side.HOST, {})
    running = asyncio.create_task(host.run())

    async def flood() -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(far, HELLO)
        for first in itertools.count(1, 8000):
            asked = (spelled(Kind.OPEN, n, b"t") for n in range(first, first + 8000, 2))
            await loop.sock_sendall(far, b"".join(asked))

    async def until_full() -> None:
        while not host._streams.full or not host._out:
            await asyncio.sleep(0)

    flooding = asyncio.create_task(flood())
    await asyncio.wait_for(until_full(), LONG)
    waiting = host._streams.waiting
    for _ in range(50):
        await asyncio.sleep(0)
    assert host._streams.waiting == waiting < WAITING + FRAME
    for task in (flooding, running):
        task.cancel()
    await asyncio.gather(flooding, running, return_exceptions=True)
    far.close()


@pytest.mark.asyncio
async def test_a_channel_that_is_left_goes_on_with_another(tmp_path: Path) -> None:
    near, far = socket.socketpair()
    server = await asyncio.start_unix_server(echo, tmp_path / "service")
    guest = Channel(Line(far.detach()), Side.GUEST, {"echo": tmp_path / "service"})
    running = asyncio.create_task(guest.run())
    line = Line(near.detach())
    for turn in range(3):
        host = Channel(line, Side.HOST, {})
        over = asyncio.create_task(host.run())
        connection = host.connected("echo")
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(connection, b"%d" % turn)
        with pytest.raises(TimeoutError):
            await host.left(0.01)  # a stream lives
        connection.shutdown(socket.SHUT_WR)
        assert await asyncio.wait_for(loop.sock_recv(connection, 10), LONG) == b"%d" % turn
        connection.close()
        line = await host.left(LONG)
        assert line.spoken == 4 + 2 * turn
        await asyncio.wait_for(over, LONG)
        with pytest.raises(ConnectionError):
            host.connected("echo")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    server.close()
    with socket.socket(fileno=line.fd) as last:
        assert last.recv(100) == b"", "nothing was said that nobody heard"


@pytest.mark.asyncio
@pytest.mark.parametrize("said", [spelled(Kind.OPEN, 1, b"tools"), b"\x03\0"])
async def test_a_channel_on_which_the_guest_spoke_first_is_not_left(said: bytes) -> None:
    near, far = socket.socketpair()
    host = Channel(Line(near.detach()), Side.HOST, {})
    over = asyncio.create_task(host.run())
    far.sendall(HELLO + said)
    while not host._streams._greeted:
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await host.left(0.05)
    far.close()
    await asyncio.gather(over, return_exceptions=True)


@pytest.mark.asyncio
async def test_what_is_said_with_a_stream_goes_along_and_the_rest_of_it_when_there_is_room() -> (
    None
):
    near, far = socket.socketpair()
    far.setblocking(False)
    loop, reader = asyncio.get_running_loop(), Reader()
    host = Channel(Line(near.detach()), Side.HOST, {})
    running = asyncio.create_task(host.run())
    with host.connected("echo", b"order"):
        frames = list(reader.frames(await loop.sock_recv(far, 65536)))
    assert [(f.kind, f.body) for f in frames] == [
        (Kind.HELLO, GREETING),
        (Kind.OPEN, b"echo"),
        (Kind.DATA, b"order"),
    ]
    far.send(HELLO)
    with host.connected("echo", bytes(WINDOW + 1)):
        got = 0
        while got < WINDOW + 1:
            heard = list(reader.frames(await asyncio.wait_for(loop.sock_recv(far, 65536), LONG)))
            got += sum(len(f.body) for f in heard if f.kind is Kind.DATA)
            if got == WINDOW:
                stream = frames[1].stream + 2
                far.send(spelled(Kind.CREDIT, stream, (1).to_bytes(4, "big")))
    assert got == WINDOW + 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    far.close()

"""Servers that send too much, too slowly, for ever, packed, or something that is no HTTP."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from dataclasses import replace

import pytest

from nucleus_proxy.egress.fetching import Fetched, Limits
from nucleus_tokens.errors import WorldError
from tests.egress.far import HOST, answer, far, fetch, fetcher

CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"


async def get(port: int, **limits: object) -> Fetched:
    client = fetcher(port)
    client = replace(client, limits=replace(client.limits, **limits))  # type: ignore[arg-type]
    return await fetch(client, f"http://{HOST}:{port}/")


async def test_an_answer_that_says_it_is_too_long() -> None:
    async with far(answer(b"x" * 5000)) as site:
        with pytest.raises(WorldError, match="more than 4000"):
            await get(site.port, answer_bytes=4000)


async def test_an_endless_answer() -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED)
        while True:
            writer.write(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
            sent += 0x8000
            await writer.drain()

    async with far(serve) as site:
        with pytest.raises(WorldError, match="more than 100000"):
            await get(site.port, answer_bytes=100_000)
    assert sent < 64 * 1024 * 1024


async def test_an_endless_head() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-Padding: " + b"y" * 1000 + b"\r\n")
            await writer.drain()

    async with far(serve) as site:
        with pytest.raises(WorldError, match=r"HTTP/1\.1"):
            await get(site.port)


async def test_a_server_that_says_nothing() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with far(serve) as site:
        with pytest.raises(WorldError, match="does not go on"):
            await get(site.port, idle_seconds=0.05)


async def test_a_server_that_drips() -> None:
    """Each byte comes in time; all of them together do not."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED)
        while True:
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0)

    async with far(serve) as site:
        with pytest.raises(WorldError, match=r"too long|more than"):
            await get(site.port, seconds=0.2, answer_bytes=1 << 40)


def bomb(size: int) -> bytes:
    return gzip.compress(b"\0" * size, 9)


async def test_a_gzip_bomb() -> None:
    packed = bomb(200 * 1024 * 1024)
    assert len(packed) < 300_000
    reply = answer(packed, "200 OK", "text/plain", "Content-Encoding: gzip")
    async with far(reply) as site:
        with pytest.raises(WorldError, match="more than"):
            await get(site.port, answer_bytes=1_000_000)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("br", b"xx"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"x", mtime=0), mtime=0)),
        ("deflate", zlib.compress(b"x")),
        ("gzip", b"not gzip"),
        ("gzip", gzip.compress(b"x", mtime=0)[:-4]),
        ("gzip", gzip.compress(b"x", mtime=0) + b"more"),
        ("gzip", gzip.compress(b"x", mtime=0) + gzip.compress(b"y", mtime=0)),
        ("gzip", b""),
    ],
)
async def test_a_packing_that_was_not_asked_for_or_does_not_hold(
    encoding: str, body: bytes
) -> None:
    reply = answer(body, "200 OK", "text/plain", f"Content-Encoding: {encoding}")
    if not body:
        reply = reply.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"
    async with far(reply) as site:
        with pytest.raises(WorldError, match=r"pack|gzip"):
            await get(site.port)


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        CHUNKED + b"zz\r\nhello",
        CHUNKED + b"5\r\nhello",
        b"",
        b"\0" * 100,
    ],
)
async def test_what_is_not_http_is_an_error_and_never_an_answer(reply: bytes) -> None:
    async with far(reply) as site:
        with pytest.raises(WorldError):
            await get(site.port)


async def test_many_small_headers_of_early_hints_end() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while True:
            writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            await writer.drain()

    async with far(serve) as site:
        with pytest.raises(WorldError, match="does not speak"):
            await get(site.port)


def test_the_limits_are_finite() -> None:
    limits = Limits()
    assert limits.answer_bytes < 2**24
    assert limits.seconds <= 60
    assert limits.ports == {80, 443}

"""Requests with two readings: none of them is judged, none of them is sent."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from nucleus_proxy.egress.httpd import HEAD_BYTES
from tests.egress.far import HOST, answer, far, fetcher
from tests.egress.out_stage import OutStage
from tests.proxy.stage import within

A = "GET http://site.test/ HTTP/1.1\r\nHost: site.test\r\n"
P = "POST http://site.test/ HTTP/1.1\r\nHost: site.test\r\n"
BAD = [
    # two lengths
    P + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nXXXX",
    P + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    P + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    P + "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    P + "Content-Length: 4, 4\r\n\r\nabcd",
    P + "Content-Length: +4\r\n\r\nabcd", P + "Content-Length: -1\r\n\r\n",
    P + "Content-Length: 0x4\r\n\r\nabcd", P + "Content-Length: 4 4\r\n\r\nabcd",
    P + "Content-Length:\r\n\r\n", P + "Content-Length: 99999999999999999999\r\n\r\n",
    # codings
    P + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    P + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    P + "Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx",
    P + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    P + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    P + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    P + "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    P + "Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
    P + "Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
    # a second request behind the first
    P + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET http://evil.test/ HTTP/1.1\r\n",
    # hosts
    "GET http://site.test/ HTTP/1.1\r\n\r\n", A + "Host: evil.test\r\n\r\n",
    "GET http://site.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    "GET http://site.test/ HTTP/1.1\r\nHost: site.test:81\r\n\r\n",
    "GET http://site.test/ HTTP/1.1\r\nHost: \r\n\r\n",
    "GET /model/x/v1/models HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: site.test\r\n\r\n",
    # lines
    A + "X: a\r\n b\r\n\r\n", A + "X: a\nY: b\r\n\r\n", A + "X: a\rY: b\r\n\r\n", A + "X\r\n\r\n",
    A + "X: a\0b\r\n\r\n", A + ": b\r\n\r\n", A + "X Y: b\r\n\r\n",
    A.replace("\r\n", "\n") + "\r\n\r\n",
    "GET  http://site.test/ HTTP/1.1\r\nHost: site.test\r\n\r\n",
    "GET http://site.test/ HTTP/1.0\r\nHost: site.test\r\n\r\n",
    "GET http://site.test/ HTTP/2.0\r\nHost: site.test\r\n\r\n",
    "GET http://site.test/\r\nHost: site.test\r\n\r\n", "\r\n" + A + "\r\n",
    "get http://site.test/ HTTP/1.1\r\nHost: site.test\r\n\r\n",
    "GET http://site.test/ x HTTP/1.1\r\nHost: site.test\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    # targets
    "GET http://user@site.test/ HTTP/1.1\r\nHost: site.test\r\n\r\n",
    "GET https://site.test/ HTTP/1.1\r\nHost: site.test\r\n\r\n",
    "GET ftp://site.test/ HTTP/1.1\r\nHost: site.test\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: site.test\r\n\r\n", "TRACE " + A[4:] + "\r\n",
    "GET http://site.test/../x HTTP/1.1\r\nHost: site.test\r\n\r\n",
    "GET site.test HTTP/1.1\r\nHost: site.test\r\n\r\n",
    A + "Nucleus-Credential: a\r\nNucleus-Credential: b\r\n\r\n",
]  # fmt: skip


@pytest.mark.parametrize("raw", BAD)
async def test_it_is_refused_before_anything_is_judged(tmp_path: Path, raw: str) -> None:
    stage = OutStage(tmp_path)
    async with stage.open():
        got = await stage.say(raw.encode("latin-1"))
        assert got.status == 400, got.raw
    assert stage.ledger.lines == []


async def test_a_head_without_an_end(tmp_path: Path) -> None:
    stage = OutStage(tmp_path)
    async with stage.open():
        reader, writer = await stage.connection()
        writer.write(A.encode() + b"X: " + b"y" * (HEAD_BYTES * 3))
        assert b" 400 " in await within(reader.readline())
    assert stage.ledger.lines == []


async def test_a_body_that_does_not_come(tmp_path: Path) -> None:
    stage = OutStage(tmp_path)
    async with stage.open():
        reader, writer = await stage.connection()
        writer.write((P + "Content-Length: 10\r\n\r\nabc").encode())
        writer.write_eof()
        assert b" 400 " in await within(reader.read())
    assert stage.ledger.lines == []


async def test_a_body_that_is_too_long(tmp_path: Path) -> None:
    stage = OutStage(tmp_path, "body_bytes = 1000")
    limits = stage.policy.egress.limits
    stage.outside = replace(stage.outside, fetcher=replace(stage.outside.fetcher, limits=limits))
    async with stage.open():
        got = await stage.say((P + "Content-Length: 2000\r\n\r\n").encode() + b"x" * 2000)
    assert (got.status, b"http.too_large" in got.body) == (400, True)


async def test_what_is_pipelined_is_its_own_request_with_its_own_decision(tmp_path: Path) -> None:
    async with far(answer(b"one")) as site:
        url = f"http://{HOST}:{site.port}/"
        stage = OutStage(tmp_path, client=fetcher(site.port), ceil=([
            "only", {"web_fetch": "always"}], ["arg", "net_fetch", {
                "/url": ["equals", url], "/method": ["any"]}]), gate="evidence")  # fmt: skip
        at = f"{HOST}:{site.port}"
        async with stage.open():
            reader, writer = await stage.connection()
            writer.write(f"GET {url} HTTP/1.1\r\nHost: {at}\r\n\r\n".encode() * 2)
            writer.write(f"GET http://{at}/evil HTTP/1.1\r\nHost: {at}\r\n\r\n".encode())
            for _ in range(2):
                assert b" 200 " in await within(reader.readuntil(b"one"))
            assert b" 403 " in await within(reader.readline())
            await asyncio.sleep(0)
    verdicts = [r["decision"]["verdict"] for r in stage.ledger.records("decision")]
    assert verdicts == ["allow", "allow", "deny"]
    assert len(site.heads) == 2


async def test_a_get_with_a_body_sends_none_on(tmp_path: Path) -> None:
    async with far(answer(b"one")) as site:
        stage = OutStage(tmp_path, client=fetcher(site.port))
        async with stage.open():
            at = f"{HOST}:{site.port}"
            got = await stage.say(
                f"GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\nContent-Length: 3\r\n\r\nabc".encode()
            )
    assert (got.status, site.heads) == (403, [])

"""A trusted sink: one host, the proxy's credential, the listed methods and paths, no way out."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.egress.fake_provider import provider
from tests.egress.far import far
from tests.egress.model_stage import ModelStage, code
from tests.egress.out_stage import KEY
from tests.support import world


async def test_it_carries_the_credential_and_nothing_of_the_agents(tmp_path: Path) -> None:
    async with provider(KEY) as far:
        stage = ModelStage(tmp_path, far)
        async with stage.open():
            own = ["Authorization: Bearer mine", "Cookie: mine", "X-Other: mine"]
            got = await stage.post("/sink/tickets/tickets/7?a=b", b"", *own, method="GET")
    assert json.loads(got.body)["object"] == "list"
    (asked,) = far.asked
    assert asked["path"] == "/api/tickets/7?a=b"
    assert asked["headers"]["authorization"] == f"Bearer {KEY}"
    assert "mine" not in str(asked)
    stage.verified()


async def test_it_is_no_way_out_for_the_gate(tmp_path: Path) -> None:
    """A session with private data and web content asks before a fetch, and not before this."""
    async with provider(KEY) as far:
        stage = ModelStage(tmp_path, far, seen=1, gate="evidence")
        async with stage.open():
            assert (await stage.post("/sink/tickets/tickets", b"", method="GET")).status == 200
    (decision,) = stage.ledger.records("decision")
    assert decision["decision"]["verdict"] == "allow"


async def test_a_host_that_the_issuer_fixed_vouches_for_it(tmp_path: Path) -> None:
    async with provider(KEY) as far:
        host = f"site.test:{far.port}"
        ceil = (world.all_levels("low_risk"), ["host", "in", [host]])
        stage = ModelStage(tmp_path, far, ceil=ceil)
        async with stage.open():
            assert (await stage.post("/sink/tickets/tickets", b"", method="GET")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/tickets", 200), ("POST", "/tickets/1", 200), ("DELETE", "/tickets/1", 403),
        ("GET", "/admin", 403), ("GET", "/", 403), ("GET", "/tickets/../admin", 403),
        ("GET", "/tickets/%2e%2e/admin", 403), ("GET", "/tickets\\..\\admin", 403),
        ("GET", "/tickets/%00", 403), ("GET", "//evil.test/tickets", 403),
        ("GET", "@evil.test/tickets", 400), ("GET", "/ticketsevil", 403),
        ("GET", "/tickets/..;/admin", 403),
    ],
)  # fmt: skip
async def test_listed_methods_and_paths(
    tmp_path: Path, method: str, path: str, status: int
) -> None:
    async with provider(KEY) as far:
        stage = ModelStage(tmp_path, far)
        async with stage.open():
            got = await stage.post("/sink/tickets" + path, b"", method=method)
        assert got.status == status, got.raw
        assert bool(far.asked) is (status == 200)
        if status != 200 and path.startswith("/"):
            assert code(got) in ("route.closed", "net.url")


async def test_its_bytes_are_counted(tmp_path: Path) -> None:
    async with provider(KEY) as far:
        ceil = (world.all_levels(), ["budget", "bytes_out", 60])
        stage = ModelStage(tmp_path, far, ceil=ceil)
        async with stage.open():
            assert (await stage.post("/sink/tickets/tickets", b'{"model":"m"}')).status == 200
            assert code(await stage.post("/sink/tickets/tickets", b"x" * 60)) == "budget.exhausted"


async def test_a_sink_that_drips_is_given_up(tmp_path: Path) -> None:
    """Each byte comes in time; all of them together do not."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0)

    async with far(drip) as site:
        stage = ModelStage(tmp_path, site)
        slow = replace(stage.outside.fetcher.limits, seconds=0.2, answer_bytes=1 << 40)
        stage.outside = replace(stage.outside, fetcher=replace(stage.outside.fetcher, limits=slow))
        async with stage.open():
            got = await stage.post("/sink/tickets/tickets", b"", method="GET")
    assert (got.status, code(got)) == (502, "net.slow")
    assert [each["ok"] for each in stage.outcomes()] == [False]

"""The socket outward: plain requests through it, as unmodified clients make them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from tests.egress.far import HOST, answer, far, fetcher
from tests.egress.out_stage import OutStage
from tests.proxy.stage import until
from tests.support import world


async def test_a_plain_request_is_a_fetch(tmp_path: Path) -> None:
    async with far(answer(b"hello")) as site:
        stage = OutStage(tmp_path, client=fetcher(site.port))
        async with stage.open():
            got = await stage.get(f"http://{HOST}:{site.port}/a?b", "User-Agent: x", "Cookie: y")
    assert (got.status, got.body) == (200, b"hello")
    assert got.headers["content-type"] == "text/plain"
    assert b"cookie" not in site.heads[0].lower()
    (decision,) = stage.ledger.records("decision")
    assert decision["call"]["tool"] == "net_fetch"
    assert [each["ok"] for each in stage.outcomes()] == [True]
    stage.verified()


async def test_a_denial_is_told_in_the_form_that_sdks_read(tmp_path: Path) -> None:
    stage = OutStage(tmp_path, ceil=(world.levels(read_files="always"),))
    async with stage.open():
        got = await stage.get("http://a.test/")
    assert got.status == 403
    error = json.loads(got.body)["error"]
    assert error["code"] == "level.never"
    assert error["nucleus"]["step"] == 9
    assert got.headers["x-should-retry"] == "false"


async def test_several_requests_on_one_connection(tmp_path: Path) -> None:
    async with far(answer(b"hello")) as site:
        vouched = ["arg", "net_fetch", {"/url": ["equals", f"http://{HOST}:{site.port}/"],
                                        "/method": ["any"]}]  # fmt: skip
        ceil = (world.all_levels(), vouched)
        stage = OutStage(tmp_path, client=fetcher(site.port), ceil=ceil, gate="evidence")
        async with stage.open():
            reader, writer = await stage.connection()
            at = f"{HOST}:{site.port}"
            for _ in range(3):
                writer.write(f"GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\n\r\n".encode())
                assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
            writer.close()
    assert len(stage.ledger.records("decision")) == 3


async def test_a_request_that_waits_for_a_person_is_answered_once_approved(tmp_path: Path) -> None:
    async with far(answer(b"hello")) as site:
        stage = OutStage(tmp_path, client=fetcher(site.port), seen=1)
        async with stage.open():
            going = asyncio.ensure_future(stage.get(f"http://{HOST}:{site.port}/"))
            request = await stage.asked()
            assert "gate:exposure" in {name for name, _ in request.obligations}
            assert site.heads == []
            stage.approve(request)
            assert (await going).body == b"hello"


async def test_a_client_that_leaves_withdraws_its_question(tmp_path: Path) -> None:
    async with far(answer(b"hello")) as site:
        stage = OutStage(tmp_path, client=fetcher(site.port), seen=1)
        async with stage.open():
            _, writer = await stage.connection()
            at = f"{HOST}:{site.port}"
            writer.write(f"GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\n\r\n".encode())
            request = await stage.asked()
            writer.close()
            await until(lambda: stage.ledger.desk[request.id].status == "withdrawn")
    assert site.heads == []


async def test_without_a_held_token_each_request_carries_its_credential(tmp_path: Path) -> None:
    async with far(answer(b"hello")) as site:
        stage = OutStage(tmp_path, client=fetcher(site.port))
        stage.outside = replace(stage.outside, held=None)
        url = f"http://{HOST}:{site.port}/"
        async with stage.open():
            bare = await stage.get(url)
            assert json.loads(bare.body)["error"]["code"] == "credential.refused"
            text = stage.sign(stage.held, "net_fetch", {"url": url, "method": "GET"})
            good = await stage.get(url, f"Nucleus-Credential: {text}")
            assert good.body == b"hello"
            again = await stage.get(url, f"Nucleus-Credential: {text}")
            assert json.loads(again.body)["error"]["code"] == "credential.refused"
    assert b"nuc1_" not in site.heads[0]


async def test_what_failed_under_its_permit_is_told_and_on_record(tmp_path: Path) -> None:
    async with far(answer(b"x", "200 OK", "image/png")) as site:
        stage = OutStage(tmp_path, client=fetcher(site.port))
        async with stage.open():
            got = await stage.get(f"http://{HOST}:{site.port}/")
    assert got.status == 502
    assert json.loads(got.body)["error"]["code"] == "net.type"
    assert [each["ok"] for each in stage.outcomes()] == [False]

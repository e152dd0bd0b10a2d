"""kill -9 of the proxy at any point of a metered stream of a model.

What was paid is on record and stays paid; of what the client got, less than one payment's worth of
text is unpaid; the provider heard nothing that was not decided.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nucleus_proxy.egress.model import LONGEST_TOKEN
from nucleus_proxy.egress.reverse import PAY_TEXT
from nucleus_tokens.exposure import PRIVATE_DATA
from tests.algebra.reference import SCALE
from tests.egress.fake_provider import Provider, provider
from tests.egress.model_stage import CHAT, ROUTES
from tests.egress.out_stage import BASE
from tests.kills import host
from tests.kills.killing import ANY
from tests.kills.stage import KILLED, Lives, Place
from tests.proxy.stage import within
from tests.support import world

WORDS = ["word " * 300] * 4  # a payment after each second one
UNDECIDED = (
    "<CachingVerifier.authenticate", "<Judge.consider", ">append_record",
    ">SqlLedger._commit >Batches._commit",
)  # fmt: skip
UNASKED = (
    ">SqlLedger._commit <Batches._commit", ">Meter.hold", ">Permit.use", "<Permit.use",
)  # fmt: skip
PAYING = (">SqlLedger._commit", ">append_record", ">Batches._commit", "<Batches._commit")
ASKED = (
    ">Watch.feed", "<Watch.feed#3", "<Account._pay",
    *(f">Account._pay#{n} {each}" for n in (1, 3) for each in PAYING),
    ">Mediator.outcome", ">Mediator.outcome >append_record", ">Mediator.outcome <append_record",
)  # fmt: skip
STEPS = 7000  # a stream has about so many
ANYWHERE = tuple(f"{ANY}#{n}" for n in range(500, STEPS, STEPS // (3 * SCALE)))


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    made = Lives()
    yield made
    made.close()


async def asked_for(folder: Path) -> bytes:
    """What a client gets of a streamed answer until the connection ends, or the answer does."""
    reader, writer = await asyncio.open_unix_connection(folder / "s")
    body = json.dumps({**CHAT, "stream": True}).encode()
    writer.write(
        b"POST /model/openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        b"Connection: close\r\n" + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    )
    got = b""
    try:
        while piece := await within(reader.read(65536)):
            got += piece
    except ConnectionError:
        pass
    writer.close()
    return got


def charged(place: Place) -> dict[str, int]:
    charges = [r["charge"] for r in place.records("charge")]
    return {unit: sum(each.get(unit, 0) for each in charges) for unit in ("tokens", "micro_usd")}


def spent(place: Place) -> dict[str, int]:
    return {unit: place.spent(unit) for unit in ("tokens", "micro_usd")}


@pytest.mark.parametrize("point", [*UNDECIDED, *UNASKED, *ASKED, *ANYWHERE])
async def test_killed_in_a_stream(lives: Lives, tmp_path: Path, point: str) -> None:
    async with provider(host.SECRET, words=list(WORDS)) as far:
        with Place(
            tmp_path, _policy(far), world.levels(read_files="always"),
            ["budget", "tokens", 9000], ["budget", "micro_usd", 10**6],
        ) as place:  # fmt: skip
            place.store.open_cell(place.tree, PRIVATE_DATA)
            given = {"folder": str(tmp_path), "port": far.port, "held": world.text(place.token)}
            lives.begin(**given, point=f">CachingVerifier.authenticate {point}")
            got = await asked_for(tmp_path)
            assert lives.ended() == KILLED, "the point was not met"
            decided = len(place.allowed())
            assert len(far.asked) <= decided <= 1, "the provider heard what nobody decided"
            if point in UNDECIDED:
                assert decided == 0
            elif point in (*UNASKED, *ASKED):
                assert decided == 1
                assert (point in ASKED) == len(far.asked)
            paid = spent(place)
            assert paid == charged(place), "spent as it is on record, and nothing besides"
            text = got.count(b"word ") * len("word ")
            assert text < paid["tokens"] * LONGEST_TOKEN + PAY_TEXT, "more was had than paid"

            lives.begin(**given)
            assert b"[DONE]" in await asked_for(tmp_path)
            lives.end()
            assert paid["tokens"] < spent(place)["tokens"], "what was paid stays paid"
            assert spent(place) == charged(place)
            assert len(place.allowed()) == decided + 1
            assert place.seen() & PRIVATE_DATA
            place.verified()


def _policy(far: Provider) -> str:
    routes = ROUTES.replace("{port}", str(far.port)).replace("{operation}", "read_files")
    return BASE.replace("{egress}", routes).replace("{gate}", "")

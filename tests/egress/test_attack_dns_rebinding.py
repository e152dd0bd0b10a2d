"""A name whose address changes between the look and the use: there is one look, and it is used."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nucleus_proxy.egress.dial import Dialer, Private
from nucleus_proxy.egress.resolving import PinnedResolver
from nucleus_tokens.errors import CredentialError, WorldError
from tests.egress.far import NOWHERE, answer, far, fetch, fetcher
from tests.proxy.stage import within


class Flipping:
    """A resolver that answers differently every time, as a rebinding server does (a fake)."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def addresses(self, host: str) -> Sequence[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


async def test_a_name_is_looked_up_once_and_the_socket_goes_where_that_said() -> None:
    async with far(answer(b"right")) as right, far(answer(b"wrong")) as wrong:
        names = Flipping(["127.0.0.1"], ["127.0.0.9"])
        client = fetcher(
            right.port, wrong.port, names=names,
            private=[Private("a.test", right.port, "127.0.0.1")],
        )  # fmt: skip
        got = await fetch(client, f"http://a.test:{right.port}/")
    assert (got.body, names.asked) == (b"right", 1)
    assert wrong.heads == []


async def test_the_second_answer_is_judged_like_the_first() -> None:
    async with far(answer()) as inside:
        names = Flipping(["127.0.0.1"], ["127.0.0.2"])
        client = fetcher(
            inside.port, names=names, private=[Private("a.test", inside.port, "127.0.0.1")]
        )
        assert (await fetch(client, f"http://a.test:{inside.port}/")).status == 200
        with pytest.raises(CredentialError, match="loopback"):
            await fetch(client, f"http://a.test:{inside.port}/")


async def test_a_dialled_connection_leads_to_the_judged_number() -> None:
    async with far(answer()) as site:
        names = Flipping(["127.0.0.1"])
        dialer = Dialer(
            resolver=names, tls=NOWHERE, private=[Private("a.test", site.port, "127.0.0.1")]
        )
        connection = await within(dialer.dial("a.test", site.port, tls=False))
        peer = connection.writer.get_extra_info("peername")
        assert peer == (connection.address, site.port) == ("127.0.0.1", site.port)
        connection.abort()


async def test_a_pinned_name_is_asked_of_nobody() -> None:
    names = Flipping(["10.0.0.1"])
    pinned = PinnedResolver({"a.test": ["93.184.215.14"]}, otherwise=names)
    assert await pinned.addresses("a.test") == ("93.184.215.14",)
    assert names.asked == 0
    assert await pinned.addresses("b.test") == ["10.0.0.1"]
    with pytest.raises(WorldError, match="no address"):
        await PinnedResolver({}).addresses("b.test")

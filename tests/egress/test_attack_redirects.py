"""A redirect is a suggestion: it is not followed, and where it leads is judged as another call."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus_proxy.effects import net
from nucleus_proxy.egress.dial import Private
from nucleus_proxy.egress.fetching import Fetcher
from nucleus_tokens.errors import WorldError
from tests.egress.far import HOST, answer, far, fetch, fetcher
from tests.proxy.native_stage import POLICY, NativeStage
from tests.support import world


def moved(to: str, status: str = "302 Found") -> bytes:
    return answer(b"", status, "text/html", f"Location: {to}")


async def test_a_redirect_is_told_and_not_followed() -> None:
    async with far(answer()) as inside, far(moved(f"http://127.0.0.1:{inside.port}/")) as site:
        got = await fetch(fetcher(site.port, inside.port), f"http://{HOST}:{site.port}/a")
        assert (got.status, got.redirect) == (302, f"http://127.0.0.1:{inside.port}/")
        assert (got.body, inside.heads) == (b"", [])


@pytest.mark.parametrize(
    "to",
    ["file:///etc/passwd", "http://user@evil.test/", "http://0x7f000001/", "gopher://x/", "",
     "http://evil.test/\\..", "//[::ffff:1.2.3.4]/", "http://a b/"],
)  # fmt: skip
async def test_a_redirect_to_no_good_url_is_an_error(to: str) -> None:
    async with far(moved(to)) as site:
        with pytest.raises(WorldError, match="points to no URL"):
            await fetch(fetcher(site.port), f"http://{HOST}:{site.port}/a")


async def test_two_locations_are_none() -> None:
    two = answer(b"", "302 Found", "text/html", "Location: /a", "Location: /b")
    async with far(two) as site:
        with pytest.raises(WorldError, match="points to no URL"):
            await fetch(fetcher(site.port), f"http://{HOST}:{site.port}/a")


# After the first page the session holds web content, and the next request is asked about: here
# the issuer vouches for each address instead of a person.
VOUCHED = POLICY.replace("version = 1", 'version = 1\ngate = "evidence"')
MOST_HOPS = 6


async def followed(
    workspace: Path, client: Fetcher, *urls: str, ceil: tuple[list[object], ...] = ()
) -> tuple[str, NativeStage]:
    """What a client does that follows redirects: each hop is another call. The last code."""
    stage = NativeStage(workspace, tools=net.tools(client), text=VOUCHED)
    vouched: list[object] = ["arg", "net_fetch", {"/url": ["one-of", list(urls)]}]
    token = stage.token(world.all_levels(), vouched, *ceil)
    url: str | None = urls[0]
    for _ in range(MOST_HOPS):
        args = {"url": url}
        code = await stage.code(token, "net_fetch", args)
        if code != "ok":
            return code, stage
        url = (await stage.use(token, "net_fetch", args)).structured["redirect"]
        if url is None:
            return "ok", stage
    return "too many", stage


async def test_each_hop_is_a_decision_of_its_own(tmp_path: Path) -> None:
    async with far(answer(b"end")) as last, far(moved(f"http://{HOST}:{last.port}/b")) as first:
        client = fetcher(first.port, last.port)
        urls = [f"http://{HOST}:{first.port}/a", f"http://{HOST}:{last.port}/b"]
        code, stage = await followed(tmp_path, client, *urls)
    assert code == "ok"
    tools = [entry["call"]["tool"] for entry in stage.ledger.records("decision")]
    assert tools == ["net_fetch"] * 4
    stage.verified()


async def test_a_redirect_out_of_the_scope_is_denied(tmp_path: Path) -> None:
    async with far(answer(b"secret")) as last, far(moved(f"http://b.test:{last.port}/")) as first:
        both = {HOST: ["127.0.0.1"], "b.test": ["127.0.0.1"]}
        client = fetcher(
            first.port, last.port, names=both,
            private=[Private(HOST, first.port, "127.0.0.1"),
                     Private("b.test", last.port, "127.0.0.1")],
        )  # fmt: skip
        code, _ = await followed(
            tmp_path, client, f"http://{HOST}:{first.port}/", f"http://b.test:{last.port}/",
            ceil=(["host", "in", [f"{HOST}:{first.port}"]],),
        )  # fmt: skip
        assert (code, last.heads) == ("scope.outside", [])


async def test_a_redirect_to_a_private_address_reaches_nothing(tmp_path: Path) -> None:
    async with (
        far(answer(b"meta")) as inside,
        far(moved(f"http://127.0.0.1:{inside.port}/")) as out,
    ):
        urls = [f"http://{HOST}:{out.port}/", f"http://127.0.0.1:{inside.port}/"]
        code, _ = await followed(tmp_path, fetcher(out.port, inside.port), *urls)
        assert (code, inside.heads) == ("net.address", [])


async def test_where_a_page_points_is_asked_about(tmp_path: Path) -> None:
    """Nobody vouches for an address that a web page gave: a person answers, or nothing is sent."""
    async with far(answer(b"end")) as last, far(moved(f"http://{HOST}:{last.port}/b")) as first:
        stage = NativeStage(tmp_path, tools=net.tools(fetcher(first.port, last.port)))
        token = stage.token()
        got = await stage.use(token, "net_fetch", {"url": f"http://{HOST}:{first.port}/a"})
        owed = await stage.owed(token, "net_fetch", {"url": got.structured["redirect"]})
        assert "flow:web_to_exfil" in owed
        assert last.heads == []


async def test_a_loop_costs_one_call_a_round_and_ends_with_its_budget(tmp_path: Path) -> None:
    async with far(moved("/again")) as site:
        url = f"http://{HOST}:{site.port}/again"
        code, _ = await followed(tmp_path, fetcher(site.port), url, ceil=(["budget", "calls", 4],))
        assert code == "budget.exhausted"
        assert len(site.heads) == 4

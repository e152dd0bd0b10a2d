"""The two tools of the network as the agent meets them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_proxy.effects import net
from nucleus_proxy.egress import fetching
from nucleus_proxy.egress.fetching import Hit
from nucleus_tokens import labelling
from nucleus_tokens.errors import CredentialError
from tests.egress.far import HOST, answer, far, fetcher
from tests.egress.laws import LAW
from tests.proxy.native_stage import NativeStage
from tests.support import world


class Index:
    """A search provider that answers from a list (a fake: there is no real one to be had here)."""

    host = "search.test"
    trusted_sink = False

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def search(self, query: str, most: int) -> tuple[Hit, ...]:
        self.asked.append(query)
        return tuple(Hit(f"t{i}", f"https://{i}.test/", query) for i in range(most + 5))


async def test_a_page_as_the_agent_gets_it(tmp_path: Path) -> None:
    async with far(answer(b"hello")) as site, far(answer(b"\xff\xfe")) as odd:
        stage = NativeStage(tmp_path, tools=net.tools(fetcher(site.port, odd.port)))
        url = f"http://{HOST}:{site.port}/"
        got = await stage.use(stage.token(), "net_fetch", {"url": url})
        assert (got.text, got.label, got.ok) == ("hello", labelling.WEB_CONTENT, True)
        assert got.structured == {
            "url": url, "status": 200, "headers": {"content-type": "text/plain"},
            "redirect": None, "text": "hello",
        }  # fmt: skip
        other = NativeStage(tmp_path, tools=net.tools(fetcher(odd.port)))
        raw = await other.use(other.token(), "net_fetch", {"url": f"http://{HOST}:{odd.port}/"})
        assert raw.structured["base64"] == "//4="


async def test_what_no_decision_could_allow_is_refused_before_one(tmp_path: Path) -> None:
    stage = NativeStage(tmp_path, tools=net.tools(fetcher()))
    token = stage.token()
    for args, code in (
        ({"url": "http://user@a.test/"}, "net.url"),
        ({"url": "http://a.test:22/"}, "net.port"),
        ({"url": "http://a.test/", "method": "POST"}, "net.method"),
        ({"url": "http://a.test/", "method": "BREW"}, "net.method"),
        ({"url": "http://a.test/", "body": "x"}, "net.arguments"),
        ({"url": "http://a.test/", "accept": "a\r\nCookie: x"}, "net.arguments"),
        ({"url": "http://a.test/", "headers": {}}, "call.arguments"),
    ):
        assert await stage.code(token, "net_fetch", args) == code


@LAW
@given(
    st.fixed_dictionaries(
        {"url": st.just("http://a.test/x")},
        optional={
            "method": st.sampled_from(sorted(fetching.METHODS)),
            "accept": st.sampled_from(["*/*", "text/html", "application/json"]),
            "body": st.sampled_from(["", "x"]),
            "content_type": st.sampled_from(["application/octet-stream", "text/plain"]),
        },
    )
)
def test_a_default_says_what_is_said_by_leaving_it_out(args: dict[str, str]) -> None:
    """The same fetch, so the same bytes on their way: that is why it is no payload (ADR 0040)."""
    binding = net.tools(fetcher())["net_fetch"].binding
    assert binding.defaults.keys() <= binding.payload
    short = {k: v for k, v in args.items() if binding.defaults.get(f"/{k}") != v}
    try:
        order = fetching.read(args, fetching.Limits())
    except CredentialError:
        with pytest.raises(CredentialError):
            fetching.read(short, fetching.Limits())
    else:
        assert fetching.read(short, fetching.Limits()) == order


async def test_bytes_that_leave_are_priced(tmp_path: Path) -> None:
    async with far(answer()) as site:
        stage = NativeStage(tmp_path, tools=net.tools(fetcher(site.port)))
        url = f"http://{HOST}:{site.port}/"
        token = stage.token(world.all_levels(), ["budget", "bytes_out", len(url)])
        assert await stage.code(token, "net_fetch", {"url": url + "x"}) == "budget.exhausted"
        assert await stage.code(token, "net_fetch", {"url": url}) == "ok"


async def test_a_search_goes_to_its_provider_and_nowhere_else(tmp_path: Path) -> None:
    index = Index()
    stage = NativeStage(tmp_path, tools=net.tools(fetcher(), index))
    narrow = stage.token(world.all_levels(), ["host", "in", ["other.test"]])
    assert await stage.code(narrow, "net_search", {"query": "x"}) == "scope.outside"
    got = await stage.use(stage.token(), "net_search", {"query": "cats"})
    assert index.asked == ["cats"]
    assert len(got.structured["hits"]) == net.MOST_HITS
    assert got.label == labelling.WEB_CONTENT


async def test_without_a_provider_there_is_no_search(tmp_path: Path) -> None:
    stage = NativeStage(tmp_path, tools=net.tools(fetcher()))
    code = await stage.code(stage.token(), "net_search", {"query": "x"})
    assert code == "net.no_search_provider"

"""A search goes where the operator said with the proxy's credential, and comes back as the web's
word: a policy file, a real HTTP server, and the tool as the agent meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus_proxy import policy
from nucleus_proxy.effects import net
from nucleus_proxy.egress import compose
from nucleus_proxy.egress.resolving import PinnedResolver
from nucleus_proxy.egress.search import HttpSearch
from nucleus_tokens import labelling
from nucleus_tokens.errors import CallerError
from nucleus_tokens.exposure import EXFIL_VECTOR, NOTHING, PRIVATE_DATA, UNTRUSTED_CONTENT
from tests.egress.fake_search import KEY, POLICY, Index, index, told
from tests.egress.far import answer
from tests.house.source import ROOT
from tests.proxy.native_stage import NativeStage
from tests.support import internet


def stage(folder: Path, far: Index, more: str = "", **limits: int) -> NativeStage:
    """The tool as the policy file composes it."""
    key = folder / "search.key"
    key.write_text(KEY)
    key.chmod(0o600)
    text = POLICY.replace("{port}", str(far.port)).replace("[search]", "[search]\n" + more)
    for name, value in limits.items():
        text = text.replace("[egress]", f"[egress]\n{name} = {value}")
    made = policy.parse(b"version = 1\n" + text.encode(), base=folder)
    assert made.search is not None
    roots, _, _ = internet.make_authority(folder, ["search.test"])
    client = compose.fetcher(made.egress, resolver=PinnedResolver({}), roots=roots)
    secret = compose.secrets(made.egress)[made.search.secret]
    provider = HttpSearch(made.search, client.dialer, made.egress.limits, secret)
    return NativeStage(folder, tools=net.tools(client, provider))


async def test_a_query_leaves_with_the_proxys_credential_and_hits_come_back(tmp_path: Path) -> None:
    async with index() as far:
        at = stage(tmp_path, far)
        got = await at.use(at.token(), "net_search", {"query": "a&limit=9 b/ü?"})
    assert far.asked == [{"term": ["a&limit=9 b/ü?"], "limit": ["20"]}]
    assert far.heads[0]["x-search-key"] == KEY
    assert far.heads[0]["host"] == f"search.test:{far.port}"
    hits = got.structured["hits"]
    assert len(hits) == net.MOST_HITS
    assert hits[0] == {"title": "a&limit=9 b/ü? 0", "url": "https://0.test/",
                       "text": "about a&limit=9 b/ü? "}  # fmt: skip
    assert got.label == labelling.WEB_CONTENT


@pytest.mark.parametrize("trusted", [False, True])
async def test_what_a_search_makes_of_a_session(tmp_path: Path, trusted: bool) -> None:
    """It records untrusted content; a query is a way out, unless the operator trusts its reader."""
    async with index() as far:
        at = stage(tmp_path, far, "trusted_sink = true" if trusted else "")
        row = at.tools["net_search"]
        bound = row.bind({"query": "x"}, str(tmp_path))
        assert bound.records == UNTRUSTED_CONTENT
        assert bound.projects == UNTRUSTED_CONTENT | (NOTHING if trusted else EXFIL_VECTOR)
        token = at.token(seen=PRIVATE_DATA)
        if trusted:
            assert await at.code(token, "net_search", {"query": "x"}) == "ok"
            assert at.ledger.cells[at.mediator.wall].bits & UNTRUSTED_CONTENT
        else:
            assert "gate:exposure" in await at.owed(token, "net_search", {"query": "x"})
            assert far.asked == []


async def test_a_provider_that_echoes_its_credential_tells_it_to_nobody(tmp_path: Path) -> None:
    async with index() as far:
        far.echo = True
        at = stage(tmp_path, far)
        got = await at.use(at.token(), "net_search", {"query": "x"})
    assert KEY not in repr(got)
    assert "secret removed" in got.structured["hits"][0]["text"]


REDIRECT = b"HTTP/1.1 302 Go\r\nLocation: http://elsewhere.test/\r\nContent-Length: 0\r\n\r\n"
HOSTILE = [
    (REDIRECT, "net.search"),
    (answer(b"{}", "500 No", "application/json"), "net.search"),
    (answer(b"<html>", kind="text/html"), "net.type"),
    (answer(b"{", kind="application/json"), "net.search"),
    (answer(b"[" * 5000, kind="application/json"), "net.search"),
    (told({}), "net.search"),
    (told({"web": {"results": {}}}), "net.search"),
    (answer(b" " * 5000, kind="application/json"), "net.too_large"),
    (b"nonsense\r\n\r\n", "net.protocol"),
]  # fmt: skip


@pytest.mark.parametrize(("says", "code"), HOSTILE)
async def test_a_hostile_answer_is_an_error(tmp_path: Path, says: bytes, code: str) -> None:
    most = 100_000 if b"[[" in says else 4000
    async with index() as far:
        far.says = says
        at = stage(tmp_path, far, answer_bytes=most)
        assert await at.code(at.token(), "net_search", {"query": "x"}) == code


async def test_odd_hits_are_left_out_or_cut(tmp_path: Path) -> None:
    rows = [None, 1, {}, {"link": 5}, {"link": "https://a.test/" + "a" * 5000, "name": ["x"]}]
    async with index() as far:
        far.says = told({"web": {"results": rows}})
        at = stage(tmp_path, far)
        (hit,) = (await at.use(at.token(), "net_search", {"query": "x"})).structured["hits"]
    assert (hit["title"], hit["text"], len(hit["url"])) == ("", "", 2048)


async def test_a_query_has_a_bound_and_a_host(tmp_path: Path) -> None:
    async with index() as far:
        for query in ("", "x" * 1025):
            at = stage(tmp_path, far)
            assert await at.code(at.token(), "net_search", {"query": query}) == "net.query"
        elsewhere = at.token(["only", {"web_search": "always"}], ["host", "in", ["other.test"]])
        assert await at.code(elsewhere, "net_search", {"query": "x"}) == "scope.outside"
    assert far.asked == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("http://search.test:9/v1/web", "http://other.test:9/v1/web"),
        ("http://search.test:9/v1/web", "ftp://search.test/"),
        ("http://search.test:9/v1/web", "https://search.test/?q=1"),
        ('secret = "search"', 'secret = "another"'),
        ('secret = "search"', ""),
        ('header = "x-search-key: {}"', 'header = "host: {}"'),
        ('query = "term"', 'query = "a&b"'),
        ('query = "term"', 'key = "inline"'),
        ('title = "/name"', 'title = "name"'),
        ('title = "/name"', 'other = "/name"'),
        ('count = "limit"', 'trusted_sink = "yes"'),
    ],
)
def test_one_mistake_refuses_the_file(tmp_path: Path, old: str, new: str) -> None:
    text = "version = 1\n" + POLICY.replace("{port}", "9")
    policy.parse(text.encode(), base=tmp_path)
    assert old in text
    with pytest.raises(CallerError, match=r"policy\."):
        policy.parse(text.replace(old, new).encode(), base=tmp_path)


def test_the_example_of_the_documentation_is_a_policy() -> None:
    page = (ROOT / "docs" / "spec" / "policy.md").read_text()
    example = page.split("## `search`")[1].split("```toml\n")[1].split("```")[0]
    made = policy.parse(b"version = 1\n" + example.encode(), base=Path("/etc")).search
    assert made is not None
    assert made.hits == "/web/results"

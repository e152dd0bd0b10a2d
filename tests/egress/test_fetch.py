"""A fetch: what is sent, what comes back, and how it is bound to its permit."""

from __future__ import annotations

import gzip

import pytest

from nucleus_proxy.effects import net
from nucleus_proxy.egress.fetching import check_type
from nucleus_tokens import labelling
from nucleus_tokens.errors import CallerError, CredentialError, WorldError
from tests.egress.far import HOST, POLICY, answer, far, fetch, fetcher
from tests.proxy.stage import Stage, granted
from tests.support import world


async def test_a_page_comes_back_with_the_label_of_web_content() -> None:
    async with far(answer(b"hello", "200 OK", "text/plain", "Set-Cookie: a=b")) as site:
        got = await fetch(fetcher(site.port), f"http://{HOST}:{site.port}/a?b=c#part")
    assert (got.status, got.body, got.redirect) == (200, b"hello", None)
    assert got.url == f"http://{HOST}:{site.port}/a?b=c"
    assert got.headers == {"content-type": "text/plain"}
    assert (got.label, got.ttl) == (labelling.WEB_CONTENT, 3600)


async def test_what_is_sent_is_this_and_nothing_of_the_agent() -> None:
    async with far(answer()) as site:
        await fetch(fetcher(site.port), f"HTTP://Site.TEST:{site.port}")
    head = (
        f"get / http/1.1\r\nhost: {HOST}:{site.port}\r\naccept: */*\r\naccept-encoding: gzip\r\n"
        f"user-agent: nucleus\r\nconnection: close\r\n\r\n"
    )
    assert [sent.lower() for sent in site.heads] == [head.encode()]


async def test_a_packed_answer_is_unpacked() -> None:
    packed = gzip.compress(b"x" * 300_000)
    reply = answer(packed, "200 OK", "text/plain", "Content-Encoding: gzip")
    async with far(reply) as site:
        got = await fetch(fetcher(site.port), f"http://{HOST}:{site.port}/")
    assert got.body == b"x" * 300_000


async def test_head_has_no_body_and_other_methods_need_the_policy() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\n"
    async with far(head) as site:
        url = f"http://{HOST}:{site.port}/"
        assert (await fetch(fetcher(site.port), url, method="HEAD")).body == b""
        with pytest.raises(CredentialError, match="POST is not open"):
            await fetch(fetcher(site.port), url, method="POST", body="x")
    async with far(answer()) as site:
        allowed = {f"{HOST}:{site.port}": frozenset(("POST",))}
        client = fetcher(site.port, methods=allowed)
        got = await fetch(client, f"http://{HOST}:{site.port}/", method="POST", body="x")
    assert got.body == b"hello"
    assert site.heads[0].startswith(b"POST / ")
    assert b"content-length: 1" in site.heads[0].lower()


async def test_a_fetch_needs_its_own_permit() -> None:
    stage = Stage(POLICY)
    async with far(answer()) as site:
        client = fetcher(site.port)
        url = f"http://{HOST}:{site.port}/"
        mine = granted(await stage.call(stage.token(), "net_fetch", {"url": url}))
        same = dict(mine.call.args)
        with pytest.raises(CallerError, match="not the call"):
            await net.fetch(mine.permit, mine.call, "wall:test", client, same)
        with pytest.raises(CallerError, match="another call"):
            await net.fetch(mine.permit, mine.call, "wall:other", client, mine.call.args)
        with pytest.raises(CallerError, match="already"):
            await net.fetch(mine.permit, mine.call, "wall:test", client, mine.call.args)
    assert site.heads == []


async def test_the_host_that_was_judged_is_the_host_that_is_asked() -> None:
    stage = Stage(POLICY)
    mine = granted(await stage.call(stage.token(), "net_fetch", {"url": "http://a.test/"}))
    mine.call.args["url"] = "http://b.test/"
    with pytest.raises(CallerError):
        await net.fetch(mine.permit, mine.call, "wall:test", fetcher(), mine.call.args)


async def test_scopes_and_levels_hold_for_a_fetch() -> None:
    stage = Stage(POLICY)
    token = stage.token(world.levels(web_fetch="always"), ["host", "in", ["a.test"]])
    granted(await stage.call(token, "net_fetch", {"url": "https://a.test/x"}))
    for url in ("https://b.test/", "https://a.test.b.test/", "https://a.test@b.test/"):
        done = await stage.call(token, "net_fetch", {"url": url})
        assert done.code.startswith("scope."), done  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        ("text/html; charset=utf-8", True),
        ("TEXT/Plain", True),
        ("application/ld+json", True),
        ("application/json", True),
        ("application/octet-stream", False),
        ("image/png", False),
        ("text", False),
        ("", False),
    ],
)
def test_media_types(kind: str, taken: bool) -> None:
    allowed = ("text/*", "application/json", "application/*+json")
    if taken:
        check_type(kind, allowed)
    else:
        with pytest.raises(WorldError):
            check_type(kind, allowed)


async def test_without_a_provider_a_search_says_so() -> None:
    stage = Stage(POLICY)
    mine = granted(await stage.call(stage.token(), "net_fetch", {"url": "http://a.test/"}))
    with pytest.raises(CallerError, match="no search provider"):
        await net.search(mine.permit, mine.call, "wall:test", None, mine.call.args)

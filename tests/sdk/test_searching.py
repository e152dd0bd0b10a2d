"""A session searches: a person is asked where the query goes, the proxy goes there with its own
credential, and neither the program nor the trace learns it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nucleus import ApprovalRequired, PolicyDenied, approve
from nucleus.approver import Approve
from nucleus.tools import net
from tests.cli.command import Desk
from tests.egress.fake_search import KEY, POLICY, Index, index
from tests.sdk.stage import serving
from tests.sdk.test_approvals import answered_by


async def test_a_search_is_asked_about_and_found(host: Desk, tmp_path: Path) -> None:
    host.file("search.key", KEY)
    async with index() as far:
        await asyncio.to_thread(searched, host, tmp_path, far)


def searched(host: Desk, folder: Path, far: Index) -> None:
    text = "version = 1\n" + POLICY.replace("{port}", str(far.port))
    words = ("--profile", "research-web", "--policy", host.file("search.toml", text))
    with serving(host, folder, *words) as made, made.session() as s:
        with pytest.raises(ApprovalRequired):
            net.search("the weather")
        with answered_by(host, lambda _: Approve()) as asked:
            found = approve("search", net.search, "the weather")
        assert asked[0].operation == "web_search"
        assert far.asked == [{"term": ["the weather"], "limit": ["20"]}]
        assert far.heads[0]["x-search-key"] == KEY
        assert found["hits"][0]["title"] == "the weather 0"
        assert "untrusted_content" in s.exposure
        s.attenuate(["host", "in", ["elsewhere.test"]])
        with pytest.raises(PolicyDenied, match=r"scope\.outside"):
            net.search("again")
        assert KEY not in s.trace.export_jsonl() + repr(found)
        said = str(made.trace())
    assert KEY not in said + "".join(host.printed)
    assert len(far.asked) == 1

"""A tool is shown iff no refusal of it is certain."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_proxy import binding, listing
from nucleus_proxy.answers import Presented, Refusal
from nucleus_proxy.binding import Hints
from nucleus_tokens import names
from nucleus_verifier import gather
from nucleus_verifier.clear import clear
from nucleus_verifier.decision import Deny
from tests.proxy.stage import Stage, granted, refused, within
from tests.support import world

READ = {"path": "/srv/a.txt"}
PUSH = {"remote": "git.example.org", "branch": "main", "repo": "/srv"}


async def _list(stage: Stage, text: str) -> frozenset[str] | Refusal:
    return await within(stage.mediator.list_tools(Presented(text, "carried"), {}))


async def test_a_list_shows_what_its_token_may_ever_do() -> None:
    stage = Stage()
    token = stage.token(world.levels(read_files="always", write_files="low_risk"))
    assert await _list(stage, stage.sign(token, "tools/list", {})) == frozenset(("read", "write"))
    narrow = world.narrow(token, ["tool", "in", ["re*"]])
    assert await _list(stage, stage.sign(narrow, "tools/list", {})) == frozenset(("read",))
    assert [r["shown"] for r in stage.ledger.records("list")] == [["read", "write"], ["read"]]


async def test_a_list_needs_its_own_credential_and_uses_it_up() -> None:
    stage = Stage()
    token = stage.token()
    assert refused(await _list(stage, stage.sign(token, "read", {}))) == "credential.refused"
    assert refused(await _list(stage, stage.sign(token, "tools/list", {"cursor": "x"}))) == (
        "credential.refused"
    )
    text = stage.sign(token, "tools/list", {})
    assert await _list(stage, text)
    assert refused(await _list(stage, text)) == "credential.refused"
    stage.ledger.revoked.add(world.opened(token).prefix.rids[0])
    text = stage.sign(token, "tools/list", {})
    assert refused(await _list(stage, text)) == "token.revoked"
    stage.verified()


async def test_what_ran_out_or_was_seen_too_much_is_no_longer_shown() -> None:
    stage = Stage()
    token = stage.token(world.all_levels(), ["budget", "calls", 1])
    exposed = world.narrow(token, ["exposure", []])
    assert await _list(stage, stage.sign(exposed, "tools/list", {}))
    granted(await stage.call(token, "read", READ))
    assert await _list(stage, stage.sign(token, "tools/list", {})) == frozenset()
    assert await _list(stage, stage.sign(exposed, "tools/list", {})) == frozenset()


_CAVEATS = st.lists(
    st.sampled_from(
        [
            ["tool", "in", ["push", "read"]],
            ["tool", "not", ["read"]],
            ["path", "in", ["/srv"]],
            ["host", "in", ["example.org"]],
            ["ref", "in", ["main"]],
            ["cmd", "in", [["git"]]],
            ["exposure", ["private_data"]],
            ["budget", "calls", 0],
            ["budget", "calls", 1],
            ["only", {"read_files": "low_risk"}],
            ["cap", {"git_push": "never"}],
            ["arg", "read", {"/path": ["any"]}],
        ]
    ),
    max_size=4,
)


@settings(max_examples=60)
@given(
    _CAVEATS,
    st.integers(0, 7),
    st.sampled_from([READ, PUSH, {"url": "https://example.org/"}, {}, {"path": "/etc"}]),
)
def test_what_is_hidden_is_denied_whatever_its_arguments(
    caveats: list[list[Any]], seen: int, args: Any
) -> None:
    stage = Stage()
    token = world.narrow(stage.token(seen=seen), *caveats)
    verified = world.opened(token)
    snapshot = stage.ledger.read(gather.wanted(verified, stage.mediator.wall))
    facts = gather.facts(
        world.KEYS, snapshot, arrived=world.NOW, instance=world.INSTANCE, channel="held",
        peer=None, policy=stage.policy.verifier,
    )  # fmt: skip
    for name, tool in stage.policy.tools.items():
        if not listing.would_ever(verified, tool, snapshot):
            call = binding.bind(name, args, tool, Hints(), "/").at(seen)
            assert isinstance(clear(verified, call, facts), Deny)


def test_a_tool_nobody_classified_is_never_shown() -> None:
    stage = Stage()
    verified = world.opened(stage.token())
    snapshot = stage.ledger.read(gather.wanted(verified, stage.mediator.wall))
    assert not listing.would_ever(verified, None, snapshot)
    assert set(stage.policy.tools) == listing.visible(verified, stage.policy.tools, snapshot)
    assert len(names.OPERATIONS) == 13

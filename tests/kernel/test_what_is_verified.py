"""All that authentication hands on, field by field: it says of a chain what the chain holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nucleus_tokens import caveats
from nucleus_tokens.authority import Counter, Source
from nucleus_tokens.caveats import Req
from nucleus_tokens.header import Holder
from nucleus_verifier.authenticate import Hop, authenticate
from nucleus_verifier.decision import Deny
from tests.support import world

TOKEN = world.mint(world.all_levels(), ["budget", "calls", 9], obligations=["write_files"])


def test_a_bare_header() -> None:
    seen = world.opened(TOKEN)
    assert (seen.req, seen.proven, seen.raw_req) == (None, False, None)
    prefix = seen.prefix
    assert prefix.opened.authority == prefix.authority
    assert (prefix.raw, prefix.hops, prefix.depth) == ((), (), 4)
    assert prefix.holder == world.AGENT
    assert prefix.tag == TOKEN.tag == prefix.opened.tag
    assert prefix.rids == (prefix.opened.rid,)
    assert prefix.authority.counters == (
        Counter(Source("ceil", 1), f"{prefix.rids[0]}/calls", "calls", 9),
    )


def test_every_hop_and_every_caveat() -> None:
    narrow = world.narrow(TOKEN, ["budget", "calls", 5])
    token = world.hand(narrow, "agent", "sub", depth=2)
    token = world.narrow(token, ["exp", world.NOW + 9])
    token = world.hand(token, "sub", "other", depth=0)
    prefix = world.opened(token).prefix
    assert prefix.hops == (
        Hop(2, "sub", world.public("sub"), "test", 2),
        Hop(4, "other", world.public("other"), "test", 0),
    )
    assert (prefix.holder, prefix.depth) == (Holder(None, world.public("other")), 0)
    assert (prefix.raw, prefix.tag) == (token.caveats, token.tag)
    assert prefix.rids[:2] == world.opened(narrow).prefix.rids
    assert len(set(prefix.rids)) == 5
    assert prefix.authority.exp == world.NOW + 9
    assert prefix.authority.counters[1:] == (
        Counter(Source("caveat", 1), f"{prefix.rids[1]}/calls", "calls", 5),
    )


def test_a_request_and_its_proof() -> None:
    call = world.read()
    seen = world.opened(world.request(TOKEN, call, "agent"))
    assert seen.proven is True
    assert type(seen.req) is Req
    assert seen.raw_req is not None
    assert caveats.parse(seen.raw_req) == seen.req
    assert seen.prefix == world.opened(TOKEN).prefix


def test_what_is_refused_is_a_deny_and_its_code() -> None:
    refused = authenticate("nuc1_", world.KEYS)
    assert refused == Deny(1, "token.malformed")


@pytest.mark.parametrize("name", ["", "a", "zzz"])
def test_another_audience_of_any_name_is_refused(name: str) -> None:
    keys = replace(world.KEYS, audience=name)
    assert authenticate(world.text(TOKEN), keys) == Deny(2, "audience.unknown")


def test_a_budget_carried_over_twice_keeps_its_first_counter() -> None:
    first, second = "ab" * 16, "cd" * 16
    above = [(rid, world.public("agent")) for rid in (first, second)]
    token = world.mint(world.all_levels(), ["budget", "calls", 9], ancestors=above)
    (counter,) = world.opened(token).prefix.authority.counters
    assert counter == Counter(Source("ceil", 1), f"{first}/calls", "calls", 9)

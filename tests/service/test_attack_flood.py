"""One caller who calls without end is told to come later; whoever else calls is served."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_issuer.service import policy
from nucleus_issuer.service.rates import Rate, Rates
from nucleus_issuer.service.serve import MOST_CALLS
from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_verifier.rpc.client import IssuerClient
from tests.service.stage import POLICY, order, running


@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 2)), max_size=80),
)
def test_nobody_gets_more_than_the_rate_and_nobody_pays_for_another(
    per_second: int, burst: int, calls: list[tuple[str, float]]
) -> None:
    now = 0.0
    rates = Rates(Rate(per_second, burst), now=lambda: now)
    alone = {who: Rates(Rate(per_second, burst), now=lambda: now) for who in "ab"}
    taken = dict.fromkeys("ab", 0)
    for who, pause in calls:
        now += pause
        said = rates.take(who)
        assert said == alone[who].take(who), "as if nobody else were there"
        taken[who] += said
        assert taken[who] <= burst + per_second * now + 1e-6


def test_the_rate_is_part_of_the_policy(tmp_path: Path) -> None:
    known = policy.parse(b"[rate]\nper_second = 3\nburst = 4\n", "example.org", tmp_path)
    assert known.rate == Rate(3, 4)
    for bad in (b"rate = 3\n", b"[rate]\nburst = 4\n", b"[rate]\nper_second = 0\nburst = 4\n"):
        with pytest.raises(CallerError):
            policy.parse(bad, "example.org", tmp_path)


async def flood(client: IssuerClient) -> list[Any]:
    """Calls at once on one connection, three times what it takes: the client waits with more."""
    calls = (client.list() for _ in range(3 * MOST_CALLS))
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_a_flood_is_told_to_come_later_and_others_are_served(tmp_path: Path) -> None:
    slow = POLICY + "\n[rate]\nper_second = 1\nburst = 20\n"
    with running(tmp_path, policy=slow) as stage:
        await asyncio.to_thread(stage.register)
        async with stage.client("agent") as agent, stage.client("other") as other:
            said = await flood(agent)
            refused = [each for each in said if isinstance(each, NucleusError)]
            assert {each.code for each in refused} == {"service.rate"}
            assert 0 < len(said) - len(refused) < 100
            made = await other.issue(order("meanwhile"))
            assert made.token
        async with stage.client("stranger") as stranger:
            said = await flood(stranger)
            codes = {each.code for each in said if isinstance(each, NucleusError)}
            assert codes == {"service.refused", "service.rate"}

"""Promises and payments: what is spent only rises, never above its limit, and nobody pays twice."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from nucleus_proxy.answers import Granted
from nucleus_proxy.egress.meter import Account, Meter
from nucleus_tokens.chain import UnverifiedToken
from tests.egress.far import POLICY
from tests.egress.laws import SLOW_LAW
from tests.proxy.stage import Stage, granted
from tests.support import world

LIMIT = 100
FILE = {"path": "/srv/a.txt"}
STEP = st.tuples(st.sampled_from(("start", "pay", "end")), st.integers(0, 5), st.integers(0, 90))


def limited(stage: Stage, *more: list[object]) -> UnverifiedToken:
    return stage.token(world.all_levels(), ["budget", "tokens", LIMIT], *more)


async def started(stage: Stage, token: UnverifiedToken) -> Granted:
    return granted(await stage.call(token, "read", FILE))


def tokens(stage: Stage, token: UnverifiedToken) -> int:
    (counter,) = [c.id for c in world.opened(token).prefix.authority.counters if c.unit == "tokens"]
    return stage.ledger.spent.get(counter, 0)


@SLOW_LAW
@given(st.lists(STEP, max_size=25))
def test_any_order_of_effects_keeps_the_laws(steps: list[tuple[str, int, int]]) -> None:
    async def run() -> None:
        stage = Stage(POLICY)
        token = limited(stage)
        meter = Meter(stage.ledger)
        accounts: dict[int, Account] = {}
        promised: dict[int, int] = {}
        before = 0
        for what, who, amount in steps:
            if what == "start" and who not in accounts:
                account = meter.account(await started(stage, token))
                refusal = await account.promise({"tokens": amount})
                # It fits just when all that is spent and promised fits with it.
                fits = tokens(stage, token) + sum(promised.values()) + amount <= LIMIT
                assert (refusal is None) is fits
                if refusal is None:
                    accounts[who], promised[who] = account, amount
            elif what == "pay" and who in accounts:
                refusal = await accounts[who].pay({"tokens": amount})
                assert (refusal is None) is (before + amount <= LIMIT)
                promised[who] = max(0, promised[who] - amount)
            elif what == "end" and who in accounts:
                accounts.pop(who).release()
                del promised[who]
            now = tokens(stage, token)
            assert before <= now <= LIMIT
            assert sum(meter.held.values()) == sum(promised.values())
            before = now
        for account in accounts.values():
            account.release()
        assert meter.held == {}

    asyncio.run(run())


async def test_two_proxies_on_one_store_overdraw_nothing() -> None:
    """Each can promise the same; then the second payment takes what is left, and stops."""
    stage = Stage(POLICY)
    token = limited(stage)
    one = Meter(stage.ledger).account(await started(stage, token))
    two = Meter(stage.ledger).account(await started(stage, token))
    assert await one.promise({"tokens": 80}) is None
    assert await two.promise({"tokens": 80}) is None
    assert await one.pay({"tokens": 80}) is None
    refusal = await two.pay({"tokens": 80})
    assert refusal is not None
    assert refusal.code == "budget.exhausted"
    assert tokens(stage, token) == LIMIT


async def test_a_child_pays_for_all_budgets_above_it() -> None:
    stage = Stage(POLICY)
    token = limited(stage)
    child = world.narrow(token, ["budget", "tokens", 30])
    meter = Meter(stage.ledger)
    account = meter.account(await started(stage, child))
    refused = await account.promise({"tokens": 31})
    assert refused is not None
    assert await account.promise({"tokens": 30}) is None
    assert await account.pay({"tokens": 20, "bytes_out": 5}) is None
    assert tokens(stage, token) == 20
    counters = world.opened(child).prefix.authority.counters
    assert [stage.ledger.spent[c.id] for c in counters] == [20, 20]


async def test_a_revoked_token_pays_no_more_and_stops() -> None:
    stage = Stage(POLICY)
    token = limited(stage)
    account = Meter(stage.ledger).account(await started(stage, token))
    stage.ledger.revoked.add(world.opened(token).prefix.rids[0])
    refusal = await account.pay({"tokens": 1})
    assert refusal is not None
    assert refusal.code == "token.revoked"
